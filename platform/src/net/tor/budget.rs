//! What all streams together may make tor-proto hold (see [`wear`](super::wear)), and which one ends when that is too much.
//!
//! A limit for each stream would end a long download while nothing else goes on; so the most worn stream ends, and
//! only once the whole is spent. There are two sides, and neither can push the other below half of it: visitors of ours
//! do not end what the owner's programs do.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::Waker;
use std::time::{Duration, Instant};

use super::wear;
use crate::net::room::RESERVE;

/// Between two warnings that a stream was ended.
const SILENCE: Duration = Duration::from_mins(1);

/// One side's way to the memory there is for it.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    whole: Arc<Whole>,
    side: Side,
}

/// Whose streams.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Side {
    /// Those of peers, which can be replaced, and of visitors.
    Peers,
    /// Those of other programs to their targets, which nothing can replace.
    Programs,
}

#[derive(Debug)]
struct Whole {
    most: usize,
    /// By each side.
    used: [AtomicUsize; 2],
    /// What of it is held for readers, who can get it back by a rest.
    reads: AtomicUsize,
    streams: AtomicUsize,
    book: Mutex<Book>,
}

#[derive(Debug, Default)]
struct Book {
    /// As many as there are streams, which have limits of their own.
    open: Vec<Weak<Entry>>,
    /// When the owner was last warned.
    warned: Option<Instant>,
}

/// What one stream holds of it. Given back when dropped.
#[derive(Debug)]
pub(super) struct Account {
    whole: Arc<Whole>,
    entry: Arc<Entry>,
}

#[derive(Debug)]
struct Entry {
    side: Side,
    held: AtomicUsize,
    /// The reader's part of it.
    reads: AtomicUsize,
    over: AtomicBool,
    /// Wakes who reads the stream.
    waker: Waker,
}

impl Budget {
    /// Of `most` bytes for both sides together.
    pub(super) fn new(most: u64) -> Self {
        let whole = Whole {
            most: usize::try_from(most).unwrap_or(usize::MAX),
            used: Default::default(),
            reads: AtomicUsize::new(0),
            streams: AtomicUsize::new(0),
            book: Mutex::default(),
        };
        Self { whole: Arc::new(whole), side: Side::Peers }
    }

    /// The same memory, for streams of `side`.
    pub(super) fn of(&self, side: Side) -> Self {
        Self { whole: Arc::clone(&self.whole), side }
    }

    pub(super) const fn side(&self) -> Side {
        self.side
    }

    /// For a stream whose reader `waker` wakes.
    pub(super) fn open(&self, waker: Waker) -> Account {
        let entry = Arc::new(Entry {
            side: self.side,
            held: AtomicUsize::new(0),
            reads: AtomicUsize::new(0),
            over: AtomicBool::new(false),
            waker,
        });
        self.whole.book.lock().unwrap_or_else(PoisonError::into_inner).open.push(Arc::downgrade(&entry));
        self.whole.streams.fetch_add(1, Ordering::Relaxed);
        Account { whole: Arc::clone(&self.whole), entry }
    }
}

impl Account {
    /// Notes how many bytes the stream's reader and its writer hold now. May end a stream, this one included.
    pub(super) fn hold(&self, reads: usize, writes: usize) {
        if self.over() {
            return;
        }
        let held = reads.saturating_add(writes);
        let before = self.whole.note(&self.entry, held, reads);
        if held > before && self.whole.used() > self.whole.limit() {
            self.whole.relieve();
        }
    }

    /// Whether the stream must end now.
    pub(super) fn over(&self) -> bool {
        self.entry.over.load(Ordering::Relaxed)
    }

    /// Polls after which the reader should rest: fewer, the nearer all readers together come to half of what there is.
    pub(super) fn rest_after(&self) -> usize {
        wear::rest_after(self.whole.reads.load(Ordering::Relaxed), self.whole.limit() / 2)
    }
}

impl Whole {
    /// What may be held at present. Arti sets memory aside for each open stream, which is missing here; a third stays.
    fn limit(&self) -> usize {
        let reserve = usize::try_from(RESERVE).unwrap_or(usize::MAX);
        let reserved = self.streams.load(Ordering::Relaxed).saturating_mul(reserve);
        self.most.saturating_sub(reserved.min(self.most / 3 * 2))
    }

    fn used(&self) -> usize {
        self.used.iter().map(|side| side.load(Ordering::Relaxed)).fold(0, usize::saturating_add)
    }

    /// Says how much it was before.
    fn note(&self, entry: &Entry, held: usize, reads: usize) -> usize {
        let used = match entry.side {
            Side::Peers => &self.used[0],
            Side::Programs => &self.used[1],
        };
        used.fetch_add(held, Ordering::Relaxed);
        self.reads.fetch_add(reads, Ordering::Relaxed);
        self.reads.fetch_sub(entry.reads.swap(reads, Ordering::Relaxed), Ordering::Relaxed);
        let before = entry.held.swap(held, Ordering::Relaxed);
        used.fetch_sub(before, Ordering::Relaxed);
        before
    }

