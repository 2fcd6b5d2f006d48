//! File, environment, flags: each can say everything it may, and the later one wins.

use super::{TestFile, assemble, load, load_file, setting};
use crate::config::kind::{Shape, quoted};
use crate::config::settings::{SETTINGS, Setting};
use crate::config::{Config, Loaded};

fn assert_set(setting: &Setting, loaded: &Loaded, by: &str) {
    let is_default = setting.kind.same(&loaded.config, &Config::default());
    assert!(!is_default, "{} was not set by {by}", setting.key);
    let others = SETTINGS.iter().filter(|other| other.key != setting.key && setting.key != "dev");
    let others = others.filter(|other| !other.kind.same(&loaded.config, &Config::default()));
    let others: Vec<_> = others.map(|other| other.key).collect();
    assert!(others.is_empty(), "{} has set {others:?} too", setting.key);
    let name = setting.key.rsplit('.').next().unwrap();
    let line = format!("{name} = ");
    let rendered = loaded.render();
    let is_told = rendered.lines().any(|l| l.starts_with(&line) && l.contains(by));
    assert!(is_told, "{} by {by}:\n{rendered}", setting.key);
}

#[test]
fn every_setting_can_be_set_by_each_of_its_sources() {
    assert!(SETTINGS.len() >= 20, "the settings have gone");
    for setting in SETTINGS.iter() {
        let example = &setting.example;
        assert!(!example.is_empty(), "{}: give it an example", setting.key);
        let is_bare = setting.kind.shapes[0] != Shape::Text;
        let value = if is_bare { example.clone() } else { quoted(example) };
        let values = if setting.kind.is_list { format!("[{value}]") } else { value.clone() };
        for value in [value, values] {
            let file = TestFile::new(&format!("{} = {value}\n", setting.key));
            let loaded = assemble(&["--config", file.name()], &[]);
            assert_set(setting, &loaded, &format!("{}:1", file.name()));
        }
        for name in setting.env_names() {
            assert_set(setting, &assemble(&[], &[(&name, example)]), &name);
        }
        if let Some(flag) = setting.flag {
            let name = format!("--{}", flag.name);
            let count = 1 + usize::from(flag.value.is_some());
            assert_set(setting, &assemble(&[name.as_str(), example][..count], &[]), &name);
        }
    }
}

/// Files are written in this order, and nothing of the top can stand behind a section.
#[test]
fn settings_of_the_top_come_first_and_those_of_a_section_together() {
    let section = |setting: &Setting| setting.key.rsplit_once('.').map_or("", |(name, _)| name);
    let mut sections: Vec<_> = SETTINGS.iter().map(section).collect();
    sections.dedup();
    let count = sections.len();
    assert_eq!(sections[0], "");
    sections.sort_unstable();
    sections.dedup();
    assert_eq!(sections.len(), count, "a section is interrupted: {sections:?}");
}

#[test]
fn keys_names_and_flags_are_all_different() {
    let keys = SETTINGS.iter().map(|setting| setting.key.to_owned());
    let names = SETTINGS.iter().flat_map(Setting::env_names);
    let flags = SETTINGS.iter().filter_map(|s| Some(format!("--{}", s.flag?.name)));
    let mut all: Vec<_> = keys.chain(names).chain(flags).collect();
    let count = all.len();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), count);
}

#[test]
fn a_flag_wins_over_the_environment_and_that_over_the_file() {
    let file = TestFile::new("rooms.tick_ms = 100\nshards = 3\n\n[clients]\nstuck = '7s'\n");
    let environment = [("BARRAGE_TICK_MS", "200"), ("BARRAGE_SHARDS", "5")];
    let flags = ["--tick", "300", "--config", file.name()];
    let config = load(&flags, &environment).unwrap().config;
    assert_eq!(config.hub.room.tick_ms, 300);
    assert_eq!(config.shards, 5);
    assert_eq!(config.timing.stuck_s, 7);
    assert_eq!(config.timing.ping_interval_s, 25);
}

#[test]
fn the_names_that_flags_have_in_the_environment_work() {
    let environment = [
        ("BARRAGE_DEV", "1"),
        ("BARRAGE_LISTEN", "127.0.0.1:1"),
        ("BARRAGE_ADMIN_LISTEN", "127.0.0.1:2"),
        ("BARRAGE_TICK_MS", "250"),
        ("BARRAGE_SHARDS", "4"),
        ("BARRAGE_BASE_PATH", "/live"),
        ("BARRAGE_API_KEY", "old, new"),
        ("BARRAGE_LOG", "debug"),
    ];
    let config = load(&[], &environment).unwrap().config;
    assert!(config.dev);
    assert_eq!((config.listen.port(), config.admin_listen.port()), (1, 2));
    assert_eq!((config.hub.room.tick_ms, config.shards), (250, 4));
    assert_eq!(config.public.base_path, "/live");
    let keys: Vec<_> = config.api_keys.iter().map(|key| key.expose()).collect();
    assert_eq!(keys, ["old", "new", "dev"]);
    assert_eq!(config.log.text(), "debug");
}

