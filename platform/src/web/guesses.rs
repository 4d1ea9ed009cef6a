//! How often passwords may be tried: a few at once, then one every ten seconds, from each place on its own.
//!
//! Nobody is ever locked out for good, and who floods one place takes nothing from another: this machine, the onion
//! service, every address of the local network and every browser that knew the password before count apart.
//!
//! The local network as a whole has a limit too, because there one machine can have many addresses. Where that is reached, each
//! address gets a turn, which is kept for it: it waits as long as there are others before it, [four seconds](PAUSE) for each,
//! however often they try. IPv4 and IPv6 have a line each: of IPv6 addresses one machine may have any number, of the others it
//! has those of its network.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Tries at once from one place, and the pause that each costs.
const PLACE: (u32, Duration) = (6, Duration::from_secs(10));

/// Tries at once from all addresses of a kind together, before turns are given.
const AT_ONCE: u32 = 12;

/// The pause that each of those costs: between one turn and the next.
pub(super) const PAUSE: Duration = Duration::from_secs(4);

/// Turns that are given: a home's whole IPv4 network has one each.
const TURNS: u32 = 256;

/// How long a turn is kept for an address that does not come at once: somebody has to type the password again.
const KEPT: Duration = Duration::from_mins(2);

/// Places remembered, of each kind.
const PLACES: usize = 512;

/// Where a try comes from.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Source {
    /// This machine.
    Machine,
    /// The page's own onion service.
    Onion,
    /// An address of the local network.
    Lan(IpAddr),
    /// A browser that knew the password before.
    Known([u8; 16]),
    /// All addresses beyond those that are remembered.
    Crowd,
}

/// Why a try is not made now. The text says when it may be.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum Wait {
    /// The place tried often.
    #[error("that were many tries in a row; the next one is possible in {} s", seconds(.0))]
    Pause(Duration),
    /// Others try as well.
    #[error("many others try to sign in; your turn comes in {} s and is kept for you for two minutes", seconds(.0))]
    Turn(Duration),
    /// So many that there is no turn to give.
    #[error(
        "so many addresses try to sign in that there is no turn left; open this page by its IPv4 address, such as 192.168.x.x, from \
         the machine itself, or by its onion address, or try again in {} s",
        seconds(.0)
    )]
    Full(Duration),
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Guesses {
    /// This machine, the onion, browsers that are known.
    apart: Places,
    four: Line,
    six: Line,
}

/// One place.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// When it would be as good as new.
    fresh: Instant,
    turn: Option<Instant>,
}

type Places = HashMap<Source, Place>;

/// Addresses that share a limit.
#[derive(Debug, Default)]
struct Line {
    places: Places,
    /// When all of them together would be as good as new.
    fresh: Option<Instant>,
}

impl Source {
    pub(super) fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            address if address.is_loopback() => Self::Machine,
            address => Self::Lan(address),
        }
    }
}

impl Wait {
    /// Until another try makes sense, in whole seconds.
    pub(super) fn seconds(self) -> u64 {
        match self {
            Self::Pause(span) | Self::Turn(span) | Self::Full(span) => seconds(&span),
        }
    }
}

fn seconds(span: &Duration) -> u64 {
    span.as_secs().saturating_add(1)
}

impl Guesses {
    /// Whether a try may be made now; if not, when.
    pub(super) fn admit(&mut self, source: Source, now: Instant) -> Result<(), Wait> {
        if let Some(line) = self.line(source) {
            return line.admit(source, now);
        }
        make_room(&mut self.apart, source, now);
        let fresh = of_place(self.apart.get(&source), now)?;
        self.apart.insert(source, Place { fresh, turn: None });
        Ok(())
    }

    /// The password was right: the place starts anew.
    pub(super) fn forgive(&mut self, source: Source) {
        self.places(source).remove(&source);
    }

    /// What was admitted was not tried, because this machine was busy: the place may come again at once.
    pub(super) fn give_back(&mut self, source: Source, now: Instant) {
        if let Some(place) = self.places(source).get_mut(&source) {
            place.fresh = place.fresh.checked_sub(PLACE.1).unwrap_or(now);
            place.turn = Some(now);
        }
    }

