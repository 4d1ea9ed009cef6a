//! Messages as they are on the wire (RFC 1035, section 4; RFC 6891): as much of them as a forwarder must understand.

mod address;
mod option;

pub(super) use address::leads_inward;
use option::{option, reason};

/// Bytes before the question.
const HEADER: usize = 12;

/// Bytes of a name at most.
const MAX_NAME: usize = 255;

/// The record type of EDNS.
const OPT: u16 = 41;

/// The record type that says how long "no" is true.
const SOA: u16 = 6;

/// What a client that knows no EDNS takes over UDP (RFC 1035, section 2.3.4).
const PLAIN_UDP: u16 = 512;

/// What we take and send over UDP at most, in bytes.
const UDP: u16 = 4096;

/// Longest that "no" is remembered, in seconds (RFC 2308, section 5, suggests 1 to 3 hours; exits change faster).
const MAX_NEGATIVE: u32 = 900;

const QR: u16 = 0x8000;
const OPCODE: u16 = 0x7800;
const TC: u16 = 0x0200;
const RD: u16 = 0x0100;
const RA: u16 = 0x0080;
const AD: u16 = 0x0020;
const CD: u16 = 0x0010;
const RCODE: u16 = 0x000F;
/// In the high half of an OPT record's time.
const DO: u32 = 0x8000;

/// Response codes (RFC 1035, section 4.1.1; RFC 6891, section 9).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Code {
    NoError = 0,
    Format = 1,
    Failure = 2,
    NoName = 3,
    NotImplemented = 4,
    Refused = 5,
    BadVersion = 16,
}

/// Why a failure failed (RFC 8914, section 5.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Detail {
    Other = 0,
    NotReady = 14,
    Blocked = 15,
    NotSupported = 21,
    NoReachableAuthority = 22,
    NetworkError = 23,
}

/// What a client asks.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Query {
    pub(super) id: u16,
    flags: u16,
    /// Name, type and class, as the client wrote them.
    question: Vec<u8>,
    edns: Option<Edns>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Edns {
    size: u16,
    version: u8,
    wants_proofs: bool,
}

/// What makes two questions the same.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Key(Vec<u8>);

/// A record within a message.
struct Record {
    start: usize,
    kind: u16,
    class: u16,
    /// Where its time is.
    time: usize,
    ttl: u32,
    /// Where its content is.
    data: usize,
    end: usize,
}

