//! What comes in: questions, answers, records.

use heapless::Vec;

use super::{Asked, Event, How, MAX_USELESS, Owed, Reject, Sync};
use crate::id::RecordId;
use crate::limits::{BARREN_ASKS, LIST_BELOW, MAX_LEAF};
use crate::time::{Date, Millis};
use crate::tracker::record::{Edition, Record, RecordError, Signed};
use crate::tracker::store::{Memory, Outcome, Rank, Store};
use crate::tracker::tree::{PARTS, Range, Summary};
use crate::wire::Malformed;
use crate::wire::tracker::{DIGEST_LEN, ENTRY_LEN, Mirror, RANGE_LEN, unpack};

impl From<Malformed> for Reject {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

/// Which records an answer may hold.
enum Allowed {
    /// Any: they are news.
    All,
    /// Those that were fetched.
    Wanted,
    /// Those of a range after a name, in order.
    Range(Range, Option<RecordId>),
}

impl Sync {
    /// Takes in one frame. `rank` says how far away a record's author is, or `None` if it is not wanted here.
    pub fn handle_frame<M: Memory>(
        &mut self,
        (now, today): (Millis, Date),
        store: &mut Store<M>,
        frame: &[u8],
        mut rank: impl FnMut(&Record<'_>) -> Option<Rank>,
    ) -> Result<Event, Reject> {
        self.heard = now;
        let message = Mirror::decode(frame)?;
        match message {
            Mirror::Alive => {}
            Mirror::Bye => return Ok(Event::Bye),
            Mirror::Ask(ranges) => self.owe(Owed::Split(unpack_ranges(ranges)?))?,
            Mirror::List(ranges) => self.owe(Owed::List(unpack_ranges(ranges)?))?,
            Mirror::Take { range, after } => {
                let after = after.first_chunk().copied().map(RecordId);
                self.owe(Owed::Take(Range::unpack(range)?, after))?;
            }
            Mirror::Fetch(ids) => self.owe(Owed::Fetch(names(ids).collect()))?,
            Mirror::News(records) => {
                return self.records(records, &Allowed::All, today, store, &mut rank).map(|heard| heard.0);
            }
            Mirror::Digests(_) | Mirror::Entries { .. } | Mirror::Records { .. } => {
                return self.answered(&message, today, store, &mut rank);
            }
        }
        Ok(Event::Quiet)
    }

    fn owe(&mut self, owed: Owed) -> Result<(), Reject> {
        if self.owed.is_some() {
            return Err(Reject::Flood);
        }
        self.owed = Some(owed);
        Ok(())
    }

    fn answered<M: Memory>(
        &mut self,
        message: &Mirror<'_>,
        today: Date,
        store: &mut Store<M>,
        rank: &mut impl FnMut(&Record<'_>) -> Option<Rank>,
    ) -> Result<Event, Reject> {
        let (asked, _) = self.asked.take().ok_or(Reject::OutOfTurn)?;
        self.barren = self.barren.saturating_add(1);
        if self.barren > BARREN_ASKS {
            return Err(Reject::Barren);
        }
        match (asked, message) {
            (Asked::Split(ranges), Mirror::Digests(digests)) => self.compare(&ranges, digests, store),
            (Asked::List(ranges), Mirror::Entries { ranges: whole, entries }) => {
                self.compare_entries(&ranges, usize::from(*whole), entries, store)
            }
            (Asked::Take(range, after), Mirror::Records { more, records }) => {
                let (event, last) =
                    self.records(records, &Allowed::Range(range, after), today, store, rank)?;
                if *more && last.is_some() {
                    self.after = last;
                    self.later(range, How::Take);
                } else if *more {
                    self.missed = true;
                }
                Ok(event)
            }
            (Asked::Fetch, Mirror::Records { more, records }) => {
                let (event, last) = self.records(records, &Allowed::Wanted, today, store, rank)?;
                if !more || last.is_none() {
                    // Those asked for that did not come are gone there.
                    let left = self.wanted.len().saturating_sub(crate::limits::MAX_IDS);
                    self.wanted.truncate(left);
                }
                Ok(event)
            }
            _ => Err(Reject::OutOfTurn),
        }
    }

    fn compare<M: Memory>(
        &mut self,
        ranges: &[Range],
        digests: &[u8],
        store: &Store<M>,
    ) -> Result<Event, Reject> {
        let parts = ranges.iter().flat_map(|range| (0..PARTS).map(|part| range.part(part)));
        if digests.len() != ranges.len().saturating_mul(DIGEST_LEN).saturating_mul(16) {
            return Err(Reject::Malformed);
        }
        for (part, digest) in parts.zip(digests.chunks_exact(DIGEST_LEN)) {
            let (ours, theirs) = (store.summary(part), Summary::unpack(digest)?);
            let few = theirs.count < LIST_BELOW && index(ours.count) <= MAX_LEAF;
            if ours == theirs {
            } else if theirs.count == 0 {
                if self.gives {
                    self.later(part, How::Give);
                }
            } else if ours.count == 0 {
                self.later(part, How::Take);
            } else if few || part.is_narrowest() {
                self.later(part, How::List);
            } else {
                self.later(part, How::Split);
            }
        }
        Ok(Event::Quiet)
    }

    fn later(&mut self, range: Range, how: How) {
        if self.walk.push((range, how)).is_err() {
            self.missed = true;
        }
    }

    fn compare_entries<M: Memory>(
        &mut self,
        ranges: &[Range],
        whole: usize,
        entries: &[u8],
        store: &Store<M>,
    ) -> Result<Event, Reject> {
        let (listed, unlisted) = ranges.split_at_checked(whole).ok_or(Reject::Malformed)?;
        if listed.is_empty() {
            self.missed = true; // a single range has more than a frame holds
            return Ok(Event::Quiet);
        }
        for range in unlisted {
            self.later(*range, How::List);
        }
        for entry in entries.chunks_exact(ENTRY_LEN) {
            let (id, edition) = unpack_entry(entry)?;
            if !listed.iter().any(|range| range.has(&id)) {
                return Err(Reject::OutOfTurn);
            }
            let ours = store.edition(&id);
            if ours.is_none_or(|ours| ours < edition) {
                self.missed |= self.wanted.push(id).is_err();
            } else if self.gives && ours > Some(edition) {
                self.missed |= self.gifts.push(id).is_err();
            }
        }
        if self.gives {
            for range in listed {
                self.give_unlisted(*range, entries, store);
            }
        }
        Ok(Event::Quiet)
    }

    fn give_unlisted<M: Memory>(&mut self, range: Range, entries: &[u8], store: &Store<M>) {
        let mut after = None;
        while let Some((id, _)) = store.next_in(range, after.as_ref()) {
            if !entries.chunks_exact(ENTRY_LEN).any(|entry| entry.starts_with(&id.0)) {
                self.missed |= self.gifts.push(id).is_err();
            }
            after = Some(id);
        }
    }

    /// Takes records in; returns the last name as well.
    fn records<M: Memory>(
        &mut self,
        packed: &[u8],
        allowed: &Allowed,
        today: Date,
        store: &mut Store<M>,
        rank: &mut impl FnMut(&Record<'_>) -> Option<Rank>,
    ) -> Result<(Event, Option<RecordId>), Reject> {
        let (mut new, mut useless, mut last) = (0_usize, 0_usize, None);
        for bytes in unpack(packed) {
            let bytes = bytes?;
            let id = Record::decode(bytes).map_err(Reject::BadRecord)?.id();
            self.expect(&id, allowed, last.as_ref())?;
            last = Some(id);
            if take(bytes, today, store, rank)? {
                new = new.saturating_add(1);
                (self.barren, self.useless) = (0, 0);
            } else {
                useless = useless.saturating_add(1);
                self.useless = self.useless.saturating_add(1);
                if self.useless > MAX_USELESS {
                    return Err(Reject::Flood);
                }
            }
        }
        Ok((Event::Records { new, useless }, last))
    }

    fn expect(&mut self, id: &RecordId, allowed: &Allowed, last: Option<&RecordId>) -> Result<(), Reject> {
        match allowed {
            Allowed::All => Ok(()),
            Allowed::Wanted => {
                let at = self.wanted.iter().position(|wanted| wanted == id).ok_or(Reject::Flood)?;
                self.wanted.remove(at);
                Ok(())
            }
            Allowed::Range(range, after) => {
                let after = last.or(after.as_ref());
                let fits = range.has(id) && after.is_none_or(|after| id > after);
                if fits { Ok(()) } else { Err(Reject::Flood) }
            }
        }
    }
}

/// Whether a record was news. Clocks differ, so one that has expired or comes from the future is nobody's fault.
fn take<M: Memory>(
    bytes: &[u8],
    today: Date,
    store: &mut Store<M>,
    rank: &mut impl FnMut(&Record<'_>) -> Option<Rank>,
) -> Result<bool, Reject> {
    let record = match Signed::check(bytes, today) {
        Ok(record) => record,
        Err(why @ (RecordError::Expired | RecordError::FutureDated)) => {
            log::debug!("a record was refused: {why}");
            return Ok(false);
        }
        Err(why) => return Err(Reject::BadRecord(why)),
    };
    let Some(rank) = rank(record.record()) else {
        log::debug!("a record was refused: it is not wanted here");
        return Ok(false);
    };
    match store.insert(&record, rank) {
        Ok(Outcome::New | Outcome::Newer) => Ok(true),
        Ok(Outcome::Known | Outcome::Older) => {
            log::debug!("a record was refused: this or a newer one is here");
            Ok(false)
        }
        Err(why) => {
            log::debug!("a record was not kept: {why:?}");
            Ok(false)
        }
    }
}

fn index(count: u32) -> usize {
    crate::bits::index(count)
}

fn unpack_ranges<const N: usize>(packed: &[u8]) -> Result<Vec<Range, N>, Reject> {
    packed.chunks_exact(RANGE_LEN).map(|range| Range::unpack(range).map_err(Reject::from)).collect()
}

fn names(packed: &[u8]) -> impl Iterator<Item = RecordId> {
    packed.chunks_exact(32).filter_map(|id| id.first_chunk().copied().map(RecordId))
}

fn unpack_entry(entry: &[u8]) -> Result<(RecordId, Edition), Reject> {
    let (id, rest) = entry.split_first_chunk().ok_or(Reject::Malformed)?;
    let (version, rest) = rest.split_first_chunk().ok_or(Reject::Malformed)?;
    let digest = rest.first_chunk().copied().ok_or(Reject::Malformed)?;
    Ok((RecordId(*id), Edition { version: u64::from_be_bytes(*version), digest }))
}
