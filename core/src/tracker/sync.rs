//! One conversation between two stores: answers what is asked, asks until both are equal, passes news on.
//!
//! The owner calls [`handle_frame`](Sync::handle_frame) for each frame, [`handle_timeout`](Sync::handle_timeout) when
//! [`poll_timeout`](Sync::poll_timeout) says so, and after either [`poll_transmit`](Sync::poll_transmit) until `None`.
//! Either side may [`start`](Sync::start) a reconciliation. It walks down from the whole to ranges whose digests differ,
//! 16 parts at a time and many ranges in a frame, lists the small ones, takes what is missing here and gives what is
//! missing there. Equal ranges are never looked into, so the cost follows the difference.

mod answer;
mod hear;

use heapless::{Deque, Vec};

use super::record::RecordError;
use super::store::{Memory, Store};
use super::tree::Range;
use crate::id::RecordId;
use crate::limits::{ALIVE_MS, ANSWER_MS, BLOCK_LEN, MAX_IDS, MAX_RANGES, MAX_WALK, SILENCE_MS};
use crate::time::Millis;
use crate::wire::TooSmall;
use crate::wire::tracker::Mirror;

/// News waiting to be told; past that the stores are compared instead.
const MAX_NEWS: usize = 64;

/// Ranges listed by one message: what the other side lacks of them is remembered until it is given.
const LISTED: usize = 8;

/// Records remembered to be fetched or given: each range listed has at most 64 here and there.
const MAX_PICKED: usize = LISTED * 64;

/// Places kept free in the walk, for one range split at each of the 16 levels in turn.
const RESERVE: usize = 16 * 16;

/// Records in a row that were no news to us, after which the other side is wasting our time.
const MAX_USELESS: u32 = 4096;

/// What a frame led to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Event {
    /// Nothing.
    Quiet,
    /// Records came.
    Records {
        /// How many were news.
        new: usize,
        /// How many were known, older, expired, from the future, of blocked authors or found no room.
        useless: usize,
    },
    /// The other side hangs up.
    Bye,
}

/// Why the other side should be hung up on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reject {
    /// The bytes were no message, or spoke of no proper range.
    Malformed,
    /// An answer to no question, or to another one.
    OutOfTurn,
    /// Passed on a record that nobody signed or that is none.
    BadRecord(RecordError),
    /// A record that was not asked for, or asks without waiting for answers.
    Flood,
    /// Claims differences and never shows any.
    Barren,
    /// Did not answer in time.
    Silent,
}

impl core::fmt::Display for Reject {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Malformed => f.write_str("sent bytes that are no message"),
            Self::OutOfTurn => f.write_str("answered what was not asked"),
            Self::BadRecord(why) => write!(f, "passed on a bad record: {why}"),
            Self::Flood => f.write_str("sent more than was asked for"),
            Self::Barren => f.write_str("claims differences and never shows any"),
            Self::Silent => f.write_str("did not answer in time"),
        }
    }
}

/// What is to be done about a range.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum How {
    /// Compare its parts.
    Split,
    /// Compare its entries.
    List,
    /// Nothing of it is here: take all.
    Take,
    /// Nothing of it is there: give all.
    Give,
}

/// The question that is out.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "there is no heap, and one of each in a conversation")]
enum Asked {
    Split(Vec<Range, MAX_RANGES>),
    List(Vec<Range, LISTED>),
    Take(Range, Option<RecordId>),
    Fetch,
}

/// The question to be answered.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "there is no heap, and one of each in a conversation")]
enum Owed {
    Split(Vec<Range, MAX_RANGES>),
    List(Vec<Range, MAX_RANGES>),
    Take(Range, Option<RecordId>),
    Fetch(Vec<RecordId, MAX_IDS>),
}

