//! Settings from a TOML file, each with its line.

use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use crate::config::fault::{Fault, Origin, meant};
use crate::config::kind::Shape;
use crate::config::settings::{SETTINGS, Setting};
use crate::config::source::Given;
use crate::secret::SHOWN;

/// A configuration is a few kilobytes; this is somebody's disk image, in bytes.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Reads a file; what is wrong with it is told, and the rest is used.
pub(super) fn read(path: &Path) -> (Vec<Given>, Vec<Fault>) {
    let text = match text_of(path) {
        Ok(text) => text,
        Err(why) => {
            let origin = Origin::File { path: path.to_owned(), line: None };
            return (Vec::new(), vec![Fault { origin, key: String::new(), value: None, why }]);
        }
    };
    parse(path, &text)
}

/// The whole text of a file that is not unreasonably large.
pub(super) fn text_of(path: &Path) -> Result<String, String> {
    let size = std::fs::metadata(path).map(|file| file.len());
    match size {
        Ok(bytes) if bytes > FILE_BYTES_MAX => Err(format!("larger than {FILE_BYTES_MAX} bytes")),
        Ok(_) => std::fs::read_to_string(path).map_err(|error| format!("cannot be read: {error}")),
        Err(error) => Err(format!("cannot be read: {error}")),
    }
}

pub(super) fn parse(path: &Path, text: &str) -> (Vec<Given>, Vec<Fault>) {
    let mut reader = Reader { path: path.to_owned(), text, given: Vec::new(), faults: Vec::new() };
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        // Only the message: the line itself may hold a secret.
        let span = error.span().unwrap_or_default();
        reader.fault(span, String::new(), None, error.message().to_owned());
    }
    if reader.faults.is_empty() {
        reader.table("", table.get_ref());
    }
    (reader.given, reader.faults)
}

struct Reader<'a> {
    path: PathBuf,
    text: &'a str,
    given: Vec<Given>,
    faults: Vec<Fault>,
}

impl Reader<'_> {
    fn table(&mut self, section: &str, table: &DeTable<'_>) {
        for (name, value) in table {
            // Keys of ours hold nothing to escape, and a fault stays on its line.
            let escaped = name.get_ref().escape_debug();
            let key = match section {
                "" => escaped.to_string(),
                section => format!("{section}.{escaped}"),
            };
            let setting = SETTINGS.iter().find(|setting| setting.key == key);
            match (setting, value.get_ref()) {
                (Some(setting), found) => self.value(setting, name.span(), found),
                (None, DeValue::Table(table)) if !table.is_empty() || is_section(&key) => {
                    self.table(&key, table);
                }
                (None, _) => {
                    let close = meant(&key, SETTINGS.iter().map(|setting| setting.key));
                    let why = match close {
                        Some(close) => format!("there is no such setting; did you mean `{close}`?"),
                        None => "there is no such setting".to_owned(),
                    };
                    // Its value is not shown: it may be a secret whose key is misspelt.
                    self.fault(name.span(), key, None, why);
                }
            }
        }
    }

    fn value(&mut self, setting: &'static Setting, span: Range<usize>, found: &DeValue<'_>) {
        let shapes = setting.kind.shapes;
        let texts = match found.as_array().filter(|_| setting.kind.is_list) {
            Some(items) => items.iter().map(|item| text(shapes, item.get_ref())).collect(),
            None => text(shapes, found).map(|text| vec![text]),
        };
        match texts {
            Some(texts) => {
                let origin = self.origin(span);
                self.given.push(Given { setting, texts, origin });
            }
            None => {
                let wanted: Vec<_> = setting.kind.shapes.iter().map(|shape| shape.name()).collect();
                let value = if setting.kind.is_secret { SHOWN.to_owned() } else { shown(found) };
                let why = format!("must be {}", wanted.join(" or "));
                self.fault(span, setting.key.to_owned(), Some(value), why);
            }
        }
    }

    fn fault(&mut self, span: Range<usize>, key: String, value: Option<String>, why: String) {
        let origin = self.origin(span);
        self.faults.push(Fault { origin, key, value, why });
    }

    fn origin(&self, span: Range<usize>) -> Origin {
        let before = self.text.as_bytes().iter().take(span.start);
        let line = 1 + before.filter(|byte| **byte == b'\n').count();
        Origin::File { path: self.path.clone(), line: Some(line) }
    }
}

/// Whether there are settings in a section of this name.
fn is_section(name: &str) -> bool {
    let rest = |key: &'static str| key.strip_prefix(name);
    SETTINGS.iter().any(|setting| rest(setting.key).is_some_and(|rest| rest.starts_with('.')))
}

/// A single value as a text, if it has one of the forms.
fn text(shapes: &[Shape], found: &DeValue<'_>) -> Option<String> {
    let (shape, text) = match found {
        DeValue::String(text) => (Shape::Text, text.to_string()),
        DeValue::Integer(number) => (Shape::Number, whole(number)),
        DeValue::Boolean(on) => (Shape::Switch, on.to_string()),
        DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => {
            return None;
        }
    };
    shapes.contains(&shape).then_some(text)
}

/// A number in decimal; as it stands there if it is larger than any setting.
fn whole(number: &toml::de::DeInteger<'_>) -> String {
    let value = i64::from_str_radix(number.as_str(), number.radix());
    value.map_or_else(|_| number.to_string(), |value| value.to_string())
}

fn shown(found: &DeValue<'_>) -> String {
    match found {
        DeValue::String(text) => super::kind::quoted(text),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(on) => on.to_string(),
        DeValue::Datetime(time) => time.to_string(),
        DeValue::Array(_) => "an array".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}