    fn line(&mut self, source: Source) -> Option<&mut Line> {
        match source {
            Source::Lan(IpAddr::V4(_)) => Some(&mut self.four),
            Source::Lan(IpAddr::V6(_)) => Some(&mut self.six),
            _ => None,
        }
    }

    fn places(&mut self, source: Source) -> &mut Places {
        match source {
            Source::Lan(IpAddr::V4(_)) => &mut self.four.places,
            Source::Lan(IpAddr::V6(_)) => &mut self.six.places,
            _ => &mut self.apart,
        }
    }
}

impl Line {
    fn admit(&mut self, source: Source, now: Instant) -> Result<(), Wait> {
        let source = if make_room(&mut self.places, source, now) { source } else { Source::Crowd };
        let place = self.places.get(&source).copied();
        let fresh = of_place(place.as_ref(), now)?;
        match place.and_then(|place| place.turn).filter(|turn| now < *turn + KEPT) {
            Some(turn) if turn > now => return Err(Wait::Turn(turn - now)),
            Some(_) => {}
            None => self.turn(source, place, now)?,
        }
        self.places.insert(source, Place { fresh, turn: None });
        Ok(())
    }

    /// Takes a turn: at once, or one that is noted for later.
    fn turn(&mut self, source: Source, place: Option<Place>, now: Instant) -> Result<(), Wait> {
        let fresh = self.fresh.unwrap_or(now).max(now) + PAUSE;
        let wait = fresh.saturating_duration_since(now).saturating_sub(PAUSE * AT_ONCE);
        if wait > PAUSE * TURNS {
            return Err(Wait::Full(wait));
        }
        self.fresh = Some(fresh);
        if wait.is_zero() {
            return Ok(());
        }
        let fresh = place.map_or(now, |place| place.fresh);
        self.places.insert(source, Place { fresh, turn: Some(now + wait) });
        Err(Wait::Turn(wait))
    }
}

/// Whether `source` has a place of its own among these, or room for one was made.
fn make_room(places: &mut Places, source: Source, now: Instant) -> bool {
    if places.len() < PLACES || places.contains_key(&source) {
        return true;
    }
    places.retain(|_, place| place.fresh > now || place.turn.is_some_and(|turn| now < turn + KEPT));
    places.len() < PLACES
}

