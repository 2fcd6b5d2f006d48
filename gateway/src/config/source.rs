//! Where settings come from: the command line, the environment, and which file to read.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::config::fault::{Fault, Origin, meant};
use crate::config::settings::{SETTINGS, Setting};

/// What begins every name in the environment.
const PREFIX: &str = "BARRAGE_";
/// Names the file.
const FILE_VARIABLE: &str = "BARRAGE_CONFIG";

/// What the command line asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// A gateway.
    Run,
    /// The configuration that a gateway would run with, without secrets.
    Print,
    /// The reference of all settings.
    Reference,
    /// A file with all defaults.
    Sample,
}

/// Where settings come from. Flags and environment are those at the start; the file is read at
/// every load.
#[derive(Debug, Clone)]
pub struct Sources {
    wish: Wish,
    pub(super) file: Option<PathBuf>,
    /// In rising order of precedence.
    pub(super) given: Vec<Given>,
    /// Variables that could not be read.
    pub(super) faults: Vec<Fault>,
    /// Variables that look like a setting and are none.
    pub(super) warnings: Vec<String>,
}

/// A value that somebody gave.
#[derive(Clone)]
pub(super) struct Given {
    pub(super) setting: &'static Setting,
    pub(super) texts: Vec<String>,
    pub(super) origin: Origin,
}

impl std::fmt::Debug for Given {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The texts may be secrets.
        f.debug_tuple("Given").field(&self.setting.key).field(&self.origin).finish()
    }
}

impl Sources {
    /// Takes a command line, the program's name first, and an environment.
    ///
    /// # Errors
    /// A flag that does not exist or lacks its value; also `--help` and `--version`, with what
    /// they print.
    pub fn new(
        arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, clap::Error> {
        let matches = command().try_get_matches_from(arguments)?;
        let wish = match () {
            () if matches.get_flag("print-config") => Wish::Print,
            () if matches.get_flag("print-config-reference") => Wish::Reference,
            () if matches.get_flag("print-config-sample") => Wish::Sample,
            () => Wish::Run,
        };
        let file = matches.get_one::<PathBuf>("config").cloned();
        let (given, faults, warnings) = (Vec::new(), Vec::new(), Vec::new());
        let mut sources = Self { wish, file, given, faults, warnings };
        // An empty variable is how scripts say that there is none.
        sources.read(environment.into_iter().filter(|(_, value)| !value.is_empty()));
        sources.given.extend(SETTINGS.iter().filter_map(|setting| from_flag(setting, &matches)));
        Ok(sources)
    }

    /// What the command line asks for.
    pub fn wish(&self) -> Wish {
        self.wish
    }

    fn read(&mut self, environment: impl Iterator<Item = (OsString, OsString)>) {
        let mut environment: Vec<_> = environment
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
            .filter(|(name, _)| name.starts_with(PREFIX))
            .collect();
        environment.sort();
        for (name, value) in environment {
            if name == FILE_VARIABLE {
                self.file.get_or_insert_with(|| value.into());
                continue;
            }
            let is_its = |setting: &&Setting| setting.env_names().any(|known| known == name);
            match SETTINGS.iter().find(is_its) {
                Some(setting) => self.take(setting, name, value),
                None => self.warnings.extend(stray(&name)),
            }
        }
    }

    fn take(&mut self, setting: &'static Setting, name: String, value: OsString) {
        let key = setting.key.to_owned();
        let fault = |origin, why: &str| Fault { origin, key, value: None, why: why.to_owned() };
        let earlier = self.given.iter().find(|given| given.setting.key == setting.key);
        match (value.into_string(), earlier) {
            (Err(_), _) => self.faults.push(fault(Origin::Env(name), "is not UTF-8")),
            (Ok(_), Some(earlier)) => {
                let why = format!("says the same as {}: set one of them", earlier.origin);
                self.faults.push(fault(Origin::Env(name), &why));
            }
            (Ok(value), None) if setting.kind.is_list => {
                let texts = value.split(',').map(|text| text.trim().to_owned()).collect();
                self.given.push(Given { setting, texts, origin: Origin::Env(name) });
            }
            (Ok(value), None) => {
                let (texts, origin) = (vec![value], Origin::Env(name));
                self.given.push(Given { setting, texts, origin });
            }
        }
    }
}

/// A warning about a variable that is close to a setting. Others are somebody else's: Kubernetes
/// sets `BARRAGE_PORT` and its like for a service of this name.
fn stray(name: &str) -> Option<String> {
    let known: Vec<String> = SETTINGS.iter().flat_map(Setting::env_names).collect();
    let known = known.iter().filter_map(|name| name.strip_prefix(PREFIX));
    let close = meant(name.strip_prefix(PREFIX)?, known)?;
    Some(format!("{name} is no setting; did you mean {PREFIX}{close}?"))
}

fn from_flag(setting: &'static Setting, matches: &ArgMatches) -> Option<Given> {
    let flag = setting.flag?;
    let texts = match flag.value {
        None => matches.get_flag(setting.key).then(|| vec!["true".to_owned()])?,
        Some(_) => matches.get_many::<String>(setting.key)?.cloned().collect(),
    };
    Some(Given { setting, texts, origin: Origin::Flag(flag.name) })
}

/// The command line.
fn command() -> Command {
    let file = Arg::new("config")
        .long("config")
        .value_name("FILE")
        .value_parser(clap::value_parser!(PathBuf))
        .help(format!(
            "A TOML file with settings; flags and variables win over it [env: {FILE_VARIABLE}]"
        ));
    let switch = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
    };
    Command::new("barrage-gateway")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Live danmaku rooms over WebSocket")
        .arg(file)
        .args(SETTINGS.iter().filter_map(argument))
        .arg(switch("print-config", "Print the settings as they would be used, and end"))
        .arg(switch("print-config-reference", "Print what every setting means").hide(true))
        .arg(switch("print-config-sample", "Print a file with every default").hide(true))
}

fn argument(setting: &Setting) -> Option<Arg> {
    let flag = setting.flag?;
    let doc = setting.doc.replace('\n', " ");
    let sentence = doc.split(". ").next().unwrap_or_default();
    let name = setting.env_alias.map(str::to_owned).or_else(|| setting.env_names().next())?;
    let argument = Arg::new(setting.key).long(flag.name).help(format!("{sentence} [env: {name}]"));
    Some(match flag.value {
        None => argument.action(ArgAction::SetTrue),
        Some(value) if setting.kind.is_list => argument.value_name(value).action(ArgAction::Append),
        Some(value) => argument.value_name(value),
    })
}
