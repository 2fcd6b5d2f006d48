//! What is wrong is told all at once, with where it stands, and without secrets.

use super::{TestFile, load, load_file, sources};
use crate::config::{Faults, Loaded};

/// The faults, a line each, with the file's name left out.
fn told(result: Result<Loaded, Faults>) -> Vec<String> {
    let faults = result.expect_err("there are faults").0;
    let short = |fault: String| match fault.split_once("barrage-config-test-") {
        Some((_, rest)) => rest.split_once(':').map_or("", |(_, rest)| rest).to_owned(),
        None => fault,
    };
    faults.iter().map(|fault| short(fault.to_string())).collect()
}

#[test]
fn every_fault_of_every_source_is_told_at_once() {
    let file = TestFile::new(
        "listen = 8080\n[rooms]\ntick = 100\ntick_ms = \"soon\"\nchat_per_s = -1\n\n[drain]\nwindow = 30\n",
    );
    let environment = [("BARRAGE_SHARDS", "0"), ("BARRAGE_DRAIN_DELAY", "10")];
    let flags = ["--tick", "70000", "--base-path", "live", "--config", file.name()];
    let faults = load(&flags, &environment).unwrap_err();
    let message = faults.to_string();
    assert!(message.starts_with("the configuration cannot be used:\n  "), "{message}");
    assert_eq!(message.lines().count(), 1 + faults.0.len());
    assert_eq!(
        told(Err(faults)),
        [
            "1: listen = 8080: must be a text in quotes",
            "3: rooms.tick: there is no such setting; did you mean `rooms.tick_ms`?",
            "4: rooms.tick_ms = \"soon\": must be milliseconds from 1 to 60000, or a time with its unit such as `250ms`",
            "5: rooms.chat_per_s = -1: must be a whole number from 1 to 10000",
            "8: drain.window = 30: must be a text in quotes",
            "BARRAGE_DRAIN_DELAY=10: must be a time from 0s to 10m",
            "BARRAGE_SHARDS=0: must be `auto` or a whole number from 1 to 1024",
            "--base-path live: must be empty, or begin with `/` and hold letters, digits, `-`, `_`, `.` and `/` only",
            "--tick 70000: must be milliseconds from 1 to 60000, or a time with its unit such as `250ms`",
        ]
    );
}

#[test]
fn faults_of_the_cluster_are_told_without_what_may_be_a_secret() {
    let flags = ["--nats", "nats://me:hunter2@host:4222"];
    assert_eq!(
        told(load(&flags, &[])),
        [
            "--nats (set): each must be `nats://host:port` or `tls://host:port`, without user and password"
        ]
    );
    let file = "[nats]\nurl = 'nats://a:4222'\ntoken = 'hunter2'\nuser = 'me'\n\
                cert_file = '/nonexistent/cert.pem'\nnamespace = 'a.b'\nreplicas = 2";
    let faults = told(load_file(file, &[]));
    assert_eq!(faults, ["7: nats.replicas = 2: must be `auto`, 1, 3 or 5"]);
    let faults = told(load_file(&file.replace("= 2", "= 3"), &[])).join("\n");
    for fault in [
        "nats.namespace = \"a.b\": must be 1 to 32 letters, digits, `-` or `_`",
        "nats.user = \"me\": contradicts nats.token: give one of them",
        "nats.user = \"me\": needs nats.password",
        "nats.cert_file = \"/nonexistent/cert.pem\": needs nats.key_file",
        "nats.cert_file = \"/nonexistent/cert.pem\": cannot be read: ",
    ] {
        assert!(faults.contains(fault), "{fault}\n{faults}");
    }
    assert!(!faults.contains("hunter2"), "{faults}");
}

#[test]
fn servers_come_from_a_flag_with_commas_a_variable_or_a_list() {
    let urls = "nats://a:4222,tls://[::1]:4222,nats://c";
    let file = "nats.url = ['nats://a:4222', 'tls://[::1]:4222', 'nats://c']";
    let loaded = [
        load(&["--nats", urls], &[]).unwrap(),
        load(&[], &[("BARRAGE_NATS_URL", urls)]).unwrap(),
        load_file(file, &[]).unwrap(),
    ];
    for loaded in loaded {
        let texts: Vec<_> = loaded.config.nats.urls.iter().map(|url| url.text()).collect();
        assert_eq!(texts.join(","), urls);
        assert!(loaded.render().contains(&file[5..].replace('\'', "\"")), "{}", loaded.render());
    }
    for url in [
        "http://a:1",
        "nats://",
        "nats://a:0",
        "nats://a:99999",
        "nats://a b",
        "a:4222",
        "nats://a/x",
    ] {
        assert!(load(&["--nats", url], &[]).is_err(), "{url}");
    }
}

#[test]
fn what_is_not_toml_is_told_with_its_lines() {
    let faults = told(load_file("shards = \n[rooms\ntick_ms = 1\ndev = yes\n", &[]));
    assert!(faults.len() >= 2, "{faults:?}");
    assert!(faults.iter().any(|fault| fault.starts_with("1: ")), "{faults:?}");
    assert!(faults.iter().any(|fault| fault.starts_with("2: ")), "{faults:?}");
}

#[test]
fn unknown_keys_and_sections_are_named_with_what_may_be_meant() {
    let text = "listem = \"x\"\nentirely_else = 1\n[room]\ntick_ms = 5\n[nothing]\n";
    assert_eq!(
        told(load_file(text, &[])),
        [
            "1: listem: there is no such setting; did you mean `listen`?",
            "2: entirely_else: there is no such setting",
            "4: room.tick_ms: there is no such setting; did you mean `rooms.tick_ms`?",
            "5: nothing: there is no such setting",
        ]
    );
}

