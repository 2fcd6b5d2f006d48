//! Types of settings: how texts become a field of the configuration, and how it is shown.

mod amounts;

use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use ipnet::IpNet;

use crate::config::Config;
use crate::secret::{SHOWN, Secret};
use crate::telemetry::LogFilter;

pub(super) use amounts::{count, count_or_auto, millis, rate, seconds, time};

/// The form of a value in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Text,
    Number,
    Switch,
}

impl Shape {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Text => "a text in quotes",
            Self::Number => "a whole number without quotes",
            Self::Switch => "true or false without quotes",
        }
    }
}

/// The field that a setting fills.
type Field<T> = fn(&mut Config) -> &mut T;
type Set = Box<dyn Fn(&mut Config, &[String]) -> Result<(), String> + Send + Sync>;
type Show = Box<dyn Fn(&Config) -> Option<String> + Send + Sync>;
type Same = Box<dyn Fn(&Config, &Config) -> bool + Send + Sync>;

/// The type of a setting.
pub(super) struct Kind {
    /// What may stand there, for people.
    pub(super) says: String,
    /// A value that is no default, as a text; empty if the setting has to give one.
    pub(super) example: String,
    /// What may stand in a file.
    pub(super) shapes: &'static [Shape],
    /// Whether there may be several values: a flag that is repeated, a variable with commas, an
    /// array in a file.
    pub(super) is_list: bool,
    pub(super) is_secret: bool,
    set: Set,
    show: Show,
    same: Same,
}

impl Kind {
    /// Puts what was given into its place.
    ///
    /// # Errors
    /// What should have been given instead.
    pub(super) fn set(&self, config: &mut Config, texts: &[String]) -> Result<(), String> {
        (self.set)(config, texts)
    }

    /// The value as it stands in a file; none if there is none. Secrets are not shown.
    pub(super) fn show(&self, config: &Config) -> Option<String> {
        (self.show)(config)
    }

    /// Whether two configurations agree in this setting.
    pub(super) fn same(&self, a: &Config, b: &Config) -> bool {
        (self.same)(a, b)
    }

    /// One value. `show` is for a value as it stands in a file.
    fn one<T: PartialEq + Clone + 'static>(
        says: String,
        example: impl Into<String>,
        shapes: &'static [Shape],
        field: Field<T>,
        parse: impl Fn(&str) -> Option<T> + Send + Sync + 'static,
        show: impl Fn(&T) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        let wanted = format!("must be {says}");
        Self {
            says,
            example: example.into(),
            shapes,
            is_list: false,
            is_secret: false,
            set: Box::new(move |config, texts| {
                let [text] = texts else { return Err("one value is wanted".to_owned()) };
                *field(config) = parse(text).ok_or_else(|| wanted.clone())?;
                Ok(())
            }),
            show: Box::new(move |config| show(field(&mut config.clone()))),
            same: Box::new(move |a, b| *field(&mut a.clone()) == *field(&mut b.clone())),
        }
    }
}

/// `true` or `false`.
pub(super) fn switch(field: Field<bool>) -> Kind {
    let parse = |text: &str| match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Some(true),
        "false" | "no" | "off" | "0" => Some(false),
        _ => None,
    };
    let says = "`true` or `false`".to_owned();
    Kind::one(says, "true", &[Shape::Switch], field, parse, |on| Some(on.to_string()))
}

/// One of some words.
pub(super) fn choice<T>(words: &'static [(&'static str, T)], field: Field<T>) -> Kind
where
    T: PartialEq + Copy + Send + Sync + 'static,
{
    let names: Vec<_> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
    let parse = |text: &str| words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
    let show =
        |value: &T| words.iter().find(|(_, known)| known == value).map(|(word, _)| quoted(word));
    let last = words.last().map_or("", |(word, _)| *word);
    Kind::one(names.join(" or "), last, &[Shape::Text], field, parse, show)
}

/// An address with its port.
pub(super) fn address(field: Field<SocketAddr>) -> Kind {
    let says = "an address and a port such as `127.0.0.1:8080` or `[::1]:8080`".to_owned();
    let show = |address: &SocketAddr| Some(quoted(&address.to_string()));
    Kind::one(says, "[::]:443", &[Shape::Text], field, |text| text.parse().ok(), show)
}

/// Networks, each with the length of its prefix; a bare address is a network of one.
pub(super) fn networks(field: Field<Vec<IpNet>>) -> Kind {
    let says = "an address, or a network such as `10.0.0.0/8` or `fd00::/8`";
    let parse = |text: &str| {
        let network = text.parse().ok();
        network.or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
    };
    many(says, field, parse, IpNet::to_string)
}

/// The path of an address, without a slash at its end.
pub(super) fn path(field: Field<String>) -> Kind {
    let says =
        "empty, or begin with `/` and hold letters, digits, `-`, `_`, `.` and `/` only".to_owned();
    let parse = |text: &str| {
        let path = text.trim_end_matches('/');
        let is_fine = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'/');
        let is_path = path.is_empty() || (path.starts_with('/') && path.bytes().all(is_fine));
        is_path.then(|| path.to_owned())
    };
    Kind::one(says, "/live", &[Shape::Text], field, parse, |path| Some(quoted(path)))
}

