//! Every metric is moved by a test.

use crate::assert_none;
use crate::repository::FILES;
use crate::rust::{has_word, tests_of, without_tests};

#[test]
fn every_metric_is_read_by_a_test() {
    let registered = FILES.iter().find(|file| file.path == "gateway/src/metrics.rs");
    let registered = names(without_tests(&registered.expect("metrics have a file").text));
    assert!(registered.len() > 10, "the names are no longer found: {registered:?}");
    let is_read = |name: &String| {
        FILES.iter().any(|file| {
            let text = if file.is_test() { &file.text } else { tests_of(&file.text) };
            let forms = ["", "_count", "_sum", "_bucket"];
            forms.iter().any(|form| has_word(text, &format!("{name}{form}")))
        })
    };
    let missing: Vec<_> = registered.into_iter().filter(|name| !is_read(name)).collect();
    assert_none("metrics that no test reads", &missing);
}

/// The names of metrics that stand in the source as strings.
fn names(source: &str) -> Vec<String> {
    let strings = source.split("\"barrage_").skip(1).filter_map(|rest| rest.split_once('"'));
    let is_name = |text: &str| text.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    let names = strings.map(|(name, _)| name).filter(|name| is_name(name));
    names.map(|name| format!("barrage_{name}")).collect()
}

#[test]
fn names_of_metrics_are_found_in_strings() {
    let source = r#"gauge(r, "barrage_a_b", "help")?; let x = "barrage_c total"; barrage_d"#;
    assert_eq!(names(source), ["barrage_a_b"]);
}
