//! Who is looking, from where, and what of the node they may see and do.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Instant;

use axum::http::{Extensions, HeaderMap};

use super::cookie::{self, Cookie};
use super::guesses::Source;
use super::onion::OnionCaller;
use super::site::Site;
use crate::config::FirstRun;
use crate::control::serve::Caller;
use crate::state::{Audience, PageEntry};

/// Where a request comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Place {
    /// This machine.
    Machine,
    /// The local network.
    Lan(IpAddr),
    /// The page's own onion service.
    Onion,
}

/// See the module. Every request carries one as an extension.
#[derive(Clone, Debug)]
pub(super) struct Visitor {
    pub(super) place: Place,
    /// What the page keeps, as of this request.
    pub(super) entry: PageEntry,
    /// The secret of a session that lives.
    pub(super) session: Option<String>,
    /// Number of a browser that knew the password before.
    pub(super) known: Option<[u8; 16]>,
}

/// What a visitor may see.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Sight {
    /// Everything.
    All,
    /// Figures, no names.
    Figures,
    /// The form for the password.
    SignIn,
    /// The form of the first run.
    FirstRun,
    /// Nothing: this page is for the machine itself.
    Nothing,
}

impl Place {
    /// Reads what the listener noted. From outside, and where nothing was noted, the words for who is refused.
    pub(super) fn of(extensions: &Extensions) -> Result<Self, &'static str> {
        if extensions.get::<Caller<OnionCaller>>().is_some() {
            return Ok(Self::Onion);
        }
        let caller = extensions.get::<Caller<SocketAddr>>().ok_or("this connection has no address")?;
        let address = caller.0.ip().to_canonical();
        match address {
            _ if address.is_loopback() => Ok(Self::Machine),
            _ if is_local(address) || is_on_link(address) => Ok(Self::Lan(address)),
            _ => Err(OUTSIDE),
        }
    }
}

/// Whether an address belongs to a local network: private (RFC 1918), link-local (RFC 3927, RFC 4291) or unique local (RFC
/// 4193). What a provider's own translation hands out (RFC 6598) is shared with strangers.
const fn is_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_private() || address.is_link_local(),
        IpAddr::V6(address) => address.is_unique_local() || address.is_unicast_link_local(),
    }
}

/// Whether an address is of a network that this machine is on, too: with IPv6 a home's own machines have public addresses.
fn is_on_link(address: IpAddr) -> bool {
    let IpAddr::V6(address) = address else { return false };
    // Where it cannot be read, nobody is known.
    std::fs::read_to_string("/proc/net/if_inet6").is_ok_and(|list| has_neighbour(&list, address))
}

/// Whether `list`, as the kernel writes it, has an address of the same network of 64 bits. Interfaces that lead to one other machine only,
/// with longer prefixes, do not count.
fn has_neighbour(list: &str, address: Ipv6Addr) -> bool {
    let network = u128::from(address) >> 64;
    list.lines().any(|line| {
        let mut words = line.split_whitespace();
        let own = words.next().and_then(|hex| u128::from_str_radix(hex, 16).ok());
        let length = words.nth(1).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        own.is_some_and(|own| own >> 64 == network) && length == Some(64)
    })
}

/// What others see of this page, whatever they ask for.
const OUTSIDE: &str = "This page answers to its own machine and the local network only, and your address is a public one. \
                       Call it from a private address (10.x, 172.16.x to 172.31.x, 192.168.x, fe80:, fd..:), or through its \
                       onion address.\n";

impl Visitor {
    pub(super) fn new(site: &Site, place: Place, entry: PageEntry, headers: &HeaderMap) -> Self {
        let entry = if site.is_board() { for_board(entry) } else { entry };
        let session = entry.seal.as_ref().and_then(|seal| {
            let secret = Cookie::Session.read(headers, site.port)?;
            site.sessions().touch(&secret, &seal.0, Instant::now()).then_some(secret)
        });
        let known = entry.seal.as_ref().and_then(|seal| {
            let value = Cookie::Known.read(headers, site.port)?;
            cookie::known_id(&seal.0, &value)
        });
        Self { place, entry, session, known }
    }

    /// What they may see.
    pub(super) fn sight(&self, first_run: FirstRun) -> Sight {
        let has_password = self.entry.password.is_some();
        match (self.place, self.entry.audience) {
            (Place::Lan(_), Audience::Machine) if has_password => Sight::Nothing,
            _ if self.session.is_some() => Sight::All,
            (Place::Machine, _) if !has_password => Sight::All,
            (Place::Lan(_), _) if !has_password && first_run == FirstRun::Network => Sight::FirstRun,
            (Place::Machine | Place::Lan(_), Audience::Figures) if has_password => Sight::Figures,
            _ if has_password => Sight::SignIn,
            _ => Sight::Nothing,
        }
    }

    /// Whether they may set the password for the first time.
    pub(super) fn may_begin(&self, first_run: FirstRun) -> bool {
        let near = match self.place {
            Place::Machine => true,
            Place::Lan(_) => first_run == FirstRun::Network,
            Place::Onion => false,
        };
        near && self.entry.password.is_none()
    }

