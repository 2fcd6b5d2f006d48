//! What people read: the result, the reference, the sample, the help.

use super::{TestFile, assemble, committed, load, load_file};
use crate::config::settings::SETTINGS;
use crate::config::{Config, Sources, Wish, reference, sample};

#[test]
fn the_printed_result_names_its_sources_and_is_a_file_again() {
    let flags = ["--dev", "--tick", "250"];
    let loaded = load(&flags, &[("BARRAGE_CLIENTS_LIKES", "3 per 1s")]).unwrap();
    let printed = loaded.render();
    for line in [
        "dev = true # --dev\n",
        "anonymous = \"chat\" # default of --dev\n",
        "\n[rooms]\ntick_ms = 250 # --tick\nchat_per_s = 40 # default\n",
        "likes = \"3 per 1s\" # BARRAGE_CLIENTS_LIKES\n",
        "# key_file is not set\n",
    ] {
        assert!(printed.contains(line), "{line}\n{printed}");
    }
    let again = load_file(&printed, &[]).unwrap().config;
    for setting in SETTINGS.iter() {
        assert!(setting.kind.same(&again, &loaded.config), "{}", setting.key);
    }
}

#[test]
fn secrets_are_never_printed() {
    const SECRET: &str = "hunter2";
    let loaded = load(&["--api-key", SECRET], &[]).unwrap();
    let printed = format!("{} {loaded:?} {:?}", loaded.render(), loaded.config);
    assert!(!printed.contains(SECRET), "{printed}");
    assert!(printed.contains("key = \"(set)\" # --api-key\n"));
}

#[test]
fn the_committed_reference_and_sample_are_what_the_code_says() {
    let made = [
        ("docs/configuration.md", "reference", reference()),
        ("docs/barrage.toml", "sample", sample()),
    ];
    for (file, name, text) in made {
        let how = format!("barrage-gateway --print-config-{name} >{file}");
        assert!(committed(file) == text, "{file} is out of date; make it anew: {how}");
    }
}

#[test]
fn everything_is_explained() {
    let (reference, sample) = (reference(), sample());
    for setting in SETTINGS.iter() {
        let doc = &setting.doc;
        assert!(doc.contains("Default:"), "{}: says no default: {doc}", setting.key);
        assert!(!doc.contains("[`"), "{}: a link that leads nowhere: {doc}", setting.key);
        assert!(reference.contains(&format!("\n### `{}`\n", setting.key)));
        for name in setting.env_names() {
            assert!(reference.contains(&format!("`{name}`")), "{name}");
        }
    }
    assert!(sample.lines().all(|line| line.chars().count() <= 100));
}

#[test]
fn the_sample_changes_nothing_and_its_lines_are_the_defaults() {
    let config = load_file(&sample(), &[]).unwrap().config;
    let is_code = |line: &&str| line.starts_with('[') || line.starts_with('#');
    let sample = sample();
    let code = sample.lines().filter(is_code).filter(|line| !line.starts_with("# "));
    let code: Vec<_> = code.map(|line| line.trim_start_matches('#')).collect();
    let file = TestFile::new(&code.join("\n"));
    let uncommented = assemble(&["--config", file.name()], &[]);
    for setting in SETTINGS.iter() {
        assert!(setting.kind.same(&config, &Config::default()), "{}", setting.key);
        // Where the default is none, an example stands there.
        let is_example = setting.kind.show(&Config::default()).is_none();
        let is_same = setting.kind.same(&uncommented.config, &Config::default());
        assert_ne!(is_same, is_example, "{}", setting.key);
    }
    assert!(!uncommented.render().contains("# default"), "{}", uncommented.render());
}

#[test]
fn the_command_line_says_what_is_wanted() {
    let wish = |flags: &[&str]| {
        let flags = ["barrage-gateway"].iter().chain(flags);
        Sources::new(flags, []).map(|sources| sources.wish())
    };
    assert_eq!(wish(&[]).unwrap(), Wish::Run);
    assert_eq!(wish(&["--print-config", "--dev"]).unwrap(), Wish::Print);
    assert_eq!(wish(&["--print-config-reference"]).unwrap(), Wish::Reference);
    assert_eq!(wish(&["--print-config-sample"]).unwrap(), Wish::Sample);
    let unknown = wish(&["--tik", "5"]).unwrap_err();
    assert!(unknown.to_string().contains("'--tick'"), "{unknown}");
    let help = wish(&["--help"]).unwrap_err().to_string();
    for flag in SETTINGS.iter().filter_map(|setting| setting.flag) {
        assert!(help.contains(&format!("--{}", flag.name)), "{help}");
    }
    assert!(help.contains("[env: BARRAGE_TICK_MS]") && help.contains("--print-config "));
    assert!(!help.contains("reference"));
}