/// The name of a file.
pub(super) fn file(field: Field<Option<PathBuf>>) -> Kind {
    let parse = |text: &str| (!text.is_empty()).then(|| Some(PathBuf::from(text)));
    let show = |path: &Option<PathBuf>| Some(quoted(&path.as_ref()?.display().to_string()));
    Kind::one("the name of a file".to_owned(), "", &[Shape::Text], field, parse, show)
}

/// A text, or nothing.
pub(super) fn text(says: &'static str, field: Field<Option<String>>) -> Kind {
    let parse = |text: &str| (!text.is_empty()).then(|| Some(text.to_owned()));
    let show = |text: &Option<String>| text.as_deref().map(quoted);
    Kind::one(says.to_owned(), "", &[Shape::Text], field, parse, show)
}

/// Something that reads itself from a text, or nothing.
pub(super) fn parsed<T>(says: &'static str, field: Field<Option<T>>) -> Kind
where
    T: FromStr + Display + PartialEq + Clone + 'static,
{
    let parse = |text: &str| text.parse().ok().map(Some);
    let show = |value: &Option<T>| Some(quoted(&value.as_ref()?.to_string()));
    Kind::one(says.to_owned(), "", &[Shape::Text], field, parse, show)
}

/// The same, several in a text with commas between them, and in which somebody may have put a
/// secret: what was given is not shown in faults.
pub(super) fn confidential<T>(says: &'static str, field: Field<Vec<T>>) -> Kind
where
    T: FromStr + ToString + PartialEq + 'static,
{
    let wanted = format!("each must be {says}");
    let set = move |config: &mut Config, texts: &[String]| {
        let parts = texts.iter().flat_map(|text| text.split(',').map(str::trim));
        let values = parts.map(|text| text.parse().ok()).collect::<Option<_>>();
        *field(config) = values.ok_or_else(|| wanted.clone())?;
        Ok(())
    };
    Kind { is_secret: true, set: Box::new(set), ..list(says, field) }
}

/// Several things that read themselves from texts.
pub(super) fn list<T>(says: &'static str, field: Field<Vec<T>>) -> Kind
where
    T: FromStr + ToString + PartialEq + 'static,
{
    many(says, field, |text| text.parse().ok(), T::to_string)
}

/// What is logged.
pub(super) fn log_filter(field: Field<LogFilter>) -> Kind {
    let says = "a level (`error`, `warn`, `info`, `debug`, `trace`, `off`), or levels by module \
                such as `info,gateway::shard=trace`";
    let show = |filter: &LogFilter| Some(quoted(filter.text()));
    Kind::one(says.to_owned(), "debug", &[Shape::Text], field, LogFilter::parse, show)
}

/// Something that reads itself from a text.
pub(super) fn value<T>(says: &'static str, example: &'static str, field: Field<T>) -> Kind
where
    T: FromStr + Display + PartialEq + Clone + 'static,
{
    let parse = |text: &str| text.parse().ok();
    let shapes = &[Shape::Text, Shape::Number];
    Kind::one(says.to_owned(), example, shapes, field, parse, |it| Some(quoted(&it.to_string())))
}

/// A secret.
pub(super) fn secret(field: Field<Option<Secret>>) -> Kind {
    let says = "visible ASCII, without spaces, and not empty".to_owned();
    let parse = |text: &str| is_key(text).then(|| Some(Secret::new(text)));
    let show = |secret: &Option<Secret>| secret.as_ref().map(|_| quoted(SHOWN));
    let kind = Kind::one(says, "a-secret", &[Shape::Text], field, parse, show);
    Kind { is_secret: true, ..kind }
}

/// Secrets, such as keys while they are rotated.
pub(super) fn secrets(field: Field<Vec<Secret>>) -> Kind {
    let says = "visible ASCII, without spaces, and not empty; several while rotating";
    let parse = |text: &str| is_key(text).then(|| Secret::new(text));
    let kind = many(says, field, parse, |_| SHOWN.to_owned());
    let show = move |config: &Config| {
        let is_set = !field(&mut config.clone()).is_empty();
        is_set.then(|| quoted(SHOWN))
    };
    Kind { is_secret: true, show: Box::new(show), ..kind }
}

/// Several values of a kind. `says` is said of each.
pub(super) fn many<T: PartialEq + 'static>(
    says: &str,
    field: Field<Vec<T>>,
    parse: impl Fn(&str) -> Option<T> + Send + Sync + 'static,
    show: impl Fn(&T) -> String + Send + Sync + 'static,
) -> Kind {
    let wanted = format!("each must be {says}");
    Kind {
        says: says.to_owned(),
        example: String::new(),
        shapes: &[Shape::Text],
        is_list: true,
        is_secret: false,
        set: Box::new(move |config, texts| {
            let values = texts.iter().map(|text| parse(text)).collect::<Option<_>>();
            *field(config) = values.ok_or_else(|| wanted.clone())?;
            Ok(())
        }),
        show: Box::new(move |config| {
            let mut config = config.clone();
            let shown: Vec<_> = field(&mut config).iter().map(|one| quoted(&show(one))).collect();
            Some(format!("[{}]", shown.join(", ")))
        }),
        same: Box::new(move |a, b| *field(&mut a.clone()) == *field(&mut b.clone())),
    }
}

/// Whether it can stand behind `Authorization: Bearer`.
pub(super) fn is_key(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic())
}

/// A text as it stands in a TOML file; what JSON escapes is escaped there in the same way.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