/// One conversation. Some 60 KiB.
#[derive(Debug)]
pub struct Sync {
    /// Whether the other side is given what it lacks.
    gives: bool,
    walk: Vec<(Range, How), MAX_WALK>,
    asked: Option<(Asked, Millis)>,
    owed: Option<Owed>,
    /// Names to fetch and to give.
    wanted: Vec<RecordId, MAX_PICKED>,
    gifts: Vec<RecordId, MAX_PICKED>,
    /// Last name taken, or given, of the range on top of the walk.
    after: Option<RecordId>,
    news: Deque<RecordId, MAX_NEWS>,
    /// Asks, and records, in a row that brought nothing new.
    barren: u32,
    useless: u32,
    /// Something found no place: not all differences were settled.
    missed: bool,
    heard: Millis,
    said: Millis,
}

impl Sync {
    /// A conversation after its opening. `gives` says whether the other side is given what it lacks.
    #[must_use]
    pub const fn new(now: Millis, gives: bool) -> Self {
        Self {
            gives,
            walk: Vec::new(),
            asked: None,
            owed: None,
            wanted: Vec::new(),
            gifts: Vec::new(),
            after: None,
            news: Deque::new(),
            barren: 0,
            useless: 0,
            missed: false,
            heard: now,
            said: now,
        }
    }

    /// Compares the two stores from the beginning.
    pub fn start(&mut self) {
        self.walk.clear();
        (self.after, self.missed) = (None, false);
        _ = self.walk.push((Range::ALL, How::Split)); // it is empty
    }

    /// A record of ours is news to the other side: told at once.
    pub fn tell(&mut self, id: RecordId) {
        if !self.news.iter().any(|known| *known == id) && self.news.push_back(id).is_err() {
            self.news.clear();
            self.start();
        }
    }

    /// Whether nothing is left to ask or to give.
    #[must_use]
    pub fn is_done(&self) -> bool {
        let idle = self.walk.is_empty() && self.asked.is_none() && self.wanted.is_empty();
        idle && self.gifts.is_empty() && self.news.is_empty()
    }

    /// Whether a store changed so much under the walk that some differences may remain: start again.
    #[must_use]
    pub const fn has_missed(&self) -> bool {
        self.missed
    }

    /// When [`handle_timeout`](Self::handle_timeout) or [`poll_transmit`](Self::poll_transmit) next has something to do.
    #[must_use]
    pub fn poll_timeout(&self) -> Millis {
        let quiet = self.heard.plus(SILENCE_MS).min(self.said.plus(ALIVE_MS));
        self.asked.as_ref().map_or(quiet, |(_, until)| quiet.min(*until))
    }

    /// Lets time pass.
    pub fn handle_timeout(&mut self, now: Millis) -> Result<(), Reject> {
        let late = self.asked.as_ref().is_some_and(|(_, until)| *until <= now);
        if late || self.heard.plus(SILENCE_MS) <= now { Err(Reject::Silent) } else { Ok(()) }
    }

