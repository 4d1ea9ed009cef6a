//! Who has a connection, and who gives way: a listener has so many seats, and one address may not take them all.
//!
//! Where every seat is taken, the next one that comes gets one of the address with the most: the one for which nothing was worked
//! for longest. What comes slowly, head or form, is no work; an answer that is being made stays, unless that takes
//! [too long](PATIENCE).

use std::cmp::Reverse;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// An answer that takes longer may be cut off when seats are short: longer than a look at files, or a password's hash.
const PATIENCE: Duration = Duration::from_secs(15);

/// Between two looks for a seat to take.
const LOOK: Duration = Duration::from_secs(1);

/// Where a connection comes from, if that is known.
pub trait Origin {
    /// The address that it counts for. This machine's own is none: a proxy on it may speak for many.
    fn origin(&self) -> Option<IpAddr> {
        None
    }
}

impl Origin for SocketAddr {
    fn origin(&self) -> Option<IpAddr> {
        Some(self.ip().to_canonical()).filter(|address| !address.is_loopback())
    }
}

impl Origin for tokio::net::unix::SocketAddr {}

/// All seats of a listener.
#[derive(Debug)]
pub(super) struct Seats {
    all: usize,
    /// Seats that one address may have; without it, nobody gives way.
    each: Option<usize>,
    free: Arc<Semaphore>,
    taken: Mutex<Vec<Arc<Seat>>>,
}

/// One connection's seat. Every request carries it as an extension.
#[derive(Debug)]
pub struct Seat {
    origin: Option<IpAddr>,
    state: Mutex<State>,
    /// Rung when it must give way.
    leave: Notify,
}

#[derive(Clone, Copy, Debug)]
struct State {
    works: bool,
    since: Instant,
    leaves: bool,
}

/// A seat that is taken, for as long as this lasts.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) seat: Arc<Seat>,
    seats: Arc<Seats>,
    _permit: OwnedSemaphorePermit,
}

impl Seats {
    pub(super) fn new(all: usize, each: Option<usize>) -> Arc<Self> {
        Arc::new(Self { all, each, free: Arc::new(Semaphore::new(all)), taken: Mutex::default() })
    }

    /// A seat, as soon as there is one; nothing for an address that has its share, and all of it at work.
    pub(super) async fn take(self: &Arc<Self>, origin: Option<IpAddr>) -> Option<Taken> {
        if !self.fits(origin) {
            return None;
        }
        let permit = loop {
            if let Ok(permit) = Arc::clone(&self.free).try_acquire_owned() {
                break permit;
            }
            if self.each.is_some() {
                give_way(&self.sitting(), |_| true);
            }
            if let Ok(permit) = timeout(LOOK, Arc::clone(&self.free).acquire_owned()).await {
                break permit.ok()?;
            }
        };
        let state = State { works: false, since: Instant::now(), leaves: false };
        let seat = Arc::new(Seat { origin, state: Mutex::new(state), leave: Notify::new() });
        lock(&self.taken).push(Arc::clone(&seat));
        Some(Taken { seat, seats: Arc::clone(self), _permit: permit })
    }

    /// Waits until nobody sits any more.
    pub(super) async fn empty(&self) {
        _ = self.free.acquire_many(u32::try_from(self.all).unwrap_or(u32::MAX)).await;
    }

    /// Whether this address may have one more: if it has its share, one of its own gives way.
    fn fits(&self, origin: Option<IpAddr>) -> bool {
        let (Some(each), Some(_)) = (self.each, origin) else { return true };
        let sitting = self.sitting();
        let own = |seat: &Seat| seat.origin == origin;
        sitting.iter().filter(|seat| own(seat)).count() < each || give_way(&sitting, own)
    }

    /// Those that do not leave yet.
    fn sitting(&self) -> Vec<Arc<Seat>> {
        lock(&self.taken).iter().filter(|seat| !lock(&seat.state).leaves).cloned().collect()
    }
}

/// One of those that may be asked gives way; tells whether there is one.
fn give_way(sitting: &[Arc<Seat>], may: impl Fn(&Seat) -> bool) -> bool {
    let share = |seat: &Seat| sitting.iter().filter(|other| other.origin == seat.origin).count();
    let spare =
        sitting.iter().filter(|seat| may(seat)).filter_map(|seat| Some((share(seat), seat.idle()?, seat)));
    let Some((.., seat)) = spare.max_by_key(|(share, since, _)| (*share, Reverse(*since))) else {
        return false;
    };
    lock(&seat.state).leaves = true;
    seat.leave.notify_one();
    true
}

impl Seat {
    /// An answer is being made from now on.
    pub fn work(&self) {
        self.set(true);
    }

    /// The answer is there.
    pub(super) fn rest(&self) {
        self.set(false);
    }

    /// Returns once it must give way.
    pub(super) async fn leave(&self) {
        self.leave.notified().await;
    }

    fn set(&self, works: bool) {
        let mut state = lock(&self.state);
        (state.works, state.since) = (works, Instant::now());
    }

    /// Since when nothing was worked; nothing if something is.
    fn idle(&self) -> Option<Instant> {
        let state = *lock(&self.state);
        (!state.works || state.since.elapsed() > PATIENCE).then_some(state.since)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        lock(&self.seats.taken).retain(|seat| !Arc::ptr_eq(seat, &self.seat));
    }
}

fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn from(last: u8) -> Option<IpAddr> {
        SocketAddr::from(([192, 168, 1, last], 4000)).origin()
    }

    fn leaves(taken: &Taken) -> bool {
        lock(&taken.seat.state).leaves
    }

    #[tokio::test]
    async fn one_address_has_its_share_and_no_more() {
        let seats = Seats::new(24, Some(2));
        let (first, second) = (seats.take(from(1)).await.unwrap(), seats.take(from(1)).await.unwrap());
        first.seat.work();
        let third = seats.take(from(1)).await.unwrap();
        assert_eq!([leaves(&first), leaves(&second)], [false, true], "the one that idles");
        third.seat.work();
        assert!(seats.take(from(1)).await.is_none(), "both at work");
        assert!(seats.take(from(2)).await.is_some());
        let here = Some(SocketAddr::from(([127, 0, 0, 1], 4000))).and_then(|here| here.origin());
        assert_eq!(here, None, "this machine is not counted");
    }

    #[tokio::test]
    async fn who_comes_when_all_is_taken_gets_a_seat_of_who_has_most() {
        let seats = Seats::new(4, Some(3));
        let mut crowd = Vec::new();
        for address in [1, 2, 2, 2] {
            crowd.push(seats.take(from(address)).await.unwrap());
        }
        crowd[1].seat.work();
        let next = seats.take(from(3));
        let mut next = std::pin::pin!(next);
        assert!(next.as_mut().now_or_never().is_none());
        let gone: Vec<_> = crowd.iter().map(leaves).collect();
        assert_eq!(gone, [false, false, true, false], "the longest idle one of the three");
        crowd[2].seat.leave().await;
        drop(crowd.remove(2));
        let next = next.await.unwrap();
        drop((crowd, next));
        seats.empty().await;
        assert!(lock(&seats.taken).is_empty());
    }

    #[tokio::test]
    async fn without_a_share_nobody_gives_way() {
        let seats = Seats::new(1, None);
        let only = seats.take(None).await.unwrap();
        assert!(seats.take(None).now_or_never().is_none() && !leaves(&only));
        drop(only);
        assert!(seats.take(None).await.is_some());
    }
}
