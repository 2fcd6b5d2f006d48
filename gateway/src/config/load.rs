//! From sources to a checked configuration.

use serde_json::json;

use crate::config::check::{contradictions, keys_of, warnings};
use crate::config::fault::{Fault, Faults, Origin};
use crate::config::settings::{SETTINGS, Setting};
use crate::config::source::{Given, Sources};
use crate::config::{Config, file};
use crate::secret::{SHOWN, Secret};

/// The key of the server API in development.
const DEV_KEY: &str = "dev";

/// A checked configuration, and where it comes from.
#[derive(Debug)]
pub struct Loaded {
    /// The result.
    pub config: Config,
    /// What is strange and no fault.
    pub warnings: Vec<String>,
    /// By setting.
    origins: Vec<Origin>,
}

impl Sources {
    /// Reads the file and checks everything.
    ///
    /// # Errors
    /// [`Faults`]: all of them at once, each with its source, key and value.
    pub fn load(&self) -> Result<Loaded, Faults> {
        let (mut loaded, mut faults) = self.assemble();
        if faults.is_empty() {
            faults.extend(contradictions(&loaded.config).into_iter().map(|(key, why)| {
                let setting = SETTINGS.iter().find(|setting| setting.key == key);
                let value = setting.and_then(|setting| setting.kind.show(&loaded.config));
                let origin = setting.map_or(Origin::Default, |s| loaded.origins[place(s)].clone());
                Fault { origin, key: key.to_owned(), value, why }
            }));
        }
        faults.extend(finish(&mut loaded.config).err().unwrap_or_default());
        if faults.is_empty() {
            loaded.warnings.extend(warnings(&loaded.config));
            Ok(loaded)
        } else {
            faults.sort_by_key(Fault::rank);
            Err(Faults(faults))
        }
    }

    /// Puts every value into its place, each checked by itself only.
    pub(super) fn assemble(&self) -> (Loaded, Vec<Fault>) {
        let (mut given, mut faults) = match &self.file {
            Some(path) => file::read(path),
            None => (Vec::new(), Vec::new()),
        };
        faults.extend(self.faults.iter().cloned());
        given.extend(self.given.iter().cloned());

        let mut config = if is_dev(&given) { Config::dev() } else { Config::default() };
        let without_dev = Config::default();
        let is_general = |setting: &Setting| setting.kind.same(&config, &without_dev);
        let origin = |setting| if is_general(setting) { Origin::Default } else { Origin::Dev };
        let mut origins: Vec<_> = SETTINGS.iter().map(origin).collect();
        // Also what a later source wins over must be valid: it may stand alone tomorrow.
        for Given { setting, texts, origin } in given {
            match setting.kind.set(&mut config, &texts) {
                Ok(()) => origins[place(setting)] = origin,
                Err(why) => faults.push(Fault {
                    key: setting.key.to_owned(),
                    value: Some(shown(setting, &texts, &origin)),
                    origin,
                    why,
                }),
            }
        }
        (Loaded { config, warnings: self.warnings.clone(), origins }, faults)
    }
}

/// Whether the last source that says anything about it wants `--dev`.
fn is_dev(given: &[Given]) -> bool {
    let mut probe = Config::default();
    for given in given.iter().filter(|given| given.setting.key == "dev") {
        // What is wrong with it is told with the other faults.
        let _ = given.setting.kind.set(&mut probe, &given.texts);
    }
    probe.dev
}

/// Fills in what follows from settings.
fn finish(config: &mut Config) -> Result<(), Vec<Fault>> {
    config.api_keys = config.api.keys.clone();
    if config.dev {
        config.api_keys.push(Secret::new(DEV_KEY));
    }
    let client = json!({ "dev": config.dev, "tick_ms": config.hub.room.tick_ms });
    config.public.client_json = client.to_string();
    config.public.echo = config.dev;
    if let Some(path) = &config.api.key_file {
        config.api_keys.extend(keys_of(path)?);
    }
    Ok(())
}

/// What was given, as it stands in its source.
fn shown(setting: &Setting, texts: &[String], origin: &Origin) -> String {
    let is_quoted = |text: &str| {
        let is_bare = text.parse::<i64>().is_ok() || text.parse::<bool>().is_ok();
        // A fault stays on its line.
        let is_strange = text.is_empty() || text.contains(char::is_control);
        is_strange || (matches!(origin, Origin::File { .. }) && !is_bare)
    };
    match texts {
        _ if setting.kind.is_secret => SHOWN.to_owned(),
        [text] if is_quoted(text) => super::kind::quoted(text),
        texts => texts.join(","),
    }
}

/// Where a setting stands among all.
fn place(setting: &Setting) -> usize {
    SETTINGS.iter().position(|other| other.key == setting.key).unwrap_or_default()
}

impl Loaded {
    /// The result as a file, each line with its source. Secrets are shown as `(set)`.
    pub fn render(&self) -> String {
        let mut text = String::new();
        let mut section = "";
        for (setting, origin) in SETTINGS.iter().zip(&self.origins) {
            let (its_section, name) = setting.key.rsplit_once('.').unwrap_or(("", setting.key));
            if its_section != section {
                section = its_section;
                text.push_str(&format!("\n[{section}]\n"));
            }
            text.push_str(&match setting.kind.show(&self.config) {
                Some(value) => format!("{name} = {value} # {origin}\n"),
                None => format!("# {name} is not set\n"),
            });
        }
        text
    }
}

/// The keys of the settings in which two configurations differ: those that a reload changes, and
/// those that need a restart.
pub(crate) fn differences(a: &Config, b: &Config) -> (Vec<&'static str>, Vec<&'static str>) {
    let differing = SETTINGS.iter().filter(|setting| !setting.kind.same(a, b));
    let (now, later): (Vec<_>, Vec<_>) = differing.partition(|setting| setting.is_reloadable);
    let keys = |settings: Vec<&Setting>| settings.iter().map(|setting| setting.key).collect();
    (keys(now), keys(later))
}
