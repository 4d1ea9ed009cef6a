//! Messages of generic netlink and of nl80211 (linux/netlink.h, linux/genetlink.h, linux/nl80211.h; all numbers are theirs and never
//! change). Numbers are in the machine's own order.

/// Bytes of the head of a message, and of the second head that generic ones have.
const HEAD: usize = 16;
const SECOND: usize = 4;

/// Where the number of a message stands in its head.
const NUMBER: usize = 8;

/// Flags: a request; one that says whether it was done; and one whose answer is a list.
const REQUEST: u16 = 1;
const ORDER: u16 = REQUEST | 4;
const LIST: u16 = REQUEST | 0x300;

/// Kinds of messages: an error (zero is none), the end of a list, and what asks about families.
pub(super) const ERROR: u16 = 2;
pub(super) const DONE: u16 = 3;
const CONTROL: u16 = 16;

/// Commands, and what they carry.
const GET_FAMILY: u8 = 3;
const FAMILY_ID: u16 = 1;
const FAMILY_NAME: u16 = 2;
const GROUPS: u16 = 7;
const GROUP_NAME: u16 = 1;
const GROUP_ID: u16 = 2;
const GET_WIPHY: u8 = 1;
const SET_COUNTRY: u8 = 27;
pub(super) const GET_COUNTRY: u8 = 31;
pub(super) const CONNECT: u8 = 46;
pub(super) const DISCONNECT: u8 = 48;
pub(super) const INTERFACE: u16 = 3;
const COUNTRY: u16 = 33;
const IE: u16 = 42;
const SSID: u16 = 52;
const AUTH: u16 = 53;
const REASON: u16 = 54;
const TIMED_OUT: u16 = 65;
const PRIVACY: u16 = 70;
const STATUS: u16 = 72;
const PAIRWISE: u16 = 73;
const GROUP: u16 = 74;
const VERSIONS: u16 = 75;
const AKM: u16 = 76;
const SPLIT: u16 = 174;
const FEATURES: u16 = 217;
const PMK: u16 = 254;

/// `NL80211_EXT_FEATURE_4WAY_HANDSHAKE_STA_PSK`: the chip makes a WPA2 connection by itself.
const OFFLOADS: usize = 15;

/// Open authentication, WPA2, CCMP and a shared key (IEEE 802.11-2020, sections 9.4.2.24.2 and 9.4.2.24.3).
const OPEN: u32 = 0;
const WPA2: u32 = 2;
const CCMP: u32 = 0x000f_ac04;
const SHARED_KEY: u32 = 0x000f_ac02;

/// What we tell the other end of the same: a robust network of version 1, CCMP for all and for one, a shared key.
const ROBUST: [u8; 22] = [48, 20, 1, 0, 0, 15, 172, 4, 1, 0, 0, 15, 172, 4, 1, 0, 0, 15, 172, 2, 0, 0];

/// Which family of messages nl80211 is here, and the group in which connections are told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Family {
    pub(super) id: u16,
    pub(super) events: u32,
}

/// A message that is being written.
struct Writer(Vec<u8>);

