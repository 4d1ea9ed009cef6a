//! Whether something still moves, told from where it moves to whoever waits for it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// When something last moved, and whether it was cut for its length.
#[derive(Debug)]
pub(super) struct Progress(Mutex<(Instant, bool)>);

impl Default for Progress {
    fn default() -> Self {
        Self(Mutex::new((Instant::now(), false)))
    }
}

impl Progress {
    /// When it last moved.
    pub(super) fn moved(&self) -> Instant {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0
    }

    /// Whether it was cut for its length.
    pub(super) fn was_long(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1
    }

    pub(super) fn set(&self, now: Instant, long: bool) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = (now, long);
    }

    /// Ends when nothing has moved for so long, counted from now.
    pub(super) async fn silence(&self, patience: Duration) {
        let mut last = Instant::now();
        loop {
            tokio::time::sleep_until(last + patience).await;
            let moved = self.moved();
            if moved <= last {
                return;
            }
            last = moved;
        }
    }
}
