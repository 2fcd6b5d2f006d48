//! Logs: fields, not prose; never bodies or tokens.

use std::io::IsTerminal as _;

use tracing_subscriber::filter::{EnvFilter, LevelFilter};

/// What is logged: a level, or levels by module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFilter(String);

impl LogFilter {
    /// Takes directives such as `debug` or `info,gateway::shard=trace`; none if it is neither a
    /// level nor a list of modules with levels.
    pub fn parse(text: &str) -> Option<Self> {
        // A lone word would be a module; then a misspelt level would end the log.
        let is_module = |directive: &str| directive.contains(['=', '[']);
        let is_level = |directive: &str| directive.parse::<LevelFilter>().is_ok();
        // The empty text would be a level too: `error`.
        let is_clear = |one: &str| !one.is_empty() && (is_module(one) || is_level(one));
        let is_clear = text.split(',').map(str::trim).all(is_clear);
        let is_valid = is_clear && EnvFilter::builder().parse(text).is_ok();
        is_valid.then(|| Self(text.to_owned()))
    }

    /// The directives.
    pub fn text(&self) -> &str {
        &self.0
    }

    fn filter(&self) -> EnvFilter {
        // Checked when it was made.
        EnvFilter::builder().parse_lossy(&self.0)
    }
}

impl Default for LogFilter {
    fn default() -> Self {
        Self("info".to_owned())
    }
}

/// The running log.
pub struct Log {
    replace: Box<dyn Fn(EnvFilter) + Send + Sync>,
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Log")
    }
}

impl Log {
    /// Starts logging to standard error.
    pub fn start(filter: &LogFilter) -> Self {
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(std::io::stderr().is_terminal())
            .with_writer(std::io::stderr)
            .with_env_filter(filter.filter())
            .with_filter_reloading();
        let handle = subscriber.reload_handle();
        subscriber.init();
        // Fails only if the log has ended, which it does with the process.
        Self { replace: Box::new(move |filter| drop(handle.reload(filter))) }
    }

    /// Logs by another filter from now on.
    pub fn follow(&self, filter: &LogFilter) {
        (self.replace)(filter.filter());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspelt_level_is_no_filter() {
        for text in ["debug", "OFF", "info,gateway::shard=trace", "gateway[room{id=7}]=debug"] {
            assert_eq!(LogFilter::parse(text).unwrap().text(), text);
        }
        for text in ["", "dbug", "info,gateway", "gateway=loud", "a=b=c"] {
            assert_eq!(LogFilter::parse(text), None, "{text}");
        }
    }
}