    /// What their tries of the password count for.
    pub(super) fn source(&self) -> Source {
        match (self.known, self.place) {
            (Some(id), _) => Source::Known(id),
            (None, Place::Machine) => Source::Machine,
            (None, Place::Lan(address)) => Source::of(address),
            (None, Place::Onion) => Source::Onion,
        }
    }
}

/// Nobody sits at a board: it is never for the machine alone, even if a keep file of another machine says so.
fn for_board(entry: PageEntry) -> PageEntry {
    let audience = if entry.audience == Audience::Machine { Audience::Password } else { entry.audience };
    PageEntry { audience, ..entry }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAN: Place = Place::Lan(IpAddr::V4(std::net::Ipv4Addr::new(192, 168, 1, 7)));

    fn sight(place: Place, password: bool, audience: Audience, session: bool) -> Sight {
        let entry = PageEntry { password: password.then(String::new), audience, ..PageEntry::default() };
        let session = session.then(String::new);
        Visitor { place, entry, session, known: None }.sight(FirstRun::Machine)
    }

    #[test]
    fn machines_on_the_same_public_network_are_neighbours() {
        let list = "00000000000000000000000000000001 01 80 10 80       lo\n\
                    20010db8000700010000000000000002 02 40 00 80     eth0\n\
                    20010db8000900010000000000000002 03 80 00 80     tun0\n";
        for (address, is) in [
            ("2001:db8:7:1::99", true),
            ("2001:db8:7:2::99", false),
            ("2001:db8:9:1::99", false),
            ("2001:4860::8", false),
        ] {
            assert_eq!(has_neighbour(list, address.parse().unwrap()), is, "{address}");
        }
        assert!(!has_neighbour("", Ipv6Addr::LOCALHOST));
    }

    #[test]
    fn only_private_addresses_are_the_local_network() {
        let place = |address: &str| {
            let mut extensions = Extensions::new();
            extensions.insert(Caller(SocketAddr::new(address.parse().unwrap(), 4000).into()));
            Place::of(&extensions)
        };
        for address in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(place(address), Ok(Place::Machine), "{address}");
        }
        for address in [
            "192.168.1.7",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "169.254.7.7",
            "fe80::1",
            "fd12:3456::7",
        ] {
            assert_eq!(place(address), Ok(Place::Lan(address.parse().unwrap())), "{address}");
        }
        assert_eq!(place("::ffff:192.168.1.7"), Ok(Place::Lan("192.168.1.7".parse().unwrap())));
        for address in
            ["8.8.8.8", "172.32.0.1", "100.64.0.1", "100.127.0.1", "192.0.2.1", "2001:4860::8", "0.0.0.0"]
        {
            assert_eq!(place(address), Err(OUTSIDE), "{address}");
        }
        assert!(Place::of(&Extensions::new()).is_err());
    }

    #[test]
    fn each_place_sees_what_the_owner_chose() {
        use Audience::{Figures, Machine, Password};
        for (place, password, audience, session, seen) in [
            (Place::Machine, false, Machine, false, Sight::All),
            (Place::Machine, true, Machine, false, Sight::SignIn),
            (Place::Machine, true, Figures, false, Sight::Figures),
            (Place::Machine, true, Machine, true, Sight::All),
            (LAN, false, Machine, false, Sight::Nothing),
            (LAN, true, Machine, true, Sight::Nothing),
            (LAN, true, Figures, false, Sight::Figures),
            (LAN, true, Password, false, Sight::SignIn),
            (LAN, true, Password, true, Sight::All),
            (Place::Onion, false, Machine, false, Sight::Nothing),
            (Place::Onion, true, Machine, false, Sight::SignIn),
            (Place::Onion, true, Figures, false, Sight::SignIn),
            (Place::Onion, true, Machine, true, Sight::All),
        ] {
            assert_eq!(sight(place, password, audience, session), seen, "{place:?} {password} {audience:?}");
        }
    }

    #[test]
    fn a_board_is_never_shut_to_its_network() {
        let entry = |audience| PageEntry { password: Some(String::new()), audience, ..PageEntry::default() };
        assert_eq!(for_board(entry(Audience::Machine)), entry(Audience::Password));
        assert_eq!(for_board(entry(Audience::Figures)), entry(Audience::Figures));
    }

    #[test]
    fn the_first_run_is_for_the_machine_unless_the_owner_opened_it() {
        let visitor = |place| Visitor { place, entry: PageEntry::default(), session: None, known: None };
        assert_eq!(visitor(LAN).sight(FirstRun::Network), Sight::FirstRun);
        assert!(visitor(LAN).may_begin(FirstRun::Network) && !visitor(LAN).may_begin(FirstRun::Machine));
        assert!(visitor(Place::Machine).may_begin(FirstRun::Machine));
        assert!(!visitor(Place::Onion).may_begin(FirstRun::Network));
        let entry = PageEntry { password: Some(String::new()), ..PageEntry::default() };
        assert!(!Visitor { entry, ..visitor(Place::Machine) }.may_begin(FirstRun::Network));
    }
}
