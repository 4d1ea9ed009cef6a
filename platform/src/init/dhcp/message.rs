//! DHCP's messages (RFC 2131, section 2; options of RFC 2132), as far as a client needs them.

use std::net::Ipv4Addr;
use std::time::Duration;

/// What a client says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// Who leases addresses?
    Discover,
    /// This one, please; or more time for it.
    Request,
}

/// One message of a client.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message {
    pub(super) kind: Kind,
    /// The same in all messages of a conversation.
    pub(super) number: u32,
    pub(super) hardware: [u8; 6],
}

/// An address that a server would lease.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Offer {
    pub(super) address: Ipv4Addr,
    pub(super) server: Ipv4Addr,
}

/// An address that is ours for a time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Lease {
    pub(super) address: Ipv4Addr,
    pub(super) prefix: u8,
    pub(super) router: Option<Ipv4Addr>,
    pub(super) server: Ipv4Addr,
    /// When to ask this server for more time, counted from the lease's start.
    pub(super) renew: Duration,
    /// When to ask everyone.
    pub(super) rebind: Duration,
    /// When it is over.
    pub(super) time: Duration,
}

/// What a server says to a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Reply {
    /// It is ours.
    Leased(Lease),
    /// It is not; begin again.
    Refused,
}

impl Reply {
    /// The lease, if it is one.
    pub(super) const fn lease(self) -> Option<Lease> {
        match self {
            Self::Leased(lease) => Some(lease),
            Self::Refused => None,
        }
    }
}

/// Bytes before the options: fixed fields, names of hosts and files, and the cookie.
const HEAD: usize = 240;
const COOKIE: [u8; 4] = [99, 130, 83, 99];

/// Numbers of options (RFC 2132).
const MASK: u8 = 1;
const ROUTER: u8 = 3;
const ADDRESS: u8 = 50;
const TIME: u8 = 51;
const TYPE: u8 = 53;
const SERVER: u8 = 54;
const WANTED: u8 = 55;
const RENEW: u8 = 58;
const REBIND: u8 = 59;
const CLIENT: u8 = 61;
const END: u8 = 255;

/// Types of messages.
const DISCOVER: u8 = 1;
const OFFER: u8 = 2;
const REQUEST: u8 = 3;
const ACK: u8 = 5;
const NAK: u8 = 6;

/// Shortest lease that is believed, in seconds; shorter ones would have us ask all the time.
const MIN_TIME: u32 = 8;

/// A lease for ever is asked about again once in so long.
const MAX_TIME: u32 = 30 * 86_400;

impl Message {
    /// The bytes. `own` is our address when we have one; `offer` is the one to take. The host's name is not told.
    pub(super) fn bytes(&self, own: Ipv4Addr, offer: Option<Offer>) -> Vec<u8> {
        // A request over Ethernet with addresses of six bytes; answers to everyone until we have an address.
        let flags = if own.is_unspecified() { 0x80 } else { 0 };
        let mut bytes = vec![1, 1, 6, 0];
        bytes.extend(self.number.to_be_bytes());
        bytes.extend([0, 0, flags, 0]);
        bytes.extend(own.octets());
        bytes.resize(28, 0);
        bytes.extend(self.hardware);
        bytes.resize(HEAD - COOKIE.len(), 0);
        bytes.extend(COOKIE);
        let kind = match self.kind {
            Kind::Discover => DISCOVER,
            Kind::Request => REQUEST,
        };
        bytes.extend([TYPE, 1, kind, CLIENT, 7, 1]);
        bytes.extend(self.hardware);
        if let Some(offer) = offer {
            bytes.extend([ADDRESS, 4]);
            bytes.extend(offer.address.octets());
            bytes.extend([SERVER, 4]);
            bytes.extend(offer.server.octets());
        }
        bytes.extend([WANTED, 5, MASK, ROUTER, TIME, RENEW, REBIND, END]);
        bytes.resize(bytes.len().max(MIN_BYTES), 0);
        bytes
    }

    /// An offer to us, if these bytes are one.
    pub(super) fn offer(bytes: &[u8], number: u32, hardware: [u8; 6]) -> Option<Offer> {
        let answer = Answer::read(bytes, number, hardware)?;
        let server = answer.address(SERVER)?;
        (answer.kind() == Some(OFFER)).then_some(Offer { address: answer.yours()?, server })
    }

    /// A lease or a refusal for us, if these bytes are one.
    pub(super) fn answer(bytes: &[u8], number: u32, hardware: [u8; 6]) -> Option<Reply> {
        let answer = Answer::read(bytes, number, hardware)?;
        match answer.kind()? {
            NAK => Some(Reply::Refused),
            ACK => Some(Reply::Leased(answer.lease()?)),
            _ => None,
        }
    }
}

/// A server's message.
#[derive(Clone, Copy)]
struct Answer<'a>(&'a [u8]);

impl<'a> Answer<'a> {
    /// Only what answers this conversation.
    fn read(bytes: &'a [u8], number: u32, hardware: [u8; 6]) -> Option<Self> {
        let ours = bytes.first() == Some(&2)
            && bytes.get(4..8)? == number.to_be_bytes()
            && bytes.get(28..34)? == hardware
            && bytes.get(HEAD - COOKIE.len()..HEAD)? == COOKIE;
        ours.then_some(Self(bytes))
    }

    fn yours(self) -> Option<Ipv4Addr> {
        let address = Ipv4Addr::from(<[u8; 4]>::try_from(self.0.get(16..20)?).ok()?);
        let usable = !(address.is_unspecified()
            || address.is_broadcast()
            || address.is_loopback()
            || address.is_multicast());
        usable.then_some(address)
    }

