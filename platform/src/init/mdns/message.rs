//! Multicast DNS on the wire (RFC 6762, section 18; names and records of RFC 1035, section 4), as far as one host name needs it.

/// Bytes of a name at most, the zero at its end included (RFC 1035, section 3.1).
const MAX_NAME: usize = 255;

/// Questions and records of one message that are looked at; nobody has reason to send more.
const MAX_ENTRIES: usize = 256;

/// Bytes before the first question.
const HEAD: usize = 12;

/// `QR`: this is a response; and `AA`: by whoever has the name.
const RESPONSE: u16 = 0x8000;
const AUTHORITY: u16 = 0x0400;

/// All other bits that must be zero in what we hear: a kind of operation, or an error (RFC 6762, sections 18.3 and 18.11).
const ODD: u16 = 0x780f;

/// Highest bit of a class: "answer me alone" in a question, "forget all others" in a record.
const TOP: u16 = 0x8000;

/// Types and classes.
pub(super) const A: u16 = 1;
pub(super) const AAAA: u16 = 28;
const NSEC: u16 = 47;
pub(super) const ANY: u16 = 255;
const IN: u16 = 1;

/// Seconds for which an address is believed (RFC 6762, section 10), and by a program that knows nothing of all this (section 6.7).
pub(super) const TTL: u32 = 120;
const LEGACY_TTL: u32 = 10;

/// A host's name as it travels: labels, each after its length, in small letters.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Name(Vec<u8>);

impl Name {
    /// `label.local`. A label has 1 to 63 bytes; what is longer is cut.
    pub(super) fn local(label: &str) -> Self {
        let label = label.as_bytes().get(..63).unwrap_or(label.as_bytes());
        let mut bytes = vec![u8::try_from(label.len()).unwrap_or(0)];
        bytes.extend(label.to_ascii_lowercase());
        bytes.extend(b"\x05local\0");
        Self(bytes)
    }

    /// Bytes on the wire.
    #[cfg(test)]
    pub(super) const fn wire_len(&self) -> usize {
        self.0.len()
    }

    /// The name that stands at `at`, and where it ends there. Pointers must lead back, each further than the one before, so that
    /// no name goes on for ever.
    fn read(bytes: &[u8], at: usize) -> Option<(Self, usize)> {
        let mut name = Vec::new();
        let (mut at, mut end, mut before) = (at, None, at);
        loop {
            let length = usize::from(*bytes.get(at)?);
            match length {
                0 => {
                    name.push(0);
                    return Some((Self(name), end.unwrap_or(at + 1)));
                }
                1..=63 => {
                    let label = bytes.get(at..at + 1 + length)?;
                    if name.len() + label.len() >= MAX_NAME {
                        return None;
                    }
                    name.extend(label.iter().map(u8::to_ascii_lowercase));
                    at += label.len();
                }
                192.. => {
                    let to = (length & 63) << 8 | usize::from(*bytes.get(at + 1)?);
                    if to >= before {
                        return None;
                    }
                    end = end.or(Some(at + 2));
                    (at, before) = (to, to);
                }
                _ => return None,
            }
        }
    }
}

/// A question for our name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Question {
    /// The type asked for.
    pub(super) kind: u16,
    /// Whether the asker alone wants to hear the answer.
    pub(super) alone: bool,
}

/// A record of our name.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Record<'a> {
    /// Its class, without the highest bit.
    pub(super) class: u16,
    pub(super) kind: u16,
    pub(super) data: &'a [u8],
    pub(super) ttl: u32,
}

/// What somebody said about our name.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Heard<'a> {
    /// Chosen by the asker; zero unless it knows nothing of multicast.
    pub(super) id: u16,
    /// A response, not a query.
    pub(super) response: bool,
    pub(super) questions: Vec<Question>,
    /// Answers and additional records; in a query, what the asker knows already.
    pub(super) answers: Vec<Record<'a>>,
    /// What a host that probes wants to call its own.
    pub(super) wanted: Vec<Record<'a>>,
}