impl Writer {
    fn new(family: u16, flags: u16, command: u8) -> Self {
        let mut bytes = vec![0; 4];
        bytes.extend(family.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        bytes.resize(HEAD, 0); // see `number_it`
        bytes.extend([command, 1, 0, 0]);
        Self(bytes)
    }

    fn put(mut self, kind: u16, data: &[u8]) -> Self {
        let length = u16::try_from(data.len() + 4).unwrap_or(u16::MAX);
        self.0.extend(length.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(data);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    fn number(self, kind: u16, number: u32) -> Self {
        self.put(kind, &number.to_ne_bytes())
    }

    fn finish(mut self) -> Vec<u8> {
        let length = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        if let Some(head) = self.0.get_mut(..4) {
            head.copy_from_slice(&length.to_ne_bytes());
        }
        self.0
    }
}

/// Gives a message the number that its answers will have. What the kernel tells unasked has the number zero.
pub(super) fn number_it(message: &mut [u8], number: u32) {
    if let Some(place) = message.get_mut(NUMBER..NUMBER + 4) {
        place.copy_from_slice(&number.to_ne_bytes());
    }
}

/// "Which family is this?"
pub(super) fn get_family(name: &str) -> Vec<u8> {
    let name = [name.as_bytes(), b"\0"].concat();
    Writer::new(CONTROL, REQUEST, GET_FAMILY).put(FAMILY_NAME, &name).finish()
}

/// "What can this interface do?" In parts, since only those who take it in parts are told all.
pub(super) fn get_wiphy(family: u16, interface: u32) -> Vec<u8> {
    Writer::new(family, LIST, GET_WIPHY).put(SPLIT, &[]).number(INTERFACE, interface).finish()
}

/// "We are in this country."
pub(super) fn set_country(family: u16, [first, second]: [u8; 2]) -> Vec<u8> {
    Writer::new(family, ORDER, SET_COUNTRY).put(COUNTRY, &[first, second, 0]).finish()
}

/// "Whose rules hold for radios?"
pub(super) fn get_country(family: u16) -> Vec<u8> {
    Writer::new(family, REQUEST, GET_COUNTRY).finish()
}

/// "Leave the network you are in, and give up joining another."
pub(super) fn disconnect(family: u16, interface: u32) -> Vec<u8> {
    Writer::new(family, ORDER, DISCONNECT).number(INTERFACE, interface).finish()
}

/// "Join this network with this key, and do it all yourself."
pub(super) fn connect(family: u16, interface: u32, ssid: &str, key: &[u8; 32]) -> Vec<u8> {
    let message = Writer::new(family, ORDER, CONNECT).number(INTERFACE, interface);
    let message = message.put(SSID, ssid.as_bytes()).number(AUTH, OPEN).put(PRIVACY, &[]);
    let message = message.number(VERSIONS, WPA2).number(PAIRWISE, CCMP).number(GROUP, CCMP);
    message.number(AKM, SHARED_KEY).put(IE, &ROBUST).put(PMK, key).finish()
}

/// A message that was heard.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Heard<'a> {
    /// Its family, [`ERROR`] or [`DONE`].
    pub(super) kind: u16,
    /// That of the question it answers.
    pub(super) number: u32,
    body: &'a [u8],
}

/// All messages of one answer, up to the first that is broken.
pub(super) fn split(mut bytes: &[u8]) -> impl Iterator<Item = Heard<'_>> {
    std::iter::from_fn(move || {
        let length = usize::try_from(number(bytes)?).ok()?;
        let kind = u16::from_ne_bytes(bytes.get(4..6)?.try_into().ok()?);
        let asked = number(bytes.get(NUMBER..)?)?;
        let body = bytes.get(HEAD..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(Heard { kind, number: asked, body })
    })
}

impl<'a> Heard<'a> {
    /// Whether the order was carried out, or the number of the error; `None` if it says something else.
    pub(super) fn outcome(self) -> Option<Result<(), i32>> {
        let number = number(self.body).filter(|_| self.kind == ERROR)?.cast_signed();
        Some(if number == 0 { Ok(()) } else { Err(number.saturating_neg()) })
    }

    /// The number of the error; `None` unless it tells one.
    pub(super) fn error(self) -> Option<i32> {
        self.outcome()?.err()
    }

    /// Its command.
    pub(super) fn command(self) -> Option<u8> {
        self.body.first().copied()
    }

    /// Which interface it is about.
    pub(super) fn interface(self) -> Option<u32> {
        number(self.part(INTERFACE)?)
    }

    /// The family that was asked for.
    pub(super) fn family(self) -> Option<Family> {
        let id = u16::from_ne_bytes(self.part(FAMILY_ID)?.try_into().ok()?);
        let events = parts(self.part(GROUPS).unwrap_or_default()).find_map(|(_, group)| {
            let part = |wanted| parts(group).find(|(kind, _)| *kind == wanted).map(|(_, data)| data);
            (part(GROUP_NAME)? == b"mlme\0").then(|| number(part(GROUP_ID)?)).flatten()
        });
        Some(Family { id, events: events.unwrap_or(0) })
    }

    /// The country whose rules hold: two letters, or two digits for no country.
    pub(super) fn country(self) -> Option<[u8; 2]> {
        self.part(COUNTRY)?.get(..2)?.try_into().ok()
    }

    /// Whether this part of what an interface can do says that it makes connections by itself.
    pub(super) fn offloads(self) -> bool {
        let byte = self.part(FEATURES).and_then(|bits| bits.get(OFFLOADS / 8));
        byte.is_some_and(|byte| byte >> (OFFLOADS % 8) & 1 == 1)
    }

    /// How an attempt ended: zero is well, all else is a status code (section 9.4.1.9), or 1 for no answer.
    pub(super) fn status(self) -> u16 {
        let code = self.part(STATUS).and_then(|code| Some(u16::from_ne_bytes(code.try_into().ok()?)));
        if self.part(TIMED_OUT).is_some() { 1 } else { code.unwrap_or(1) }
    }

    /// Why a connection ended (section 9.4.1.7); zero if nobody says.
    pub(super) fn reason(self) -> u16 {
        self.part(REASON).and_then(|code| Some(u16::from_ne_bytes(code.try_into().ok()?))).unwrap_or(0)
    }

    fn part(self, wanted: u16) -> Option<&'a [u8]> {
        parts(self.body.get(SECOND..)?).find(|(kind, _)| *kind == wanted).map(|(_, data)| data)
    }
}

/// The parts of a message, up to the first that is broken.
fn parts(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let half = |at: usize| Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
        let length = usize::from(half(0)?);
        // The two highest bits tell how it is made, which we know.
        let kind = half(2)? & 0x3fff;
        let data = bytes.get(4..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, data))
    })
}

fn number(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(..4)?.try_into().ok()?))
}

