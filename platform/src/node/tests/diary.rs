//! What was logged on the thread of a test, which is that of its nodes, from `debug` up.

use std::cell::RefCell;

use log::{LevelFilter, Log, Metadata, Record};

thread_local! {
    static LINES: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

struct Diary;

impl Log for Diary {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        LINES.with_borrow_mut(|lines| {
            if let Some(lines) = lines {
                lines.push(format!("{} {}", record.level().as_str().to_lowercase(), record.args()));
            }
        });
    }

    fn flush(&self) {}
}

/// From now on everything is written down.
pub(super) fn open() {
    _ = log::set_logger(&Diary); // another test of this process may have done so
    log::set_max_level(LevelFilter::Debug);
    LINES.replace(Some(Vec::new()));
}

/// What was written down.
pub(super) fn close() -> Vec<String> {
    LINES.take().unwrap_or_default()
}
