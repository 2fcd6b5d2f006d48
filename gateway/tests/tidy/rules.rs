//! Words that may not stand in some place, and why.

use crate::assert_none;
use crate::repository::{FILES, File};
use crate::rust::{code, has_word, imports, without_tests};

/// Words that may not stand in the code of some folders or files.
struct Rule {
    why: &'static str,
    places: &'static [&'static str],
    except: &'static [&'static str],
    words: &'static [&'static str],
}

/// Held by what runs; tests may do otherwise.
const FLOORS: [Rule; 7] = [
    Rule {
        why: "floor 1 is pure: no runtime, no logs or metrics, no clock, no dice",
        places: &["gateway/src/room", "gateway/src/client", "gateway/src/auth"],
        except: &[],
        words: &["tokio", "tokio_util", "tracing", "prometheus", "rand", "Instant", "SystemTime"],
    },
    Rule {
        why: "protocol is pure: no runtime, no clock, no dice",
        places: &["protocol/src"],
        except: &[],
        words: &["tokio", "tokio_util", "rand", "Instant", "SystemTime"],
    },
    Rule {
        why: "a shard is the sink: it knows neither hubs, readers nor the broker",
        places: &["gateway/src/shard"],
        except: &[],
        words: &["crate::hub", "super::hub", "crate::conn", "super::conn", "broker_bridge"],
    },
    Rule {
        why: "a hub never sees a socket",
        places: &["gateway/src/hub"],
        except: &[],
        words: &["TcpStream", "ClientSink", "Socket"],
    },
    Rule {
        why: "only the flush of a shard writes to client sockets",
        places: &["gateway/src"],
        except: &[
            "gateway/src/shard/flush.rs",
            "gateway/src/shard/sink.rs",
            "gateway/src/shard/cipher.rs",
        ],
        words: &["try_write", "try_write_vectored", "try_write_buf"],
    },
    Rule {
        why: "nothing waits for a lock on the data path",
        places: &[
            "gateway/src/room",
            "gateway/src/client",
            "gateway/src/auth",
            "gateway/src/keys",
            "gateway/src/hub",
            "gateway/src/shard",
            "gateway/src/conn",
            "protocol/src",
        ],
        except: &[],
        words: &["Mutex", "RwLock"],
    },
    Rule {
        why: "every queue has a bound",
        places: &["protocol", "broker-bridge", "gateway", "loadtest"],
        except: &[],
        words: &["unbounded_channel", "UnboundedSender", "UnboundedReceiver"],
    },
];

/// Held by tests too.
const EVERYWHERE: Rule = Rule {
    why: "what is committed is finished, and every test runs",
    places: &["protocol", "broker-bridge", "gateway", "loadtest", "tests"],
    except: &[],
    words: &["todo!", "unimplemented!", "dbg!", "#[ignore"],
};

impl Rule {
    fn applies_to(&self, file: &File) -> bool {
        file.has_ending(&["rs"]) && file.is_in(self.places) && !file.is_in(self.except)
    }

    fn violations(&self, path: &str, code: &str) -> Vec<String> {
        let imports = imports(code);
        let words = self.words.iter().filter(|w| has_word(code, w) || has_word(&imports, w));
        words.map(|word| format!("{path}: `{word}` ({})", self.why)).collect()
    }
}

#[test]
fn every_floor_keeps_to_what_it_may_know() {
    for rule in &FLOORS {
        let mut checked = 0;
        let mut violations = Vec::new();
        for file in FILES.iter().filter(|file| rule.applies_to(file) && !file.is_test()) {
            checked += 1;
            violations.extend(rule.violations(&file.path, &code(without_tests(&file.text))));
        }
        assert!(checked > 0, "the rule has lost its files: {}", rule.why);
        assert_none("a floor knows too much", &violations);
    }
}

#[test]
fn nothing_is_left_for_later() {
    let mut violations = Vec::new();
    for file in FILES.iter() {
        if EVERYWHERE.applies_to(file) {
            violations.extend(EVERYWHERE.violations(&file.path, &code(&file.text)));
        }
        // Put together here, or this file would violate its own rule.
        for mark in [concat!("FIX", "ME"), concat!("X", "XX")] {
            let is_source = file.has_ending(&["rs", "js", "mjs", "ts", "css", "html", "py", "sh"]);
            if is_source && has_word(&file.text, mark) {
                violations.push(format!("{}: {mark}", file.path));
            }
        }
        for call in ["test.only(", "test.skip(", "test.todo("] {
            if file.has_ending(&["mjs"]) && file.text.contains(call) {
                violations.push(format!("{}: `{call}…)`", file.path));
            }
        }
    }
    assert_none("to be finished before it is committed", &violations);
}

#[test]
fn protocol_is_pure_by_its_manifest() {
    let manifest = FILES.iter().find(|file| file.path == "protocol/Cargo.toml");
    let manifest = &manifest.expect("protocol has a manifest").text;
    let impure = ["tokio", "tokio-util", "hyper", "rand", "tracing", "prometheus"];
    let found: Vec<_> = dependencies(manifest).filter(|name| impure.contains(name)).collect();
    assert!(found.is_empty(), "protocol depends on {found:?}");
    assert!(dependencies(manifest).any(|name| name == "bytes"), "dependencies are no longer found");
}

/// What a manifest's `[dependencies]` name; those of tests are not among them.
fn dependencies(manifest: &str) -> impl Iterator<Item = &str> {
    let mut inside = false;
    manifest.lines().filter_map(move |line| {
        if line.starts_with('[') {
            inside = line == "[dependencies]";
            return line.strip_prefix("[dependencies.")?.strip_suffix(']');
        }
        inside.then(|| line.split(['.', '=', ' ']).next())?.filter(|name| !name.is_empty())
    })
}

#[test]
fn forbidden_word_is_found_in_code_and_in_grouped_imports_only() {
    let rule = &FLOORS[2];
    let found = |source| rule.violations("a.rs", &code(source)).len();
    assert_eq!(found("use crate::{client, hub::Hub};"), 1);
    assert_eq!(found("fn f() { crate::conn::read(); }"), 1);
    assert_eq!(found("/// See crate::hub.\nuse crate::client; // broker_bridge"), 0);
}

#[test]
fn dependencies_of_tests_are_told_from_the_others() {
    let manifest = "[dependencies]\na.workspace = true\nb = \"1\"\n\n[dependencies.c]\n\n[dev-dependencies]\nd = \"1\"\n";
    assert_eq!(dependencies(manifest).collect::<Vec<_>>(), ["a", "b", "c"]);
}