/// What a kernel says: whether an order was carried out (zero, or the number of the error).
#[cfg(test)]
pub(super) fn told(number: u32, error: i32) -> Vec<u8> {
    let mut bytes = vec![0; HEAD];
    bytes.splice(..6, [20, 0, 0, 0, 2, 0]);
    number_it(&mut bytes, number);
    bytes.extend((-error).to_ne_bytes());
    bytes
}

/// What a kernel says: whose rules hold.
#[cfg(test)]
pub(super) fn ruled(family: u16, number: u32, country: [u8; 2]) -> Vec<u8> {
    let mut bytes = Writer::new(family, 0, GET_COUNTRY).put(COUNTRY, &[country[0], country[1], 0]).finish();
    number_it(&mut bytes, number);
    bytes
}

/// What a kernel says: how an attempt to join ended.
#[cfg(test)]
pub(super) fn joined(family: u16, interface: u32, status: u16) -> Vec<u8> {
    Writer::new(family, 0, CONNECT).number(INTERFACE, interface).put(STATUS, &status.to_ne_bytes()).finish()
}

#[cfg(test)]
#[cfg(target_endian = "little")]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        data_encoding::HEXLOWER.encode(bytes)
    }

    /// Made with the kernel's own headers by a program in C.
    #[test]
    fn messages_are_as_the_kernels_headers_have_them() {
        assert_eq!(hex(&get_family("nl80211")), GOLDEN_FAMILY);
        assert_eq!(hex(&get_wiphy(28, 3)), GOLDEN_WIPHY);
        assert_eq!(hex(&set_country(28, *b"DE")), GOLDEN_COUNTRY);
        assert_eq!(hex(&get_country(28)), GOLDEN_RULES);
        assert_eq!(hex(&disconnect(28, 3)), GOLDEN_DISCONNECT);
        assert_eq!(hex(&connect(28, 3, "attic", &[7; 32])), GOLDEN_CONNECT);
    }

    const GOLDEN_FAMILY: &str = "20000000100001000000000000000000030100000c0002006e6c383032313100";
    const GOLDEN_WIPHY: &str = "200000001c0001030000000000000000010100000400ae000800030003000000";
    const GOLDEN_COUNTRY: &str = "1c0000001c00050000000000000000001b0100000700210044450000";
    const GOLDEN_RULES: &str = "140000001c00010000000000000000001f010000";
    const GOLDEN_DISCONNECT: &str = "1c0000001c0005000000000000000000300100000800030003000000";
    const GOLDEN_CONNECT: &str = "940000001c00050000000000000000002e010000080003000300000009003400617474696300000008003500000000000400460008004b00020000000800490004ac0f0008004a0004ac0f0008004c0002ac0f001a002a0030140100000fac040100000fac040100000fac02000000002400fe000707070707070707070707070707070707070707070707070707070707070707";

    #[test]
    fn answers_are_understood_and_broken_ones_end() {
        let group = Writer(Vec::new()).put(GROUP_NAME, b"mlme\0").number(GROUP_ID, 9).0;
        let groups = Writer(Vec::new()).put(1, b"").put(2, &group).0;
        let family = Writer::new(CONTROL, 0, 1).put(FAMILY_ID, &28_u16.to_ne_bytes()).put(GROUPS, &groups);
        let family = family.finish();
        let heard = split(&family).next().unwrap();
        assert_eq!(heard.family(), Some(Family { id: 28, events: 9 }));
        let event = joined(28, 3, 15);
        let late = Writer::new(28, 0, CONNECT).put(TIMED_OUT, &[]).put(STATUS, &[0, 0]).finish();
        let both = [event.clone(), late].concat();
        let heard: Vec<_> = split(&both).collect();
        assert_eq!((heard[0].interface(), heard[0].status(), heard[1].status()), (Some(3), 15, 1));
        let can = Writer::new(28, 0, 3).put(FEATURES, &[0, 0x80]).finish();
        let cannot = Writer::new(28, 0, 3).put(FEATURES, &[0xff, 0x7f]).finish();
        assert!(split(&can).all(Heard::offloads) && !split(&cannot).any(Heard::offloads));
        let mut error = told(0, 2);
        number_it(&mut error, 0x0102_0304);
        let heard = split(&error).next().unwrap();
        assert_eq!((heard.error(), heard.outcome(), heard.number), (Some(2), Some(Err(2)), 0x0102_0304));
        number_it(&mut [0; 3], 1);
        for bytes in [&both, &family, &can, &error] {
            for at in 0..bytes.len() {
                for byte in [0, 1, 3, 4, 15, 127, 255] {
                    let mut wrong = bytes.clone();
                    wrong[at] = byte;
                    for heard in split(&wrong).take(999).chain(split(&wrong[..at])) {
                        let _ =
                            (heard.family(), heard.offloads(), heard.status(), heard.error(), heard.reason());
                        let _ = heard.country();
                    }
                }
            }
        }
    }
}
