//! How long a file may be.

use crate::assert_none;
use crate::repository::FILES;
use crate::rust::without_tests;

/// Aim at 120 lines and think about splitting past 300; here it ends. Tests at the end of a
/// file do not count.
const LINES_MAX: usize = 400;

/// Files that may be longer for now, each with what is to become of it. Keep it empty.
const EXCEPTIONS: [&str; 0] = [];

#[test]
fn no_file_is_too_long_to_be_read_in_one_go() {
    let sources = FILES.iter().filter(|file| file.has_ending(&["rs", "js", "mjs", "py", "sh"]));
    let lengths = sources.map(|file| (&file.path, without_tests(&file.text).lines().count()));
    let too_long: Vec<_> = lengths.filter(|(_, lines)| *lines > LINES_MAX).collect();
    let unexpected = too_long.iter().filter(|(path, _)| !EXCEPTIONS.contains(&path.as_str()));
    let unexpected: Vec<_> = unexpected.map(|(path, lines)| format!("{path}: {lines}")).collect();
    assert_none("more than 400 lines", &unexpected);
    let is_needless = |path: &&&str| !too_long.iter().any(|(long, _)| long == *path);
    let needless = EXCEPTIONS.iter().filter(is_needless).map(|path| path.to_string());
    assert_none("exceptions that are needed no longer", &needless.collect::<Vec<_>>());
}
