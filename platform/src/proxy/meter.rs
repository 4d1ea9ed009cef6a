//! What a listener counts.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::status::{LATENCY_S, Listener, ListenerState};

/// The meters of all listeners.
#[derive(Debug, Default)]
pub struct Meters(Mutex<Vec<Arc<Meter>>>);

/// The meter of one listener.
#[derive(Debug)]
pub struct Meter {
    kind: &'static str,
    address: SocketAddr,
    state: Mutex<ListenerState>,
    open: AtomicU32,
    requests: AtomicU64,
    up: AtomicU64,
    down: AtomicU64,
    /// One entry for each word that the program knows.
    errors: Mutex<BTreeMap<&'static str, u64>>,
    latency: [AtomicU64; LATENCY_S.len() + 1],
    latency_ms: AtomicU64,
}

/// A connection that is open until this is dropped.
#[derive(Debug)]
pub struct Opened(Arc<Meter>);

impl Meters {
    /// A meter for a listener that works.
    pub fn add(&self, kind: &'static str, address: SocketAddr) -> Arc<Meter> {
        let meter = Arc::new(Meter {
            kind,
            address,
            state: Mutex::default(),
            open: AtomicU32::new(0),
            requests: AtomicU64::new(0),
            up: AtomicU64::new(0),
            down: AtomicU64::new(0),
            errors: Mutex::default(),
            latency: Default::default(),
            latency_ms: AtomicU64::new(0),
        });
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&meter));
        meter
    }

    /// All listeners.
    pub fn all(&self) -> Vec<Listener> {
        let meters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        meters.iter().map(|meter| meter.view()).collect()
    }
}

impl Meter {
    /// The listener does not work: why, and what to do.
    pub fn failed(&self, why: String) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = ListenerState::Failed(why);
    }

    /// A connection was opened.
    pub fn opened(self: &Arc<Self>) -> Opened {
        self.open.fetch_add(1, Ordering::Relaxed);
        Opened(Arc::clone(self))
    }

    /// A request came.
    pub fn request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// A request failed in this way.
    pub fn error(&self, word: &'static str) {
        let mut errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        let count = errors.entry(word).or_default();
        *count = count.saturating_add(1);
    }

    /// A target answered after this time.
    pub fn answered(&self, after: Duration) {
        let class = LATENCY_S.iter().position(|bound| after.as_secs_f64() <= *bound);
        if let Some(count) = self.latency.get(class.unwrap_or(LATENCY_S.len())) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.latency_ms.fetch_add(u64::try_from(after.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Bytes went from a client to a target.
    pub fn up(&self, bytes: usize) {
        self.up.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Bytes went from a target to a client.
    pub fn down(&self, bytes: usize) {
        self.down.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// As the status shows it.
    pub fn view(&self) -> Listener {
        let errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        Listener {
            kind: self.kind.to_owned(),
            address: self.address.to_string(),
            state: self.state.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            open: self.open.load(Ordering::Relaxed),
            requests: self.requests.load(Ordering::Relaxed),
            up: self.up.load(Ordering::Relaxed),
            down: self.down.load(Ordering::Relaxed),
            errors: errors.iter().map(|(word, count)| ((*word).to_owned(), *count)).collect(),
            latency: self.latency.iter().map(|count| count.load(Ordering::Relaxed)).collect(),
            latency_ms: self.latency_ms.load(Ordering::Relaxed),
        }
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happened_is_counted() {
        let meters = Meters::default();
        let meter = meters.add("socks", SocketAddr::from(([127, 0, 0, 1], 9150)));
        let open = meter.opened();
        meter.request();
        meter.error("refused");
        meter.answered(Duration::from_millis(200));
        meter.answered(Duration::from_hours(1));
        meter.up(3);
        meter.down(4);
        let view = meters.all().remove(0);
        assert_eq!((view.open, view.requests, view.up, view.down), (1, 1, 3, 4));
        assert_eq!(view.errors.get("refused"), Some(&1));
        assert_eq!((view.latency, view.latency_ms), (vec![0, 1, 0, 0, 0, 0, 0, 0, 1], 3_600_200));
        drop(open);
        meter.failed("why".into());
        let view = meters.all().remove(0);
        assert_eq!((view.open, view.state), (0, ListenerState::Failed("why".into())));
    }
}