impl<'a> Heard<'a> {
    /// Reads a message. `None` if it is broken anywhere before its end, or says nothing of `name`.
    pub(super) fn read(bytes: &'a [u8], name: &Name) -> Option<Self> {
        let word = |at: usize| Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]));
        let flags = word(2)?;
        if flags & ODD != 0 {
            return None;
        }
        let counts = [word(4)?, word(6)?, word(8)?, word(10)?].map(usize::from);
        if counts.iter().sum::<usize>() > MAX_ENTRIES {
            return None;
        }
        let mut heard = Self { id: word(0)?, response: flags & RESPONSE != 0, ..Self::default() };
        let mut at = HEAD;
        let [questions, answers, wanted, more] = counts;
        for _ in 0..questions {
            let (about, end) = Name::read(bytes, at)?;
            let (kind, class) = (word(end)?, word(end + 2)?);
            at = end + 4;
            if about == *name && [IN, ANY].contains(&(class & !TOP)) {
                heard.questions.push(Question { kind, alone: class & TOP != 0 });
            }
        }
        for entry in 0..answers + wanted + more {
            let (about, end) = Name::read(bytes, at)?;
            let (kind, class, length) = (word(end)?, word(end + 2)?, usize::from(word(end + 8)?));
            let ttl = u32::from(word(end + 4)?) << 16 | u32::from(word(end + 6)?);
            let data = bytes.get(end + 10..end + 10 + length)?;
            at = end + 10 + length;
            if about == *name {
                let is_wanted = (answers..answers + wanted).contains(&entry);
                let list = if is_wanted { &mut heard.wanted } else { &mut heard.answers };
                list.push(Record { class: class & !TOP, kind, data, ttl });
            }
        }
        let nothing = heard.questions.is_empty() && heard.answers.is_empty() && heard.wanted.is_empty();
        (!nothing).then_some(heard)
    }
}

/// "Does anybody have this name? I want it for this address." Answers come to everyone: we hear nothing that is sent to us alone.
pub(super) fn probe(name: &Name, address: [u8; 4]) -> Vec<u8> {
    let mut bytes = head(0, 0, [1, 0, 1, 0]);
    question(&mut bytes, name, ANY);
    record(&mut bytes, name, A, IN, TTL, &address);
    bytes
}

/// "This name has this address, and no other." With a `ttl` of zero: "it has it no more".
pub(super) fn announcement(name: &Name, address: [u8; 4], ttl: u32) -> Vec<u8> {
    let mut bytes = head(0, RESPONSE | AUTHORITY, [0, 1, 0, 1]);
    record(&mut bytes, name, A, IN | TOP, ttl, &address);
    nothing_else(&mut bytes, name, ttl);
    bytes
}

/// "There is nothing but an address of IPv4 by this name" (RFC 6762, section 6.1).
pub(super) fn denial(name: &Name) -> Vec<u8> {
    let mut bytes = head(0, RESPONSE | AUTHORITY, [0, 1, 0, 0]);
    nothing_else(&mut bytes, name, TTL);
    bytes
}

/// What a program hears that knows nothing of multicast: as from any DNS server (RFC 6762, section 6.7).
pub(super) fn legacy(id: u16, name: &Name, kind: u16, address: [u8; 4]) -> Vec<u8> {
    let is_there = kind == A || kind == ANY;
    let mut bytes = head(id, RESPONSE | AUTHORITY, [1, is_there.into(), 0, 0]);
    question(&mut bytes, name, kind);
    if is_there {
        record(&mut bytes, name, A, IN, LEGACY_TTL, &address);
    }
    bytes
}

