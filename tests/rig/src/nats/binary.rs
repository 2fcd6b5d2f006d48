//! Finding nats-server.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Paths of nats-server programs, separated by `:`; the least version first.
const VARIABLE: &str = "BARRAGE_NATS_SERVERS";

/// A nats-server that is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binary {
    /// The program.
    pub path: PathBuf,
    /// Its version, such as `2.11.11`.
    pub version: String,
}

impl Binary {
    /// All that the environment names, else those that the test script has installed; oldest
    /// first. Without any a test is to return: it says here that it was skipped.
    ///
    /// # Panics
    /// There is none, and this is CI; or one that is named does not run.
    pub fn all() -> Vec<Self> {
        let found: Vec<_> = paths().into_iter().map(Self::at).collect();
        if found.is_empty() {
            skip();
        }
        found
    }

    /// The oldest one, or `None` if the test is to be skipped.
    pub fn oldest() -> Option<Self> {
        Self::all().into_iter().next()
    }

    /// The newest one, or `None` if the test is to be skipped.
    pub fn newest() -> Option<Self> {
        Self::all().pop()
    }

    fn at(path: PathBuf) -> Self {
        let told = Command::new(&path).arg("--version").output();
        let told = told.unwrap_or_else(|error| panic!("{}: {error}", path.display())).stdout;
        let told = String::from_utf8_lossy(&told);
        let version = told.trim().rsplit('v').next().unwrap_or_default().to_owned();
        assert!(told.starts_with("nats-server"), "{}: no nats-server: {told}", path.display());
        Self { path, version }
    }
}

fn paths() -> Vec<PathBuf> {
    match std::env::var_os(VARIABLE) {
        Some(paths) => {
            std::env::split_paths(&paths).filter(|p| !p.as_os_str().is_empty()).collect()
        }
        None => installed(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools/nats")),
    }
}

/// The programs below `folder/<version>`, by version.
fn installed(folder: &Path) -> Vec<PathBuf> {
    let versions = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let numbers = |name: &str| name.split('.').map(|part| part.parse::<u32>().ok()).collect();
    let mut found: Vec<(Vec<Option<u32>>, PathBuf)> = versions
        .map(|entry| {
            let numbers = numbers(&entry.file_name().to_string_lossy());
            (numbers, entry.path().join("bin/nats-server"))
        })
        .filter(|(_, path)| path.is_file())
        .collect();
    found.sort();
    found.into_iter().map(|(_, path)| path).collect()
}

#[allow(clippy::print_stderr, reason = "a skipped test says so")]
fn skip() {
    let is_ci = ["CI", "BARRAGE_CI"].iter().any(|name| std::env::var_os(name).is_some());
    assert!(!is_ci, "there is no nats-server: set {VARIABLE}, or run `scripts/test.sh setup`");
    eprintln!("skipped: there is no nats-server (`scripts/test.sh setup` installs it)");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn installed_versions_are_ordered_by_number() {
        let folder = tempfile::tempdir().unwrap();
        for version in ["2.11.11", "2.9.3", "2.15.1", "2.11.2"] {
            let bin = folder.path().join(version).join("bin");
            std::fs::create_dir_all(&bin).unwrap();
            std::fs::write(bin.join("nats-server"), "").unwrap();
        }
        std::fs::create_dir_all(folder.path().join("3.0.0")).unwrap();
        let found = installed(folder.path());
        let versions: Vec<_> =
            found.iter().map(|path| path.strip_prefix(folder.path()).unwrap()).collect();
        let expected =
            ["2.9.3", "2.11.2", "2.11.11", "2.15.1"].map(|v| format!("{v}/bin/nats-server"));
        assert!(
            versions.iter().zip(&expected).all(|(found, expected)| found == &Path::new(expected))
        );
        assert_eq!(versions.len(), expected.len());
    }
}
