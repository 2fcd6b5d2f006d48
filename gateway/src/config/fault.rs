//! What is wrong with a configuration, and where it stands.

use std::fmt;
use std::path::PathBuf;

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Nobody gave it.
    Default,
    /// Nobody gave it, and `--dev` has a default of its own.
    Dev,
    /// A line of the file; none if it is about the file as a whole.
    File { path: PathBuf, line: Option<usize> },
    /// A variable of the environment.
    Env(String),
    /// A flag, without its dashes.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Dev => f.write_str("default of --dev"),
            Self::File { path, line: None } => write!(f, "{}", path.display()),
            Self::File { path, line: Some(line) } => write!(f, "{}:{line}", path.display()),
            Self::Env(name) => f.write_str(name),
            Self::Flag(flag) => write!(f, "--{flag}"),
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub(crate) origin: Origin,
    /// The key; empty if it is about a whole file.
    pub(crate) key: String,
    /// The value as it was given; a secret's is never kept here.
    pub(crate) value: Option<String>,
    pub(crate) why: String,
}

impl Fault {
    /// Where it stands among others: by source, and in a file by line.
    pub(super) fn rank(&self) -> (u8, usize) {
        match self.origin {
            Origin::File { line, .. } => (0, line.unwrap_or(0)),
            Origin::Env(_) => (1, 0),
            Origin::Flag(_) => (2, 0),
            Origin::Default | Origin::Dev => (3, 0),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { origin, key, value, why } = self;
        match (origin, value) {
            (Origin::Env(_), Some(value)) => write!(f, "{origin}={value}")?,
            (Origin::Flag(_), Some(value)) => write!(f, "{origin} {value}")?,
            (Origin::Env(_) | Origin::Flag(_), None) => write!(f, "{origin}")?,
            (Origin::Default | Origin::Dev, Some(value)) => {
                write!(f, "{key} = {value} ({origin})")?
            }
            (Origin::Default | Origin::Dev, None) => f.write_str(key)?,
            (Origin::File { .. }, _) if key.is_empty() => write!(f, "{origin}")?,
            (Origin::File { .. }, Some(value)) => write!(f, "{origin}: {key} = {value}")?,
            (Origin::File { .. }, None) => write!(f, "{origin}: {key}")?,
        }
        write!(f, ": {why}")
    }
}

/// Everything that is wrong with a configuration.
#[derive(Debug, thiserror::Error)]
#[error("the configuration cannot be used:\n{}", .0.iter().map(|f| format!("  {f}")).collect::<Vec<_>>().join("\n"))]
pub struct Faults(pub Vec<Fault>);

/// The known name that somebody may have meant, if one is close.
pub(super) fn meant<'a>(given: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // One slip in every three letters, and no more than four.
    let slips = (given.chars().count() / 3).clamp(1, 4);
    let distances = known.map(|name| (strsim::osa_distance(given, name), name));
    distances.filter(|(distance, _)| *distance <= slips).min().map(|(_, name)| name)
}
