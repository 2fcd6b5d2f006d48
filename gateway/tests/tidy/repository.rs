//! What git tracks.

use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

/// A tracked file that is text.
#[derive(Debug)]
pub(crate) struct File {
    /// From the repository's root, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// The paths of all tracked files, text or not.
pub(crate) static PATHS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let git = Command::new("git").args(["ls-files", "-z"]).current_dir(root()).output();
    let git = git.expect("git can be started");
    assert!(git.status.success(), "these tests run in a clone: {git:?}");
    let paths = String::from_utf8(git.stdout).expect("paths are UTF-8");
    let paths = paths.split_terminator('\0').filter(|path| root().join(path).is_file());
    paths.map(str::to_owned).collect()
});

/// All tracked files that are text.
pub(crate) static FILES: LazyLock<Vec<File>> = LazyLock::new(|| {
    let files = PATHS.iter().filter_map(|path| {
        let text = String::from_utf8(std::fs::read(root().join(path)).ok()?).ok()?;
        Some(File { path: path.clone(), text })
    });
    files.collect()
});

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the gateway is a folder of the workspace")
}

impl File {
    /// Whether it lies below one of these folders or is one of these files.
    pub(crate) fn is_in(&self, places: &[&str]) -> bool {
        places.iter().any(|place| {
            let rest = self.path.strip_prefix(place);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }

    /// Whether its name ends in one of these.
    pub(crate) fn has_ending(&self, endings: &[&str]) -> bool {
        self.path.rsplit_once('.').is_some_and(|(_, ending)| endings.contains(&ending))
    }

    /// Whether all of it is tests.
    pub(crate) fn is_test(&self) -> bool {
        let mut parts = self.path.split('/');
        parts.any(|part| part == "tests" || part == "tests.rs" || part.contains(".test."))
    }
}

#[test]
fn folder_holds_what_lies_below_it_and_not_its_namesakes() {
    let file = File { path: "gateway/src/hub/task.rs".to_owned(), text: String::new() };
    assert!(file.is_in(&["gateway/src/hub"]) && file.is_in(&["gateway/src/hub/task.rs"]));
    assert!(!file.is_in(&["gateway/src/hu"]) && !file.is_in(&["gateway/src/hub/task"]));
    assert!(file.has_ending(&["js", "rs"]) && !file.has_ending(&["s"]));
}

#[test]
fn repository_is_not_empty() {
    assert!(FILES.iter().any(|file| file.path == "gateway/src/lib.rs"));
}
