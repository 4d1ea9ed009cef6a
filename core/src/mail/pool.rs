//! Conversations kept warm for the next message: at most 50, idle ones for 5 minutes.

use heapless::Vec;

use crate::id::NodeKey;
use crate::limits::{POOL_IDLE_MS, POOL_SIZE};
use crate::time::Millis;

/// How to reach a node now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Lease<C> {
    /// Over this conversation, which is the caller's until [`give_back`](Pool::give_back).
    Warm(C),
    /// Open a new conversation, then [`give_back`](Pool::give_back) that; or say [`gone`](Pool::gone).
    Dial,
    /// The conversation to this node is in use, or all places are: ask again when one comes back.
    Wait,
}

/// What to do after a conversation from the pool turned out to be dead.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stale {
    /// Open a new one and send the message once more.
    Retry,
    /// This was the retry: the node cannot be reached.
    Failed,
}

#[derive(Clone, Copy, Debug)]
struct Place<C> {
    node: NodeKey,
    /// `None` while the caller has it, or opens it.
    idle: Option<C>,
    /// The message at hand was already tried on a warm conversation.
    warm: bool,
    used: Millis,
}

/// Conversations, named by whatever small `C` the owner knows them by.
#[derive(Clone, Debug)]
pub struct Pool<C> {
    places: Vec<Place<C>, POOL_SIZE>,
}

impl<C: Copy> Default for Pool<C> {
    fn default() -> Self {
        Self::new()
    }
}

impl<C: Copy> Pool<C> {
    /// Without conversations.
    #[must_use]
    pub const fn new() -> Self {
        Self { places: Vec::new() }
    }

    /// A conversation to this node. The second value, if any, had to make room: close it.
    pub fn take(&mut self, now: Millis, node: NodeKey) -> (Lease<C>, Option<C>) {
        if let Some(place) = self.places.iter_mut().find(|place| place.node == node) {
            let Some(idle) = place.idle.take() else { return (Lease::Wait, None) };
            (place.warm, place.used) = (true, now);
            return (Lease::Warm(idle), None);
        }
        let mut closed = None;
        if self.places.is_full() {
            let idle = self.places.iter().enumerate().filter(|(_, place)| place.idle.is_some());
            let Some((at, _)) = idle.min_by_key(|(_, place)| place.used) else { return (Lease::Wait, None) };
            closed = self.places.swap_remove(at).idle;
        }
        _ = self.places.push(Place { node, idle: None, warm: false, used: now }); // room was made
        (Lease::Dial, closed)
    }

    /// The message went through: the conversation waits for the next.
    pub fn give_back(&mut self, now: Millis, node: &NodeKey, conversation: C) {
        if let Some(place) = self.places.iter_mut().find(|place| place.node == *node) {
            (place.idle, place.used) = (Some(conversation), now);
        }
    }

    /// The conversation broke, or could not be opened. A warm one may have died unnoticed, so it is worth one retry.
    pub fn gone(&mut self, node: &NodeKey) -> Stale {
        let Some(at) = self.places.iter().position(|place| place.node == *node) else { return Stale::Failed };
        if let Some(place) = self.places.get_mut(at).filter(|place| place.warm) {
            (place.warm, place.idle) = (false, None);
            return Stale::Retry;
        }
        self.places.swap_remove(at);
        Stale::Failed
    }

    /// A conversation that was idle for five minutes: close it. Call until `None`.
    pub fn poll_idle(&mut self, now: Millis) -> Option<C> {
        let old = |place: &Place<C>| place.idle.is_some() && now.since(place.used) >= POOL_IDLE_MS;
        let at = self.places.iter().position(old)?;
        self.places.swap_remove(at).idle
    }

    /// When [`poll_idle`](Self::poll_idle) next has one.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Millis> {
        let idle = self.places.iter().filter(|place| place.idle.is_some());
        idle.map(|place| place.used.plus(POOL_IDLE_MS)).min()
    }

    /// Conversations here, in use or idle.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(number: u8) -> NodeKey {
        NodeKey([number; 32])
    }

    #[test]
    fn a_warm_conversation_is_used_again_and_dropped_when_idle() {
        let mut pool: Pool<u32> = Pool::new();
        assert_eq!(pool.take(Millis(0), node(1)), (Lease::Dial, None));
        assert_eq!(pool.take(Millis(0), node(1)), (Lease::Wait, None), "one conversation to each node");
        assert_eq!(pool.poll_timeout(), None, "in use");
        pool.give_back(Millis(10), &node(1), 77);
        assert_eq!(pool.take(Millis(20), node(1)), (Lease::Warm(77), None));
        pool.give_back(Millis(30), &node(1), 77);
        assert_eq!(pool.poll_timeout(), Some(Millis(30 + POOL_IDLE_MS)));
        assert_eq!(pool.poll_idle(Millis(29 + POOL_IDLE_MS)), None);
        assert_eq!(pool.poll_idle(Millis(30 + POOL_IDLE_MS)), Some(77));
        assert!(pool.is_empty());
    }

    #[test]
    fn a_stale_one_is_retried_once() {
        let mut pool: Pool<u32> = Pool::new();
        pool.take(Millis(0), node(1));
        assert_eq!(pool.gone(&node(1)), Stale::Failed, "a fresh one");
        pool.take(Millis(0), node(1));
        pool.give_back(Millis(0), &node(1), 1);
        pool.take(Millis(1), node(1));
        assert_eq!(pool.gone(&node(1)), Stale::Retry);
        assert_eq!(pool.take(Millis(1), node(1)).0, Lease::Wait, "the retry has the place");
        assert_eq!(pool.gone(&node(1)), Stale::Failed);
        assert_eq!(pool.gone(&node(1)), Stale::Failed);
        assert!(pool.is_empty());
    }

    #[test]
    fn the_longest_idle_makes_room_and_those_in_use_do_not() {
        let mut pool: Pool<u8> = Pool::new();
        for number in 0..50 {
            assert_eq!(pool.take(Millis(0), node(number)), (Lease::Dial, None));
        }
        assert_eq!((pool.len(), pool.take(Millis(0), node(99))), (50, (Lease::Wait, None)));
        pool.give_back(Millis(9), &node(5), 5);
        pool.give_back(Millis(8), &node(6), 6);
        assert_eq!(pool.take(Millis(10), node(99)), (Lease::Dial, Some(6)));
        assert_eq!(pool.take(Millis(10), node(5)), (Lease::Warm(5), None));
        assert_eq!(pool.len(), 50);
    }
}
