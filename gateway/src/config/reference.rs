//! What operators read about the settings, made from their declarations.

use crate::config::Config;
use crate::config::kind::quoted;
use crate::config::settings::{SETTINGS, Setting};

/// How wide the lines of comments in the sample are.
const WIDTH: usize = 96;

/// The reference of all settings, in Markdown.
pub fn reference() -> String {
    let mut text = String::from(INTRODUCTION);
    for (number, setting) in SETTINGS.iter().enumerate() {
        let previous = number.checked_sub(1).map(|before| &SETTINGS[before]);
        let section = section(setting);
        if previous.is_none_or(|previous| self::section(previous) != section) {
            text.push_str(&match section {
                "" => "\n## Top of the file\n".to_owned(),
                section => format!("\n## `[{section}]`\n"),
            });
        }
        text.push_str(&entry(setting));
    }
    text
}

fn entry(setting: &Setting) -> String {
    let names: Vec<_> = setting.env_names().map(|name| format!("`{name}`")).collect();
    let mut text = format!("\n### `{}`\n\n{}\n\n", setting.key, setting.doc.replace('\n', " "));
    let mut row = |name: &str, value: &str| text.push_str(&format!("- {name}: {value}\n"));
    row("Value", &setting.kind.says);
    row("Default", &default_of(setting, &Config::default()).map_or("none".to_owned(), code));
    if !setting.kind.same(&Config::default(), &Config::dev()) && setting.key != "dev" {
        row(
            "Default with `--dev`",
            &default_of(setting, &Config::dev()).map_or("none".to_owned(), code),
        );
    }
    row("Environment", &names.join(" or "));
    if let Some(flag) = setting.flag {
        let value = flag.value.map(|value| format!(" {value}")).unwrap_or_default();
        let again = if setting.kind.is_list { ", more than once for several" } else { "" };
        row("Flag", &format!("`--{}{value}`{again}", flag.name));
    }
    if setting.kind.is_secret {
        row("Secret", "never shown in logs, faults and `--print-config`");
    }
    row("Changes with", if setting.is_reloadable { "a reload (SIGHUP)" } else { "a restart" });
    text
}

/// A file with every default, in TOML, all commented out.
pub fn sample() -> String {
    let mut text = String::from(SAMPLE_INTRODUCTION);
    let mut known = "";
    for setting in SETTINGS.iter() {
        if section(setting) != known {
            known = section(setting);
            text.push_str(&format!("\n[{known}]\n"));
        }
        text.push('\n');
        for line in wrapped(&setting.doc) {
            text.push_str(&format!("# {line}\n"));
        }
        for line in wrapped(&format!("Value: {}.", setting.kind.says)) {
            text.push_str(&format!("# {line}\n"));
        }
        let name = setting.key.rsplit('.').next().unwrap_or_default();
        text.push_str(&match default_of(setting, &Config::default()) {
            Some(value) => format!("#{name} = {value}\n"),
            None if setting.kind.is_list => format!("#{name} = [{}]\n", quoted(&setting.example)),
            None => format!("#{name} = {}\n", quoted(&setting.example)),
        });
    }
    text
}

fn section(setting: &Setting) -> &'static str {
    setting.key.rsplit_once('.').map_or("", |(section, _)| section)
}

fn default_of(setting: &Setting, config: &Config) -> Option<String> {
    setting.default_says.map(str::to_owned).or_else(|| setting.kind.show(config))
}

fn code(value: String) -> String {
    format!("`{value}`")
}

/// The words in lines of limited width.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= WIDTH => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

const INTRODUCTION: &str = "\
# Configuration

<!-- Made by `barrage-gateway --print-config-reference`; a test compares. Do not edit. -->

Settings come from a TOML file (`--config FILE` or `BARRAGE_CONFIG`), the environment and flags;
what comes later in this list wins. [barrage.toml](barrage.toml) is a file with every default.

- Everything is checked at the start, and everything that is wrong is told at once, each with its
  source, key and value. The exit code is then 2. An unknown key in the file is a fault.
- `--print-config` prints the settings as they would be used, each with its source, and ends.
  Secrets are shown as `(set)`. What is strange or dangerous and no fault is told on standard
  error; a gateway that starts warns of it in its log.
- An empty variable counts as not set. Unknown variables that begin with `BARRAGE_` are ignored,
  with a warning if one is close to a setting. Several values are separated by commas.
- SIGHUP reads the file and the key files again. What can change without a restart does; what
  cannot is named in the log. If anything is wrong, everything stays as it was, the log says what
  is wrong, and `barrage_config_reloads_total{outcome=\"refused\"}` goes up.
- Times have a unit: `250ms`, `10s`, `2m`, `1h`.
";

const SAMPLE_INTRODUCTION: &str = "\
# A configuration of barrage-gateway with every default: `barrage-gateway --config barrage.toml`.
# Remove the `#` before what you change: what stays commented out follows the defaults of later
# versions. Names in the environment and flags are in configuration.md.
# Made by `barrage-gateway --print-config-sample`; a test compares.
";
