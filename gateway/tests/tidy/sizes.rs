//! How long a file may be.

use crate::assert_none;
use crate::repository::FILES;
use crate::rust::without_tests;

/// Aim at 120 lines and think about splitting past 300; here it ends. Tests at the end of a
/// file do not count.
const LINES_MAX: usize = 400;

/// Files that may be longer, each with the reason. Keep it empty.
const EXCEPTIONS: [&str; 0] = [];

#[test]
fn no_file_is_too_long_to_be_read_in_one_go() {
    let sources = FILES.iter().filter(|file| file.has_ending(&["rs", "js", "mjs", "py", "sh"]));
    let lengths = sources.map(|file| (&file.path, without_tests(&file.text).lines().count()));
    let too_long: Vec<_> = lengths.filter(|(_, lines)| *lines > LINES_MAX).collect();
    let unexpected = too_long.iter().filter(|(path, _)| !EXCEPTIONS.contains(&path.as_str()));
    let unexpected: Vec<_> = unexpected.map(|(path, lines)| format!("{path}: {lines}")).collect();
    assert_none("more than 400 lines", &unexpected);
    let needless = EXCEPTIONS.iter().filter(|e| !too_long.iter().any(|(path, _)| path == *e));
    assert_eq!(needless.count(), 0, "an exception that is needed no longer");
}