    /// Ends the most worn stream of the side that uses more, however little that is: what it held is free then, so this
    /// is done for as much that comes anew, and not at each poll.
    fn relieve(&self) {
        let [peers, programs] = &self.used;
        let more = programs.load(Ordering::Relaxed) > peers.load(Ordering::Relaxed);
        let side = if more { Side::Programs } else { Side::Peers };
        let held = |entry: &Arc<Entry>| entry.held.load(Ordering::Relaxed);
        let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        let open = book.open.iter().filter_map(Weak::upgrade).filter(|entry| entry.side == side);
        let Some(most) = open.max_by_key(held) else { return };
        most.over.store(true, Ordering::Relaxed);
        let now = Instant::now();
        if book.warned.is_none_or(|last| now.duration_since(last) >= SILENCE) {
            book.warned = Some(now);
            warn(side, held(&most) >> 10);
        }
        drop(book);
        // It will be free soon; nobody else shall end for it meanwhile.
        self.note(&most, 0, 0);
        most.waker.wake_by_ref();
    }
}

/// Tells the owner what to do. Targets have no names here.
fn warn(side: Side, kib: usize) {
    let cure = match side {
        Side::Peers => "what asked for it can go on where it ended; more memory lets it go on for longer",
        Side::Programs => {
            "the same transfer tried again by its program takes circuits that hold none; where long uploads go, name their \
             ports in net.tor.upload_ports, and they do so at once"
        }
    };
    log::warn!(
        "a stream that moved very much was ended, as long ones took their whole share of memory ({kib} KiB this one): {cure}"
    );
}

impl Drop for Account {
    fn drop(&mut self) {
        self.whole.note(&self.entry, 0, 0);
        self.whole.streams.fetch_sub(1, Ordering::Relaxed);
        let mut book = self.whole.book.lock().unwrap_or_else(PoisonError::into_inner);
        let own = Arc::as_ptr(&self.entry);
        book.open.retain(|entry| !std::ptr::eq(entry.as_ptr(), own));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1024 * 1024;

    /// What is left of it with `streams` open is 20 MiB.
    fn budget(streams: usize) -> Budget {
        Budget::new((20 * MIB + streams * 32 * 1024) as u64)
    }

    fn account(budget: &Budget) -> Account {
        budget.open(Waker::noop().clone())
    }

    #[test]
    fn one_stream_alone_may_hold_all_of_it_and_no_more() {
        let budget = budget(1);
        let one = account(&budget);
        one.hold(10 * MIB, 10 * MIB);
        assert!(!one.over());
        one.hold(10 * MIB, 10 * MIB + 1);
        assert!(one.over());
    }

    #[test]
    fn the_most_worn_ends_whoever_went_too_far() {
        let budget = budget(3);
        let [small, large, middle] = [(); 3].map(|()| account(&budget));
        small.hold(4 * MIB, 0);
        large.hold(0, 9 * MIB);
        middle.hold(7 * MIB, 0);
        assert!(!small.over() && !large.over() && !middle.over());
        small.hold(5 * MIB, 0);
        assert!(!small.over() && large.over() && !middle.over());
        // What the large one held counts no longer, though it is still there.
        middle.hold(14 * MIB, 0);
        assert!(!small.over() && !middle.over());
        large.hold(0, 10 * MIB);
        middle.hold(15 * MIB, 0);
        assert!(!small.over() && !middle.over());
    }

    #[test]
    fn neither_side_ends_what_the_other_does_within_its_half() {
        let budget = budget(9);
        let program = account(&budget.of(Side::Programs));
        program.hold(0, 9 * MIB);
        let visitors: Vec<_> = (0..8).map(|_| account(&budget)).collect();
        for visitor in &visitors {
            visitor.hold(0, 2 * MIB);
        }
        assert!(!program.over());
        assert_eq!(visitors.iter().filter(|visitor| visitor.over()).count(), 3);
        program.hold(0, 11 * MIB);
        assert!(program.over(), "it uses more than half");
    }

    #[test]
    fn what_a_stream_held_is_free_once_it_is_gone_or_renewed() {
        let budget = budget(2);
        let one = account(&budget);
        let other = account(&budget);
        one.hold(15 * MIB, 0);
        drop(one);
        other.hold(0, 15 * MIB);
        other.hold(0, 0);
        let third = account(&budget);
        third.hold(19 * MIB, 0);
        assert!(!other.over() && !third.over());
        drop((other, third));
        assert_eq!((budget.whole.used(), budget.whole.reads.load(Ordering::Relaxed)), (0, 0));
        assert!(budget.whole.book.lock().unwrap().open.is_empty());
    }

    #[test]
    fn it_is_a_bound_however_many_streams_there_are() {
        let budget = Budget::new(48 * MIB as u64);
        let streams: Vec<_> = (0..1024).map(|_| account(&budget.of(Side::Programs))).collect();
        assert_eq!(budget.whole.limit(), 16 * MIB);
        for step in 1..=10 {
            for stream in &streams {
                stream.hold(0, step * 4096);
                assert!(budget.whole.used() <= 16 * MIB);
            }
        }
        let ended = streams.iter().filter(|stream| stream.over()).count();
        assert!(ended >= 512, "{ended}");
        let going = streams.len() - ended;
        assert!(going >= 16 * 1024 / 41, "{going} go on, though there is room for more");
    }

    #[test]
    fn readers_rest_more_often_the_more_they_hold_together() {
        let budget = budget(4);
        let streams = [(); 4].map(|()| account(&budget));
        let [first, second, uploads, new] = &streams;
        assert_eq!(new.rest_after(), wear::rest_after(0, 1));
        let alone = new.rest_after();
        first.hold(5 * MIB, 0);
        assert_eq!(new.rest_after(), alone / 2);
        uploads.hold(0, 5 * MIB);
        assert_eq!(new.rest_after(), alone / 2, "uploads gain nothing by it");
        second.hold(5 * MIB, 0);
        assert!(new.rest_after() < alone / 8);
    }
}