    /// The content of one option.
    fn option(self, wanted: u8) -> Option<&'a [u8]> {
        let mut rest = self.0.get(HEAD..)?;
        loop {
            let (&number, after) = rest.split_first()?;
            match number {
                0 => rest = after,
                END => return None,
                number => {
                    let (&length, content) = after.split_first()?;
                    let (content, next) = content.split_at_checked(length.into())?;
                    if number == wanted {
                        return Some(content);
                    }
                    rest = next;
                }
            }
        }
    }

    fn kind(self) -> Option<u8> {
        self.option(TYPE)?.first().copied()
    }

    fn address(self, option: u8) -> Option<Ipv4Addr> {
        Some(<[u8; 4]>::try_from(self.option(option)?.get(..4)?).ok()?.into())
    }

    fn seconds(self, option: u8) -> Option<u32> {
        Some(u32::from_be_bytes(self.option(option)?.try_into().ok()?))
    }

    fn lease(self) -> Option<Lease> {
        let mask = self.address(MASK).map_or(0xffff_ff00, Ipv4Addr::to_bits);
        let time = self.seconds(TIME).unwrap_or(MAX_TIME).clamp(MIN_TIME, MAX_TIME);
        // Unless told: half the time, and seven eighths (RFC 2131, section 4.4.5).
        let rebind = self.seconds(REBIND).filter(|rebind| *rebind < time).unwrap_or(time / 8 * 7);
        let renew = self.seconds(RENEW).filter(|renew| *renew < rebind).unwrap_or(time / 2).max(MIN_TIME / 2);
        let span = |seconds: u32| Duration::from_secs(seconds.into());
        Some(Lease {
            address: self.yours()?,
            prefix: u8::try_from(mask.leading_ones()).ok()?,
            router: self.address(ROUTER).filter(|router| !router.is_unspecified()),
            server: self.address(SERVER)?,
            renew: span(renew),
            rebind: span(rebind),
            time: span(time),
        })
    }
}

/// Some servers drop what is shorter than the old BOOTP message (RFC 1542, section 2.1).
const MIN_BYTES: usize = 300;

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];

    /// What a server would say.
    fn server(kind: u8, options: &[u8]) -> Vec<u8> {
        let mut bytes =
            Message { kind: Kind::Discover, number: 7, hardware: MAC }.bytes(Ipv4Addr::UNSPECIFIED, None);
        bytes.truncate(HEAD);
        bytes[0] = 2;
        bytes[16..20].copy_from_slice(&[10, 0, 2, 15]);
        bytes.extend([0, TYPE, 1, kind, SERVER, 4, 10, 0, 2, 2]);
        bytes.extend(options);
        bytes.push(END);
        bytes
    }

    #[test]
    fn a_request_names_what_was_offered() {
        let offer = Message::offer(&server(OFFER, &[]), 7, MAC).unwrap();
        assert_eq!(offer, Offer { address: [10, 0, 2, 15].into(), server: [10, 0, 2, 2].into() });
        let bytes = Message { kind: Kind::Request, number: 7, hardware: MAC }
            .bytes(Ipv4Addr::UNSPECIFIED, Some(offer));
        assert_eq!(bytes[..12], [1, 1, 6, 0, 0, 0, 0, 7, 0, 0, 0x80, 0]);
        let words = [ADDRESS, 4, 10, 0, 2, 15, SERVER, 4, 10, 0, 2, 2];
        assert!(bytes.windows(words.len()).any(|window| window == words));
        assert!(bytes.len() >= 300);
    }

    #[test]
    fn a_lease_has_its_times_and_its_network() {
        let told = [MASK, 4, 255, 255, 0, 0, ROUTER, 8, 10, 0, 2, 2, 10, 0, 2, 3, TIME, 4, 0, 0, 14, 16];
        let lease = Message::answer(&server(ACK, &told), 7, MAC).unwrap().lease().unwrap();
        assert_eq!((lease.prefix, lease.router), (16, Some([10, 0, 2, 2].into())));
        let seconds = [lease.renew, lease.rebind, lease.time].map(|time| time.as_secs());
        assert_eq!(seconds, [1800, 3150, 3600]);
        let forever =
            Message::answer(&server(ACK, &[TIME, 4, 255, 255, 255, 255]), 7, MAC).unwrap().lease().unwrap();
        assert_eq!(forever.time.as_secs(), u64::from(MAX_TIME));
        let never = Message::answer(&server(ACK, &[TIME, 4, 0, 0, 0, 0]), 7, MAC).unwrap().lease().unwrap();
        assert_eq!(never.time.as_secs(), u64::from(MIN_TIME));
    }

    #[test]
    fn what_is_for_others_or_broken_is_not_heard() {
        let whole = server(ACK, &[TIME, 4, 0, 0, 14, 16]);
        assert!(Message::answer(&whole, 8, MAC).is_none());
        assert!(Message::answer(&whole, 7, [9; 6]).is_none());
        assert_eq!(Message::answer(&server(NAK, &[]), 7, MAC), Some(Reply::Refused));
        assert!(Message::offer(&whole, 7, MAC).is_none());
        for end in 0..whole.len() {
            // Cut anywhere, it is either nothing or what stood before the cut.
            let _ = Message::answer(&whole[..end], 7, MAC);
        }
        let mut long = whole.clone();
        let last = long.len() - 6;
        long[last] = 200;
        assert!(Message::answer(&long, 7, MAC).is_some_and(|reply| reply.lease().is_some()));
        let mut bad = whole;
        bad[16..20].copy_from_slice(&[255; 4]);
        assert!(Message::answer(&bad, 7, MAC).is_none());
    }
}
