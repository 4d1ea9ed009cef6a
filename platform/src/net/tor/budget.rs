//! What all streams together may make tor-proto hold (see [`wear`](super::wear)), and which one ends when that is too much.
//!
//! A limit for each stream would end a long download while nothing else goes on; so the most worn stream ends, and
//! only once the whole is spent.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::Waker;

/// Bytes below which a stream never ends for others: by then lanes are being replaced anyway.
const LEAST: usize = 3 * 1024 * 1024;

/// The memory there is for it.
#[derive(Clone, Debug)]
pub(super) struct Budget(Arc<Whole>);

#[derive(Debug)]
struct Whole {
    most: usize,
    used: AtomicUsize,
    /// As many as there are streams, which have limits of their own.
    open: Mutex<Vec<Weak<Entry>>>,
}

/// What one stream holds of it. Given back when dropped.
#[derive(Debug)]
pub(super) struct Account {
    whole: Arc<Whole>,
    entry: Arc<Entry>,
}

#[derive(Debug)]
struct Entry {
    held: AtomicUsize,
    over: AtomicBool,
    /// Wakes who reads the stream.
    waker: Waker,
}

impl Budget {
    /// Of `most` bytes.
    pub(super) fn new(most: u64) -> Self {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        Self(Arc::new(Whole { most, used: AtomicUsize::new(0), open: Mutex::default() }))
    }

    /// For a stream whose reader `waker` wakes.
    pub(super) fn open(&self, waker: Waker) -> Account {
        let entry = Arc::new(Entry { held: AtomicUsize::new(0), over: AtomicBool::new(false), waker });
        let mut open = self.0.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.push(Arc::downgrade(&entry));
        Account { whole: Arc::clone(&self.0), entry }
    }
}

impl Account {
    /// Notes how many bytes the stream holds now. May end a stream, this one included.
    pub(super) fn hold(&self, bytes: usize) {
        if self.over() {
            return;
        }
        let before = self.entry.held.swap(bytes, Ordering::Relaxed);
        self.whole.used.fetch_sub(before, Ordering::Relaxed);
        let used = self.whole.used.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        if bytes > before && used > self.whole.most {
            self.whole.relieve();
        }
    }

    /// Whether the stream must end now.
    pub(super) fn over(&self) -> bool {
        self.entry.over.load(Ordering::Relaxed)
    }
}

impl Whole {
    /// Ends the most worn stream.
    fn relieve(&self) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let held = |entry: &Arc<Entry>| entry.held.load(Ordering::Relaxed);
        let most = open.iter().filter_map(Weak::upgrade).max_by_key(held);
        drop(open);
        let Some(most) = most.filter(|entry| held(entry) >= LEAST) else { return };
        most.over.store(true, Ordering::Relaxed);
        log::warn!(
            "a stream that went on for very long was ended, as it held {} MiB of memory; ports in \
             net.tor.upload_ports hold none",
            held(&most) >> 20
        );
        // It will be free soon; nobody else shall end for it meanwhile.
        self.used.fetch_sub(most.held.swap(0, Ordering::Relaxed), Ordering::Relaxed);
        most.waker.wake_by_ref();
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.whole.used.fetch_sub(self.entry.held.swap(0, Ordering::Relaxed), Ordering::Relaxed);
        let mut open = self.whole.open.lock().unwrap_or_else(PoisonError::into_inner);
        let own = Arc::as_ptr(&self.entry);
        open.retain(|entry| !std::ptr::eq(entry.as_ptr(), own));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1024 * 1024;

    fn budget() -> Budget {
        Budget::new(20 * MIB as u64)
    }

    fn account(budget: &Budget) -> Account {
        budget.open(Waker::noop().clone())
    }

    #[test]
    fn one_stream_alone_may_hold_all_of_it_and_no_more() {
        let budget = budget();
        let one = account(&budget);
        one.hold(20 * MIB);
        assert!(!one.over());
        one.hold(20 * MIB + 1);
        assert!(one.over());
    }

    #[test]
    fn the_most_worn_ends_whoever_went_too_far() {
        let budget = budget();
        let [small, large, middle] = [(); 3].map(|()| account(&budget));
        small.hold(4 * MIB);
        large.hold(9 * MIB);
        middle.hold(7 * MIB);
        assert!(!small.over() && !large.over() && !middle.over());
        small.hold(5 * MIB);
        assert!(!small.over() && large.over() && !middle.over());
        // What the large one held counts no longer, though it is still there.
        middle.hold(14 * MIB);
        assert!(!small.over() && !middle.over());
        large.hold(10 * MIB);
        middle.hold(15 * MIB);
        assert!(!small.over() && !middle.over());
    }

    #[test]
    fn what_a_stream_held_is_free_once_it_is_gone_or_renewed() {
        let budget = budget();
        let one = account(&budget);
        let other = account(&budget);
        one.hold(15 * MIB);
        drop(one);
        other.hold(15 * MIB);
        other.hold(0);
        let third = account(&budget);
        third.hold(19 * MIB);
        assert!(!other.over() && !third.over());
        drop((other, third));
        assert_eq!(budget.0.used.load(Ordering::Relaxed), 0);
        assert!(budget.0.open.lock().unwrap().is_empty());
    }

    #[test]
    fn fresh_streams_never_end_for_others() {
        let budget = Budget::new(MIB as u64);
        let one = account(&budget);
        one.hold(2 * MIB);
        assert!(!one.over());
    }
}