#[test]
fn what_somebody_says_wins_over_the_defaults_of_dev() {
    let text = "dev = true\nanonymous = \"refused\"\ndrain = { window = \"9s\" }\n";
    let config = load_file(text, &[]).unwrap().config;
    assert!(config.dev && config.drain.delay.is_zero());
    assert_eq!(config.drain.window_s, 9);
    assert!(setting("anonymous").kind.same(&config, &Config::default()));
    // Another source may take it back.
    let file = TestFile::new(text);
    let off = [("BARRAGE_DEV", "false"), ("BARRAGE_CONFIG", file.name())];
    let config = load(&[], &off).unwrap().config;
    assert!(!config.dev && config.api_keys.is_empty() && !config.drain.delay.is_zero());
}

#[test]
fn values_may_be_written_as_people_write_them() {
    let text = "
        shards = 0x2
        log = 'info,gateway::shard=trace'
        [api]
        key = ['one', 'two']
        [rooms]
        tick_ms = '1m'
        [clients]
        publishes = '10/2s'
        ping_timeout = '1m 30s'
        [drain]
        delay = '1500ms'
        [admin]
    ";
    let config = load_file(text, &[]).unwrap().config;
    assert_eq!((config.shards, config.hub.room.tick_ms), (2, 60_000));
    assert_eq!(config.api_keys.len(), 2);
    assert_eq!(config.session.publishes.burst, 10);
    assert_eq!(config.session.publishes.period.as_secs(), 2);
    assert_eq!((config.timing.ping_timeout_s, config.drain.delay.as_millis()), (90, 1500));
    assert!(load(&["--shards", "auto"], &[]).unwrap().config.shards > 0);
}

#[test]
fn keys_of_a_file_are_valid_beside_those_that_were_given() {
    let file = TestFile::new("# rotated in spring\n\nthe-old-one\n  the-new-one  \n");
    let environment = [("BARRAGE_API_KEY_FILE", file.name())];
    let config = load(&["--api-key", "given"], &environment).unwrap().config;
    let keys: Vec<_> = config.api_keys.iter().map(|key| key.expose()).collect();
    assert_eq!(keys, ["given", "the-old-one", "the-new-one"]);
}

#[test]
fn empty_variables_are_not_set_and_those_of_others_are_ignored() {
    let environment =
        [("BARRAGE_SHARDS", ""), ("BARRAGE_PORT_8080_TCP", "tcp://10.0.0.1:8080"), ("PATH", "x")];
    let loaded = load(&["--shards", "1"], &environment).unwrap();
    assert_eq!((loaded.config.shards, loaded.warnings.len()), (1, 0));
    let loaded = load(&[], &[("BARRAGE_LISTEM", "0.0.0.0:80")]).unwrap();
    assert_eq!(loaded.warnings, ["BARRAGE_LISTEM is no setting; did you mean BARRAGE_LISTEN?"]);
}

#[test]
fn what_is_dangerous_and_no_fault_is_warned_of() {
    let told = |flags: &[&str], environment: &[(&str, &str)]| {
        load(flags, environment).unwrap().warnings.join("\n")
    };
    for quiet in [&["--dev"][..], &["--listen", "0.0.0.0:80"], &["--listen", "[::]:80"]] {
        assert_eq!(told(quiet, &[]), "", "{quiet:?}");
    }
    let open = told(&["--dev", "--listen", "0.0.0.0:8080"], &[]);
    assert!(open.starts_with("dev with listen = \"0.0.0.0:8080\": "), "{open}");
    assert!(open.contains("gifts") && !open.contains('\n'), "{open}");
    let admin = told(&["--admin-listen", "[::]:9090"], &[]);
    assert!(admin.starts_with("admin.listen = \"[::]:9090\": "), "{admin}");
    assert!(!admin.contains("`dev`") && !admin.contains('\n'), "{admin}");
    let both = told(&["--dev", "--admin-listen", "[::]:9090"], &[]);
    assert!(both.contains("the key `dev`"), "{both}");
}

#[test]
fn short_keys_of_the_server_api_are_warned_of_and_not_told() {
    let file = TestFile::new("fifteen-letters\nsixteen-letters.\n");
    let environment = [("BARRAGE_API_KEY_FILE", file.name())];
    let warnings = load(&["--api-key", "xy"], &environment).unwrap().warnings;
    assert_eq!(warnings, ["api: 2 of the 3 keys have fewer than 16 characters and can be guessed"]);
    assert!(load(&["--dev", "--api-key", "xy"], &[]).unwrap().warnings.is_empty());
    let long = load(&["--api-key", "sixteen-letters."], &[]).unwrap();
    assert!(long.warnings.is_empty());
}