impl Query {
    /// `Err` holds the answer to what is no question; `Err(None)` deserves none.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Option<Vec<u8>>> {
        let (id, flags) = u16_at(bytes, 0).zip(u16_at(bytes, 2)).ok_or(None)?;
        if flags & QR != 0 {
            return Err(None);
        }
        let bare = |code| Some(header(id, flags, code, [0; 4]).to_vec());
        if flags & OPCODE != 0 {
            return Err(bare(Code::NotImplemented));
        }
        if u16_at(bytes, 4) != Some(1) || u16_at(bytes, 6) != Some(0) {
            return Err(bare(Code::Format));
        }
        let end = name_end(bytes, HEADER, false).and_then(|end| end.checked_add(4));
        let question = end.and_then(|end| bytes.get(HEADER..end)).map(<[u8]>::to_vec);
        let (Some(question), Some(edns)) = (question, edns(bytes)) else {
            return Err(bare(Code::Format));
        };
        let query = Self { id, flags, question, edns };
        match edns {
            Some(edns) if edns.version != 0 => Err(Some(query.fail(Code::BadVersion, None))),
            _ => Ok(query),
        }
    }

    /// A question for the name servers of the root: everybody's, and the same for everybody.
    pub(super) fn of_root() -> Self {
        Self { id: 0, flags: RD, question: vec![0, 0, 2, 0, 1], edns: None }
    }

    fn name(&self) -> &[u8] {
        self.question.split_last_chunk::<4>().map_or(&[][..], |(name, _)| name)
    }

    /// The type asked for.
    pub(super) fn kind(&self) -> u16 {
        u16_at(&self.question, self.name().len()).unwrap_or(0)
    }

    /// The class asked for; 1 is the internet.
    pub(super) fn class(&self) -> u16 {
        u16_at(&self.question, self.name().len().saturating_add(2)).unwrap_or(0)
    }

    /// Whether the last label of the name is this.
    pub(super) fn ends_in(&self, label: &str) -> bool {
        let mut tail = vec![u8::try_from(label.len()).unwrap_or(u8::MAX)];
        tail.extend(label.bytes());
        tail.push(0);
        // Labels hold their length, so a tail that matches within a longer label has a letter before it, not a length:
        // walk the labels.
        let (name, mut at) = (self.name(), 0);
        while let Some(length) = name.get(at).filter(|length| **length != 0) {
            if name.get(at..).is_some_and(|rest| rest.eq_ignore_ascii_case(&tail)) {
                return true;
            }
            at = at.saturating_add(usize::from(*length)).saturating_add(1);
        }
        false
    }

    /// For the cache.
    pub(super) fn key(&self) -> Key {
        // Letters of the name alone: 65 and 97 are types, and letters as well.
        let mut key = self.name().to_ascii_lowercase();
        key.extend(self.question.get(self.name().len()..).unwrap_or_default());
        let proofs = self.edns.is_some_and(|edns| edns.wants_proofs);
        key.push(u8::from(proofs) | (u8::from(self.flags & CD != 0) << 1));
        Key(key)
    }

    /// What a resolver is asked, but for the identifier: nothing in it tells one client from another.
    pub(super) fn forward(&self) -> Vec<u8> {
        let proofs = self.edns.is_some_and(|edns| edns.wants_proofs);
        let mut bytes = Vec::with_capacity(HEADER + self.question.len() + 11);
        for word in [0, RD | (self.flags & CD), 1, 0, 0, 1] {
            bytes.extend(u16::to_be_bytes(word));
        }
        bytes.extend(&self.question);
        option(&mut bytes, 0, proofs, &[]);
        bytes
    }

    /// Whether these bytes answer this question.
    pub(super) fn answered_by(&self, bytes: &[u8]) -> bool {
        let end = HEADER.saturating_add(self.question.len());
        let question = bytes.get(HEADER..end).and_then(<[u8]>::split_last_chunk::<4>);
        u16_at(bytes, 2).is_some_and(|flags| flags & QR != 0)
            && u16_at(bytes, 4) == Some(1)
            && question.is_some_and(|(name, rest)| {
                name.eq_ignore_ascii_case(self.name()) && self.question.ends_with(rest)
            })
    }

    /// A message of the resolver as this client gets it, `age` seconds later. `None` where it makes no sense.
    pub(super) fn reply(&self, bytes: &[u8], age: u32, over_udp: bool) -> Option<Vec<u8>> {
        let flags = u16_at(bytes, 2)?;
        let start = HEADER.checked_add(self.question.len())?;
        let mut reply = Vec::with_capacity(bytes.len());
        let kept = (flags & (AD | RCODE)) | QR | RA | (self.flags & (RD | CD));
        reply.extend(self.id.to_be_bytes());
        reply.extend(kept.to_be_bytes());
        reply.extend(bytes.get(4..HEADER)?);
        reply.extend(&self.question);
        let mut at = start;
        let (mut extended, mut reasons) = (0, Vec::new());
        let additional = u16_at(bytes, 10)?;
        for record in records(bytes, start)? {
            if record.kind == OPT {
                extended = u8::try_from(record.ttl >> 24).unwrap_or(0);
                reasons = option::reasons(bytes.get(record.data..record.end)?);
            } else {
                let from = reply.len().checked_add(record.time.checked_sub(record.start)?)?;
                reply.extend(bytes.get(record.start..record.end)?);
                let left = record.ttl.saturating_sub(age).to_be_bytes();
                reply.get_mut(from..from.checked_add(4)?)?.copy_from_slice(&left);
            }
            at = record.end;
        }
        let dropped = u16::from(records(bytes, start)?.iter().any(|record| record.kind == OPT));
        let own = u16::from(self.edns.is_some());
        let count = additional.saturating_sub(dropped).saturating_add(own);
        reply.get_mut(10..12)?.copy_from_slice(&count.to_be_bytes());
        if at != bytes.len() {
            return None; // bytes behind the last record
        }
        if let Some(edns) = self.edns {
            if reasons.is_empty() && is_unable(bytes) {
                reasons = reason(Detail::Other);
            }
            option(&mut reply, extended, edns.wants_proofs, &reasons);
        }
        if over_udp && reply.len() > usize::from(self.most()) {
            return Some(self.truncated(kept, extended));
        }
        Some(reply)
    }

    /// Bytes the client takes over UDP.
    fn most(&self) -> u16 {
        self.edns.map_or(PLAIN_UDP, |edns| edns.size.clamp(PLAIN_UDP, UDP))
    }

    /// "Ask again over TCP" (RFC 2181, section 9).
    fn truncated(&self, flags: u16, extended: u8) -> Vec<u8> {
        let mut bytes = Vec::new();
        for word in [self.id, flags | TC, 1, 0, 0, u16::from(self.edns.is_some())] {
            bytes.extend(word.to_be_bytes());
        }
        bytes.extend(&self.question);
        if let Some(edns) = self.edns {
            option(&mut bytes, extended, edns.wants_proofs, &[]);
        }
        bytes
    }

    /// An answer without records.
    pub(super) fn fail(&self, code: Code, detail: Option<Detail>) -> Vec<u8> {
        let code = code as u8;
        let counts = [1, 0, 0, u16::from(self.edns.is_some())];
        let mut bytes = header(self.id, self.flags, Code::NoError, counts).to_vec();
        if let Some(last) = bytes.get_mut(3) {
            *last |= code & 0x0F;
        }
        bytes.extend(&self.question);
        if let Some(edns) = self.edns {
            let data = detail.map(reason).unwrap_or_default();
            option(&mut bytes, code >> 4, edns.wants_proofs, &data);
        }
        bytes
    }
}