fn head(id: u16, flags: u16, counts: [u16; 4]) -> Vec<u8> {
    let words = [[id, flags].as_slice(), counts.as_slice()].concat();
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

fn question(bytes: &mut Vec<u8>, name: &Name, kind: u16) {
    bytes.extend(&name.0);
    bytes.extend([kind, IN].iter().flat_map(|word| word.to_be_bytes()));
}

fn record(bytes: &mut Vec<u8>, name: &Name, kind: u16, class: u16, ttl: u32, data: &[u8]) {
    bytes.extend(&name.0);
    bytes.extend([kind, class].iter().flat_map(|word| word.to_be_bytes()));
    bytes.extend(ttl.to_be_bytes());
    bytes.extend(u16::try_from(data.len()).unwrap_or(0).to_be_bytes());
    bytes.extend(data);
}

/// `NSEC` with the one type A: its own name, then bits for the types 0 to 7 (RFC 4034, section 4.1.2).
fn nothing_else(bytes: &mut Vec<u8>, name: &Name, ttl: u32) {
    let data = [name.0.as_slice(), &[0, 1, 0x80 >> A]].concat();
    record(bytes, name, NSEC, IN | TOP, ttl, &data);
}

#[cfg(test)]
mod tests {
    use hickory_proto::op::{Message, MessageType};
    use hickory_proto::rr::RecordType;

    use super::*;

    const OURS: [u8; 4] = [192, 168, 1, 20];

    #[test]
    fn another_library_reads_what_is_written() {
        let name = Name::local("Attic");
        let probe = Message::from_vec(&probe(&name, OURS)).unwrap();
        assert_eq!(probe.queries[0].name().to_ascii(), "attic.local.");
        assert_eq!(probe.queries[0].query_type(), RecordType::ANY);
        assert_eq!(probe.authorities[0].data.to_string(), "192.168.1.20");
        let told = Message::from_vec(&announcement(&name, OURS, TTL)).unwrap();
        assert_eq!((told.metadata.message_type, told.answers[0].ttl), (MessageType::Response, TTL));
        assert_eq!(told.answers[0].data.to_string(), "192.168.1.20");
        assert_eq!(told.additionals[0].record_type(), RecordType::NSEC);
        let denied = Message::from_vec(&denial(&name)).unwrap();
        assert_eq!(denied.answers[0].record_type(), RecordType::NSEC);
        let legacy = Message::from_vec(&legacy(77, &name, A, OURS)).unwrap();
        assert_eq!((legacy.metadata.id, legacy.queries.len(), legacy.answers[0].ttl), (77, 1, LEGACY_TTL));
    }

    #[test]
    fn what_is_about_us_is_heard() {
        let name = Name::local("attic");
        let bytes = probe(&Name::local("ATTIC"), OURS);
        let heard = Heard::read(&bytes, &name).unwrap();
        assert_eq!(heard.questions, [Question { kind: ANY, alone: false }]);
        assert_eq!(heard.wanted, [Record { class: IN, kind: A, data: &OURS, ttl: TTL }]);
        assert!(Heard::read(&bytes, &Name::local("cellar")).is_none());
        let bytes = announcement(&name, OURS, TTL);
        let heard = Heard::read(&bytes, &name).unwrap();
        assert!(heard.response && heard.answers.len() == 2);
        // The name by a pointer to the question, as most programs write it.
        let mut short = legacy(1, &name, A, OURS);
        let record = HEAD + name.0.len() + 4;
        short.splice(record..record + name.0.len(), [0xc0, 12]);
        assert_eq!(Heard::read(&short, &name).unwrap().answers.len(), 1);
    }

    #[test]
    fn what_is_broken_is_not_heard() {
        let name = Name::local("attic");
        let whole = announcement(&name, OURS, TTL);
        for end in 0..whole.len() {
            assert!(Heard::read(&whole[..end], &name).is_none(), "cut at {end}");
        }
        // Every single byte wrong in every way: nothing may break.
        for at in 0..whole.len() {
            for byte in 0..=255 {
                let mut wrong = whole.clone();
                wrong[at] = byte;
                let _ = Heard::read(&wrong, &name);
            }
        }
        // A name that points at itself, and two that point at one another.
        let mut loops = head(0, 0, [1, 0, 0, 0]);
        loops.extend([0xc0, 12, 0, 1, 0, 1]);
        assert!(Heard::read(&loops, &name).is_none());
        let mut loops = head(0, 0, [1, 0, 0, 0]);
        loops.extend([0xc0, 14, 0xc0, 12, 0, 1, 0, 1]);
        assert!(Heard::read(&loops, &name).is_none());
        // More than anybody sends, and an operation that is none of ours.
        assert!(Heard::read(&head(0, 0, [9999, 0, 0, 0]), &name).is_none());
        let mut other = whole;
        other[2] |= 0x28;
        assert!(Heard::read(&other, &name).is_none());
    }
}
