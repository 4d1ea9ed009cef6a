//! How often passwords may be tried: a few at once, then one every ten seconds, from each place on its own.
//!
//! Nobody is ever locked out for good, and who floods one place takes nothing from another: this machine, the onion
//! service, every address of the local network and every browser that knew the password before count apart.
//! The local network as a whole has a limit too, because there one machine can have many addresses.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Tries at once from one place, and the pause that each costs.
const PLACE: (u32, Duration) = (6, Duration::from_secs(10));

/// The same for all addresses of the local network together.
const NETWORK: (u32, Duration) = (24, Duration::from_secs(4));

/// Places remembered.
const PLACES: usize = 512;

/// Where a try comes from.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Source {
    /// This machine.
    Machine,
    /// The page's own onion service.
    Onion,
    /// An IPv4 address, or the first half of an IPv6 one.
    Lan(u64),
    /// A browser that knew the password before.
    Known([u8; 16]),
    /// All addresses beyond those that are remembered.
    Crowd,
}

/// See the module. An entry is the moment at which a place would be as good as new.
#[derive(Debug, Default)]
pub(super) struct Guesses {
    places: HashMap<Source, Instant>,
    network: Option<Instant>,
}

impl Source {
    pub(super) fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            address if address.is_loopback() => Self::Machine,
            IpAddr::V4(address) => Self::Lan(u64::from(u32::from(address))),
            IpAddr::V6(address) => Self::Lan((u128::from(address) >> 64).try_into().unwrap_or(u64::MAX)),
        }
    }
}

impl Guesses {
    /// Whether a try may be made now; if not, when.
    pub(super) fn admit(&mut self, source: Source, now: Instant) -> Result<(), Duration> {
        let source = self.place(source, now);
        let lan = matches!(source, Source::Lan(_) | Source::Crowd);
        let fresh = after(self.places.get(&source).copied(), PLACE, now)?;
        if lan {
            self.network = Some(after(self.network, NETWORK, now)?);
        }
        self.places.insert(source, fresh);
        Ok(())
    }

    /// The password was right: the place starts anew.
    pub(super) fn forgive(&mut self, source: Source) {
        self.places.remove(&source);
    }

    /// The entry to count for `source`, with room made for it.
    fn place(&mut self, source: Source, now: Instant) -> Source {
        if self.places.len() < PLACES || self.places.contains_key(&source) {
            return source;
        }
        self.places.retain(|_, fresh| *fresh > now);
        let room = self.places.len() < PLACES || !matches!(source, Source::Lan(_));
        if room { source } else { Source::Crowd }
    }
}

/// When the place will be as good as new after one more try; an error if that is too far away.
fn after(fresh: Option<Instant>, (burst, pause): (u32, Duration), now: Instant) -> Result<Instant, Duration> {
    let fresh = fresh.unwrap_or(now).max(now) + pause;
    let ahead = fresh.saturating_duration_since(now);
    ahead.checked_sub(pause * burst).filter(|wait| !wait.is_zero()).map_or(Ok(fresh), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: u32) -> Source {
        Source::of(IpAddr::V4(number.into()))
    }

    #[test]
    fn a_few_at_once_and_then_one_every_ten_seconds() {
        let (mut guesses, now) = (Guesses::default(), Instant::now());
        let tries = (0..10_000).filter(|_| guesses.admit(Source::Onion, now).is_ok()).count();
        assert_eq!(tries, 6);
        assert_eq!(guesses.admit(Source::Onion, now), Err(PLACE.1));
        let later = now + PLACE.1;
        assert_eq!(
            [guesses.admit(Source::Onion, later), guesses.admit(Source::Onion, later)],
            [Ok(()), Err(PLACE.1)]
        );
        assert_eq!(guesses.admit(Source::Known([7; 16]), now), Ok(()));
        guesses.forgive(Source::Onion);
        assert_eq!(guesses.admit(Source::Onion, later), Ok(()));
    }

    #[test]
    fn one_flooding_address_leaves_the_others_alone() {
        let (mut guesses, now) = (Guesses::default(), Instant::now());
        (0..10_000).for_each(|_| _ = guesses.admit(address(0xc0a8_0001), now));
        assert_eq!(guesses.admit(address(0xc0a8_0002), now), Ok(()));
    }

    #[test]
    fn many_addresses_are_limited_together_and_take_no_memory() {
        let (mut guesses, mut now) = (Guesses::default(), Instant::now());
        let mut tries = 0;
        for number in 0..100_000 {
            tries += usize::from(guesses.admit(address(number), now).is_ok());
            now += Duration::from_millis(40);
        }
        assert!((900..=1_100).contains(&tries), "{tries} in 4 000 s");
        assert!(guesses.places.len() <= PLACES);
        for source in [Source::Machine, Source::Onion, Source::Known([1; 16])] {
            assert_eq!(guesses.admit(source, now), Ok(()), "{source:?}");
        }
    }

    #[test]
    fn the_halves_of_a_network_are_one_place() {
        let of = |text: &str| Source::of(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:2"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!([of("::ffff:127.0.0.1"), of("::1")], [Source::Machine; 2]);
    }
}
