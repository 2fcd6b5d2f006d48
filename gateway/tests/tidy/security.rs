//! What `SECURITY.md` says of attacks is proved by the tests that it names.

use crate::assert_none;
use crate::repository::FILES;

/// The heading of the column that names tests.
const COLUMN: &str = "| test |";

#[test]
fn every_attack_names_tests_that_exist() {
    let security = FILES.iter().find(|file| file.path == "SECURITY.md").expect("it is there");
    let rows: Vec<_> = rows(&security.text).collect();
    assert!(rows.len() > 20, "the table of attacks is no longer found");
    let mut faults = Vec::new();
    for row in rows {
        let named = tests(row);
        if named.is_empty() {
            faults.push(format!("no test: {row}"));
        }
        let missing = named.into_iter().filter(|name| !exists(name));
        faults.extend(missing.map(|name| format!("there is no `{name}`")));
    }
    assert_none("attacks without their tests", &faults);
}

#[test]
fn every_reason_to_turn_somebody_away_is_written_down() {
    let file = |path: &str| FILES.iter().find(|file| file.path == path).expect("it is there");
    let labels = &file("gateway/src/metrics/labels.rs").text;
    let reasons = labels.split("    TurnedAway {").nth(1).and_then(|rest| rest.split('}').next());
    let reasons: Vec<_> = reasons.unwrap_or_default().split('"').skip(1).step_by(2).collect();
    assert!(reasons.len() > 10, "the reasons are no longer found: {reasons:?}");
    let security = &file("SECURITY.md").text;
    let is_missing = |reason: &&&str| !security.contains(&format!("\"{reason}\""));
    let missing: Vec<_> = reasons.iter().filter(is_missing).map(|r| (*r).to_owned()).collect();
    assert_none("reasons that SECURITY.md does not name", &missing);
}

/// The rows of the table whose last column names tests.
fn rows(markdown: &str) -> impl Iterator<Item = &str> {
    let table = markdown.lines().skip_while(|line| !line.ends_with(COLUMN)).skip(2);
    table.take_while(|line| line.starts_with('|'))
}

/// What stands in the last column between backticks.
fn tests(row: &str) -> Vec<&str> {
    let column = row.trim_end().trim_end_matches('|').rsplit('|').next().unwrap_or_default();
    column.split('`').skip(1).step_by(2).collect()
}

/// Whether a file of tests holds this one: `module::of::the_test`, in which the modules are the
/// end of the file's path.
fn exists(name: &str) -> bool {
    let Some((modules, test)) = name.rsplit_once("::") else { return false };
    let path = format!("/{}.rs", modules.replace("::", "/"));
    let declared = format!("fn {test}(");
    let files = FILES.iter().filter(|file| file.is_test() && file.path.ends_with(&path));
    files.into_iter().any(|file| file.text.contains(&declared))
}

#[test]
fn tests_are_found_in_the_last_column_only() {
    let table =
        "a\n| attack | test |\n| --- | --- |\n| `x::y` | `b::c`, `d::e` |\n| z | none |\nend";
    let rows: Vec<_> = rows(table).collect();
    assert_eq!(rows, ["| `x::y` | `b::c`, `d::e` |", "| z | none |"]);
    assert_eq!(tests(rows[0]), ["b::c", "d::e"]);
    assert!(tests(rows[1]).is_empty());
}

#[test]
fn a_test_is_known_by_its_file_and_its_whole_name() {
    assert!(exists("tidy::security::a_test_is_known_by_its_file_and_its_whole_name"));
    assert!(!exists("tidy::security::a_test_is_known_by_its_file"));
    assert!(!exists("tidy::rules::a_test_is_known_by_its_file_and_its_whole_name"));
    assert!(!exists("a_test_is_known_by_its_file_and_its_whole_name"));
}