/// Whether a resolver says that it cannot or will not answer. Another one might.
pub(super) fn is_unable(bytes: &[u8]) -> bool {
    let code = u16_at(bytes, 2).unwrap_or(0) & RCODE;
    code == Code::Failure as u16 || code == Code::Refused as u16
}

/// How long an answer of a resolver may be kept, in seconds; `None` for not at all.
pub(super) fn lifetime(bytes: &[u8]) -> Option<u32> {
    let flags = u16_at(bytes, 2)?;
    let start = name_end(bytes, HEADER, false)?.checked_add(4)?;
    let records = records(bytes, start)?;
    let answers = u16_at(bytes, 6)?;
    let real = || records.iter().filter(|record| record.kind != OPT);
    if flags & TC != 0 {
        return None;
    }
    match (flags & RCODE, answers) {
        (0, 1..) => real().map(|record| record.ttl).min(),
        // No such name, or none of this type (RFC 2308, section 5).
        (0 | 3, _) => {
            let soa = real().find(|record| record.kind == SOA && record.class == 1)?;
            let minimum = u32_at(bytes, soa.end.checked_sub(4)?)?;
            Some(minimum.min(soa.ttl).min(MAX_NEGATIVE))
        }
        _ => None,
    }
}

/// A header alone. `counts` are of questions, answers, authorities and additional records.
fn header(id: u16, flags: u16, code: Code, counts: [u16; 4]) -> [u8; HEADER] {
    let flags = (flags & (OPCODE | RD | CD)) | QR | RA | (code as u16 & RCODE);
    let mut bytes = [0; HEADER];
    let words = [id, flags].into_iter().chain(counts);
    for (place, word) in bytes.chunks_exact_mut(2).zip(words) {
        place.copy_from_slice(&word.to_be_bytes());
    }
    bytes
}

/// The EDNS part of a question: `None` where the message is malformed, `Some(None)` where it has none.
#[allow(clippy::option_option, reason = "malformed and absent are answered differently")]
fn edns(bytes: &[u8]) -> Option<Option<Edns>> {
    let start = name_end(bytes, HEADER, false)?.checked_add(4)?;
    let records = records(bytes, start)?;
    let mut found = records.iter().filter(|record| record.kind == OPT);
    let first = found.next();
    if found.next().is_some() {
        return None;
    }
    Some(first.map(|record| Edns {
        size: record.class,
        version: u8::try_from((record.ttl >> 16) & 0xFF).unwrap_or(u8::MAX),
        wants_proofs: record.ttl & DO != 0,
    }))
}

/// All records from `start` on, as many as the header says.
fn records(bytes: &[u8], start: usize) -> Option<Vec<Record>> {
    let counts = [u16_at(bytes, 6)?, u16_at(bytes, 8)?, u16_at(bytes, 10)?];
    let total: usize = counts.into_iter().map(usize::from).sum();
    // A record has 11 bytes at least, so that the header cannot ask for more memory than the message has.
    let mut found = Vec::with_capacity(total.min(bytes.len() / 11));
    let mut at = start;
    for _ in 0..total {
        let fixed = name_end(bytes, at, true)?;
        let time = fixed.checked_add(4)?;
        let data = fixed.checked_add(10)?;
        let length = usize::from(u16_at(bytes, fixed.checked_add(8)?)?);
        let end = data.checked_add(length).filter(|end| *end <= bytes.len())?;
        found.push(Record {
            start: at,
            kind: u16_at(bytes, fixed)?,
            class: u16_at(bytes, fixed.checked_add(2)?)?,
            time,
            ttl: u32_at(bytes, time)?,
            data,
            end,
        });
        at = end;
    }
    Some(found)
}

/// Where the name that starts at `at` ends; `pointers` may shorten it (RFC 1035, section 4.1.4).
fn name_end(bytes: &[u8], at: usize, pointers: bool) -> Option<usize> {
    let mut end = at;
    loop {
        let length = *bytes.get(end)?;
        match length {
            0 => return end.checked_add(1).filter(|end| end.saturating_sub(at) <= MAX_NAME),
            1..=63 => end = end.checked_add(usize::from(length))?.checked_add(1)?,
            0xC0.. if pointers => return end.checked_add(2).filter(|end| *end <= bytes.len()),
            _ => return None,
        }
        if end.saturating_sub(at) > MAX_NAME {
            return None;
        }
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|word| u16::from_be_bytes(*word))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|word| u32::from_be_bytes(*word))
}

#[cfg(test)]
mod tests;