#[test]
fn contradictions_are_told_with_both_values() {
    let text =
        "listen = '127.0.0.1:80'\nadmin.listen = '127.0.0.1:80'\nclients.ping_timeout = '25s'";
    assert_eq!(
        told(load_file(text, &[])),
        [
            "2: admin.listen = \"127.0.0.1:80\": must be another address than listen = \"127.0.0.1:80\"",
            "3: clients.ping_timeout = \"25s\": must be longer than clients.ping_interval = \"25s\"",
        ]
    );
    let environment = [("BARRAGE_CLIENTS_PING_INTERVAL", "2m")];
    let fault = "clients.ping_timeout = \"1m\" (default): must be longer than clients.ping_interval = \"2m\"";
    assert_eq!(told(load(&[], &environment)), [fault]);
}

#[test]
fn clusters_of_nats_are_a_power_of_two_and_begin_with_the_first() {
    let more = |list: &str| format!("[nats]\nurl = 'nats://a'\nmore_clusters = {list}");
    let loaded = load_file(&more("['nats://b:1 nats://c', 'tls://d', 'nats://e']"), &[]).unwrap();
    let clusters: Vec<_> = loaded.config.nats.more_clusters.iter().map(|c| c.to_string()).collect();
    assert_eq!(clusters, ["nats://b:1 nats://c", "tls://d", "nats://e"]);
    let three = told(load_file(&more("['nats://b', 'nats://c']"), &[]));
    assert!(
        three[0].ends_with("must make 2, 4, 8 or 16 clusters with nats.url, not 3"),
        "{three:?}"
    );
    let none = told(load_file("nats.more_clusters = 'nats://b'", &[]));
    assert!(none[0].ends_with("needs nats.url, the first cluster"), "{none:?}");
    let secret = told(load_file(&more("['nats://ann:secret@b']"), &[]));
    assert!(
        secret[0].contains("each must be the URLs") && !secret[0].contains("secret"),
        "{secret:?}"
    );
}

#[test]
fn a_value_that_is_given_under_two_names_is_refused() {
    let environment = [("BARRAGE_ROOMS_TICK_MS", "100"), ("BARRAGE_TICK_MS", "200")];
    let faults = told(load(&[], &environment));
    assert_eq!(
        faults,
        ["BARRAGE_TICK_MS: says the same as BARRAGE_ROOMS_TICK_MS: set one of them"]
    );
}

#[test]
fn files_that_cannot_be_read_are_faults() {
    let faults = load(&["--config", "/nowhere/b.toml"], &[]).unwrap_err().to_string();
    assert!(faults.contains("  /nowhere/b.toml: cannot be read: "), "{faults}");
    let environment = [("BARRAGE_API_KEY_FILE", "/nowhere/keys"), ("BARRAGE_SHARDS", "x")];
    let faults = load(&[], &environment).unwrap_err();
    assert_eq!(faults.0.len(), 2, "{faults}");
    assert!(faults.to_string().contains("  /nowhere/keys: cannot be read: "), "{faults}");
    let empty = TestFile::new("# none yet\n");
    let environment = [("BARRAGE_API_KEY_FILE", empty.name())];
    assert!(load(&[], &environment).unwrap_err().to_string().contains(": holds no key"));
}

#[test]
fn every_fault_stays_on_its_line() {
    let text = "log = \"a\\nb\"\n\"a\\nb\" = 1\n[rooms]\ntick_ms = '\u{9}'\n";
    let file = TestFile::new(text);
    let environment = [("BARRAGE_LISTEN", "a\nb")];
    let faults = load(&["--config", file.name(), "--base-path", "\u{1b}[2J"], &environment);
    let faults = faults.unwrap_err();
    assert_eq!(faults.0.len(), 5, "{faults}");
    assert_eq!(faults.to_string().lines().count(), 6, "{faults}");
    assert!(!faults.to_string().contains('\u{1b}'), "{faults}");
}

#[test]
fn a_value_that_a_later_source_wins_over_must_be_valid_too() {
    let file = TestFile::new("shards = 0\n");
    let flags = ["--config", file.name(), "--shards", "2"];
    assert_eq!(load(&flags, &[]).unwrap_err().0.len(), 1);
}

#[test]
fn no_fault_shows_a_secret() {
    const SECRET: &str = "hunter2";
    let key_file = TestFile::new(&format!("{SECRET} {SECRET}\n"));
    let files = [
        format!("api.key = \"{SECRET} {SECRET}\""),
        format!("api.key = [\"{SECRET}\", 1]"),
        format!("api.key = [[\"{SECRET}\"]]"),
        format!("api.kay = \"{SECRET}\""),
        format!("[api]\nkey.a = \"{SECRET}\""),
        format!("api.key = \"{SECRET}\napi.key = {SECRET}\n{SECRET}"),
        format!("[{SECRET}\napi.key = '''{SECRET}"),
        format!("api.key_file = \"{}\"", key_file.name()),
    ];
    for text in &files {
        let faults = load_file(text, &[]).unwrap_err();
        let shown = format!("{faults} {faults:?}");
        assert!(!shown.contains(SECRET), "{text}: {shown}");
    }
    let (bad, none) = (format!("{SECRET} {SECRET}"), &[][..]);
    for (flags, environment) in
        [(&["--api-key", &bad][..], none), (&[], &[("BARRAGE_API_KEY", &*bad)])]
    {
        let sources = sources(flags, environment);
        let faults = sources.load().unwrap_err();
        let shown = format!("{faults} {faults:?} {sources:?}");
        assert!(shown.contains("(set)") && !shown.contains(SECRET), "{shown}");
    }
}
