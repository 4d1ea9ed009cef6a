//! Log lines on stderr: `level target: text`, scrubbed at info and above.
//!
//! What logs through `log` (ours) and through `tracing` (Arti) comes together here. Times are left to whoever
//! collects the lines (the journal, a container): a board may not know the time.

mod bridge;
mod ring;
mod scrub;

use std::io::Write;

use log::{LevelFilter, Log, Metadata, Record};

pub(crate) use ring::{Line, recent};

use crate::config::Level;

/// Writes to stderr.
struct Logger;

/// Crates other than ours are heard at warn and above, or at all levels from debug on.
const OURS: &str = "bulbil";

/// Starts logging, once per process.
pub(crate) fn start(level: Level) {
    let level = match level {
        Level::Off => LevelFilter::Off,
        Level::Error => LevelFilter::Error,
        Level::Warn => LevelFilter::Warn,
        Level::Info => LevelFilter::Info,
        Level::Debug => LevelFilter::Debug,
        Level::Trace => LevelFilter::Trace,
    };
    log::set_max_level(level);
    if log::set_logger(&Logger).is_ok() {
        bridge::install();
    }
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let foreign = !metadata.target().starts_with(OURS);
        let limit = match log::max_level() {
            LevelFilter::Info if foreign => LevelFilter::Warn,
            limit => limit,
        };
        metadata.level() <= limit
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let line = line(record);
        // Nobody to tell if stderr is gone.
        let _ = std::io::stderr().lock().write_all(line.as_bytes());
    }

    fn flush(&self) {}
}

/// One line, whatever the text holds.
fn line(record: &Record<'_>) -> String {
    let text = record.args().to_string().replace(['\n', '\r'], " ");
    let level = record.level().as_str().to_lowercase();
    let target = record.target().split("::").next().unwrap_or_default();
    if record.level() <= log::Level::Info {
        let text = scrub::scrub(&text);
        ring::keep(&level, &format!("{target}: {text}"));
        format!("{level:5} {target}: {text}\n")
    } else {
        format!("{level:5} {}: {text}\n", record.target())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(level: log::Level, text: &str) -> String {
        line(&Record::builder().level(level).target("bulbil::x").args(format_args!("{text}")).build())
    }

    #[test]
    fn info_is_scrubbed_and_stays_one_line() {
        let said = said(log::Level::Info, "serving /srv/films\nfor all");
        assert_eq!(said, "info  bulbil: serving [path]\n");
    }

    #[test]
    fn debug_is_not() {
        assert!(said(log::Level::Debug, "serving /srv/films").contains("/srv/films"));
    }
}