    /// Writes the next frame into `tx`, or returns `None` when there is none to send. `tx` should have
    /// [`MAX_FRAME`](crate::limits::MAX_FRAME) bytes; when it is too small the conversation cannot go on.
    pub fn poll_transmit<'b, M: Memory>(
        &mut self,
        now: Millis,
        store: &Store<M>,
        tx: &'b mut [u8],
    ) -> Result<Option<&'b [u8]>, TooSmall> {
        let len = self.next_frame(now, store, tx)?;
        if len > 0 {
            self.said = now;
        }
        Ok(tx.get(..len).filter(|frame| !frame.is_empty()))
    }

    fn next_frame<M: Memory>(
        &mut self,
        now: Millis,
        store: &Store<M>,
        tx: &mut [u8],
    ) -> Result<usize, TooSmall> {
        let mut body: Body = Vec::new();
        if let Some(owed) = self.owed.take() {
            return answer::answer(&owed, store, &mut body, tx);
        }
        if self.pack_news(store, &mut body) {
            return encode(&Mirror::News(&body), tx);
        }
        if self.asked.is_none() && self.ask(now, store, &mut body) {
            return match &self.asked {
                Some((Asked::Split(_), _)) => encode(&Mirror::Ask(&body), tx),
                Some((Asked::List(_), _)) => encode(&Mirror::List(&body), tx),
                Some((Asked::Take(range, after), _)) => {
                    let after = after.as_ref().map_or(&[][..], |after| &after.0);
                    encode(&Mirror::Take { range: &range.pack(), after }, tx)
                }
                Some((Asked::Fetch, _)) => encode(&Mirror::Fetch(&body), tx),
                None => encode(&Mirror::News(&body), tx),
            };
        }
        if self.said.plus(ALIVE_MS) <= now { encode(&Mirror::Alive, tx) } else { Ok(0) }
    }

    /// Packs news and gifts, as many as fit.
    fn pack_news<M: Memory>(&mut self, store: &Store<M>, body: &mut Body) -> bool {
        while let Some(id) = self.news.front() {
            if store.get(id).is_some_and(|record| !pack(record, body)) {
                return true;
            }
            self.news.pop_front();
        }
        while let Some(id) = self.gifts.last() {
            if store.get(id).is_some_and(|record| !pack(record, body)) {
                return true;
            }
            self.gifts.pop();
        }
        !body.is_empty()
    }

    /// Finds the next thing to ask or to give. What is given is packed into `body`, and nothing is asked then.
    fn ask<M: Memory>(&mut self, now: Millis, store: &Store<M>, body: &mut Body) -> bool {
        let until = now.plus(ANSWER_MS);
        if !self.wanted.is_empty() {
            for id in self.wanted.iter().rev().take(MAX_IDS) {
                _ = body.extend_from_slice(&id.0); // 4 KiB at most
            }
            self.asked = Some((Asked::Fetch, until));
            return true;
        }
        while let Some((range, how)) = self.walk.last().copied() {
            match how {
                How::Split => {
                    let room = MAX_WALK.saturating_sub(RESERVE).saturating_sub(self.walk.len()) / 15;
                    let ranges = self.pop_alike(How::Split, room.clamp(1, MAX_RANGES), body);
                    self.asked = Some((Asked::Split(ranges), until));
                    return true;
                }
                How::List => {
                    let ranges = self.pop_alike::<LISTED>(How::List, LISTED, body);
                    self.asked = Some((Asked::List(ranges), until));
                    return true;
                }
                How::Take => {
                    self.walk.pop();
                    self.asked = Some((Asked::Take(range, self.after.take()), until));
                    return true;
                }
                How::Give => {
                    while let Some((id, _)) = store.next_in(range, self.after.as_ref()) {
                        if store.get(&id).is_some_and(|record| !pack(record, body)) {
                            return true;
                        }
                        self.after = Some(id);
                    }
                    self.walk.pop();
                    self.after = None;
                    if !body.is_empty() {
                        return true;
                    }
                }
            }
        }
        false
    }

    fn pop_alike<const N: usize>(&mut self, how: How, most: usize, body: &mut Body) -> Vec<Range, N> {
        let mut ranges = Vec::new();
        while ranges.len() < most
            && let Some((range, _)) = self.walk.last().copied().filter(|(_, other)| *other == how)
            && ranges.push(range).is_ok()
        {
            self.walk.pop();
            _ = body.extend_from_slice(&range.pack()); // 288 bytes at most
        }
        ranges
    }
}

/// What a message carries.
type Body = Vec<u8, BLOCK_LEN>;

/// Adds a record; says whether it fitted.
fn pack(record: &[u8], body: &mut Body) -> bool {
    let Ok(len) = u16::try_from(record.len()) else { return false };
    let whole = body.len().saturating_add(2).saturating_add(record.len());
    whole <= BLOCK_LEN
        && body.extend_from_slice(&len.to_be_bytes()).is_ok()
        && body.extend_from_slice(record).is_ok()
}

fn encode(message: &Mirror<'_>, tx: &mut [u8]) -> Result<usize, TooSmall> {
    message.encode(tx).map(<[u8]>::len)
}

#[cfg(test)]
mod tests;
