//! The core's clock over tokio's, which tests can pause.

use std::time::Duration;

use bulbil_core::pump::Clock;
use bulbil_core::time::Millis;
use tokio::time::Instant;

/// Milliseconds since it was made.
#[derive(Clone, Copy, Debug)]
pub struct TokioClock {
    start: Instant,
}

impl TokioClock {
    /// Starts now. Needs a runtime.
    pub fn start() -> Self {
        Self { start: Instant::now() }
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Millis {
        Millis(u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    async fn until(&self, at: Millis) {
        match self.start.checked_add(Duration::from_millis(at.0)) {
            Some(at) => tokio::time::sleep_until(at).await,
            None => std::future::pending().await,
        }
    }
}
