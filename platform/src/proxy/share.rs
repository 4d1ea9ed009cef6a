//! Places for clients, so shared out that one of them alone cannot starve the others.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Once less than one part in so many of the places is free, a client other than this machine that has as large a part gets no more:
/// one alone cannot starve the others, and a whole network behind one address is served while there is room.
const PART: usize = 4;

/// All places.
#[derive(Debug)]
pub(super) struct Shares {
    free: Arc<Semaphore>,
    /// Places of each client that holds some. As many as there are places at most.
    held: Mutex<HashMap<IpAddr, usize>>,
    /// Places of one client at most, where not so many are free.
    each: usize,
}

/// A place, until this is dropped.
#[derive(Debug)]
pub(super) struct Share {
    all: Arc<Shares>,
    client: Option<IpAddr>,
    _permit: OwnedSemaphorePermit,
}

impl Shares {
    pub(super) fn new(places: usize) -> Arc<Self> {
        let free = Arc::new(Semaphore::new(places));
        Arc::new(Self { free, held: Mutex::default(), each: places.div_ceil(PART) })
    }

    /// `None` where all are taken, or as many by this client as it may have.
    pub(super) fn take(self: &Arc<Self>, client: IpAddr) -> Option<Share> {
        let permit = Arc::clone(&self.free).try_acquire_owned().ok()?;
        let client = party(client);
        if client.is_some_and(|client| !self.hold(client)) {
            return None;
        }
        Some(Share { all: Arc::clone(self), client, _permit: permit })
    }

    /// Counts a place of this client, unless it has its part already while others may need theirs.
    fn hold(&self, client: IpAddr) -> bool {
        let short = self.free.available_permits() < self.each;
        let mut held = self.held();
        let count = held.get(&client).copied().unwrap_or(0);
        let more = !short || count < self.each;
        if more {
            held.insert(client, count.saturating_add(1));
        }
        more
    }

    fn held(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many clients have places.
    #[cfg(test)]
    pub(super) fn clients(&self) -> usize {
        self.held().len()
    }
}

/// Whom a place counts for: its address, or its network of 64 bits, which is what a machine has with IPv6. This machine counts for
/// nobody.
fn party(client: IpAddr) -> Option<IpAddr> {
    match client.to_canonical() {
        ip if ip.is_loopback() => None,
        IpAddr::V4(ip) => Some(ip.into()),
        // Everybody on a network shares these.
        IpAddr::V6(ip) if ip.is_unicast_link_local() || ip.is_unique_local() => Some(ip.into()),
        IpAddr::V6(ip) => Some(Ipv6Addr::from(u128::from(ip) >> 64 << 64).into()),
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let Some(client) = self.client else { return };
        let mut held = self.all.held();
        if let Some(count) = held.get_mut(&client) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                held.remove(&client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_client_of_the_network_leaves_room_for_the_others() {
        let all = Shares::new(8);
        let take = |client: &str| all.take(client.parse().unwrap());
        let mut shares = Vec::new();
        // All but a part, while nobody else wants any.
        for _ in 0..6 {
            shares.push(take("192.168.1.7").unwrap());
        }
        assert!(take("192.168.1.7").is_none());
        assert!(take("::ffff:192.168.1.7").is_none(), "the same in IPv6's notation");
        shares.push(take("2001:db8::1").unwrap());
        shares.push(take("2001:db8::2").unwrap());
        assert_eq!(all.clients(), 2, "one network is one client");
        shares.drain(..2);
        for client in ["fe80::1", "fe80::2"] {
            shares.push(take(client).unwrap());
        }
        assert_eq!(all.clients(), 4, "but not where everybody has the same");
        // This machine may have all that is left.
        shares.drain(..1);
        shares.push(take("127.0.0.1").unwrap());
        assert!(take("192.168.1.8").is_none());
        assert_eq!(all.clients(), 4, "who got nothing is not counted");
        shares.clear();
        assert_eq!((all.clients(), all.free.available_permits()), (0, 8));
    }
}