/// When a place will be as good as new after one more try; an error if that is too far away.
fn of_place(place: Option<&Place>, now: Instant) -> Result<Instant, Wait> {
    let (burst, pause) = PLACE;
    let fresh = place.map_or(now, |place| place.fresh).max(now) + pause;
    let wait = fresh.saturating_duration_since(now).saturating_sub(pause * burst);
    if wait.is_zero() { Ok(fresh) } else { Err(Wait::Pause(wait)) }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    fn address(number: u32) -> Source {
        Source::of(Ipv4Addr::from_bits(0xc0a8_0000 + number).into())
    }

    fn long_address(number: u128) -> Source {
        Source::of(Ipv6Addr::from_bits((0xfe80 << 112) + number).into())
    }

    #[test]
    fn a_few_at_once_and_then_one_every_ten_seconds() {
        let (mut guesses, now) = (Guesses::default(), Instant::now());
        let tries = (0..10_000).filter(|_| guesses.admit(Source::Onion, now).is_ok()).count();
        assert_eq!(tries, 6);
        let pause = Err(Wait::Pause(PLACE.1));
        assert_eq!(guesses.admit(Source::Onion, now), pause);
        let later = now + PLACE.1;
        assert_eq!(
            [guesses.admit(Source::Onion, later), guesses.admit(Source::Onion, later)],
            [Ok(()), pause]
        );
        assert_eq!(guesses.admit(Source::Known([7; 16]), now), Ok(()));
        guesses.forgive(Source::Onion);
        assert_eq!(guesses.admit(Source::Onion, later), Ok(()));
    }

    #[test]
    fn one_flooding_address_leaves_the_others_alone() {
        let (mut guesses, now) = (Guesses::default(), Instant::now());
        (0..10_000).for_each(|_| _ = guesses.admit(address(1), now));
        assert_eq!(guesses.admit(address(2), now), Ok(()));
        (0..10_000).for_each(|_| _ = guesses.admit(long_address(1), now));
        assert_eq!(guesses.admit(long_address(2), now), Ok(()), "a neighbour within the same 64 bits");
    }

    /// The owner types the password every few seconds, as the page says; all others try once a second.
    fn owner_waits(others: u32, owner: Source, other: impl Fn(u32) -> Source) -> Result<Duration, Wait> {
        let (mut guesses, mut now) = (Guesses::default(), Instant::now());
        let comes = now + Duration::from_secs(60);
        let mut next = comes;
        loop {
            (0..others).for_each(|number| _ = guesses.admit(other(number), now));
            if now >= next {
                match guesses.admit(owner, now) {
                    Ok(()) => return Ok(now.saturating_duration_since(comes)),
                    Err(Wait::Full(wait)) => return Err(Wait::Full(wait)),
                    Err(wait) => next = now + Duration::from_secs(wait.seconds()),
                }
            }
            now += Duration::from_secs(1);
        }
    }

    #[test]
    fn a_turn_comes_after_four_seconds_for_each_address_that_floods() {
        for others in [1, 3, 20, 253] {
            let waited = owner_waits(others, address(1_000), address).unwrap();
            assert!(waited <= PAUSE * (others + 1) + Duration::from_secs(2), "{others}: {waited:?}");
        }
    }

    #[test]
    fn any_number_of_ipv6_addresses_takes_nothing_from_ipv4() {
        let (mut guesses, now) = (Guesses::default(), Instant::now());
        (0..10_000).for_each(|number| _ = guesses.admit(long_address(number), now));
        assert!(matches!(guesses.admit(long_address(20_000), now), Err(Wait::Full(_))));
        assert_eq!(guesses.admit(address(1), now), Ok(()));
        assert_eq!(guesses.six.places.len(), TURNS as usize + AT_ONCE as usize);
    }

    #[test]
    fn many_addresses_are_limited_together_and_take_no_memory() {
        let (mut guesses, mut now) = (Guesses::default(), Instant::now());
        let mut tries = 0;
        for number in 0..100_000 {
            tries += usize::from(guesses.admit(address(number % 5_000), now).is_ok());
            now += Duration::from_millis(40);
        }
        assert!((10..=1_100).contains(&tries), "{tries} in 4 000 s");
        assert!(guesses.four.places.len() <= PLACES + 1);
        for source in [Source::Machine, Source::Onion, Source::Known([1; 16])] {
            assert_eq!(guesses.admit(source, now), Ok(()), "{source:?}");
        }
    }

    #[test]
    fn a_turn_is_kept_for_two_minutes_and_counts_once() {
        let (mut guesses, now) = (Guesses::default(), Instant::now());
        (0..AT_ONCE).for_each(|number| guesses.admit(address(number), now).unwrap());
        assert_eq!(guesses.admit(address(100), now), Err(Wait::Turn(PAUSE)));
        assert_eq!(guesses.admit(address(101), now), Err(Wait::Turn(PAUSE * 2)));
        assert_eq!(guesses.admit(address(100), now), Err(Wait::Turn(PAUSE)), "still the same one");
        let late = now + PAUSE + KEPT.saturating_sub(Duration::from_secs(1));
        (200..5_000).for_each(|number| _ = guesses.admit(address(number), late));
        assert_eq!(guesses.admit(address(100), late), Ok(()));
        assert!(matches!(guesses.admit(address(100), late), Err(Wait::Full(_) | Wait::Turn(_))));
        assert!(matches!(guesses.admit(address(101), late + KEPT), Err(Wait::Full(_) | Wait::Turn(_))));
    }

    #[test]
    fn what_was_not_tried_does_not_count() {
        let (mut guesses, now) = (Guesses::default(), Instant::now());
        for source in [Source::Machine, address(1)] {
            for _ in 0..100 {
                assert_eq!(guesses.admit(source, now), Ok(()), "{source:?}");
                guesses.give_back(source, now);
            }
        }
    }

    #[test]
    fn an_address_is_the_same_however_it_is_written() {
        let of = |text: &str| Source::of(text.parse().unwrap());
        assert_ne!(of("2001:db8::1"), of("2001:db8::ffff:2"));
        assert_eq!(of("::ffff:192.168.0.7"), address(7));
        assert_eq!([of("::ffff:127.0.0.1"), of("::1")], [Source::Machine; 2]);
    }
}
