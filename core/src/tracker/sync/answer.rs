//! The answers: what our store has.

use super::{Body, Owed, encode, pack};
use crate::id::RecordId;
use crate::limits::BLOCK_LEN;
use crate::tracker::store::{Memory, Store};
use crate::tracker::tree::{PARTS, Range};
use crate::wire::TooSmall;
use crate::wire::tracker::{ENTRY_LEN, Mirror};

/// Writes the answer to a question and returns its length.
pub(super) fn answer<M: Memory>(
    owed: &Owed,
    store: &Store<M>,
    body: &mut Body,
    tx: &mut [u8],
) -> Result<usize, TooSmall> {
    match owed {
        Owed::Split(ranges) => {
            for range in ranges {
                for part in 0..PARTS {
                    _ = body.extend_from_slice(&store.summary(range.part(part)).pack()); // 32 ranges fit
                }
            }
            encode(&Mirror::Digests(body), tx)
        }
        Owed::List(ranges) => {
            let whole = ranges.iter().take_while(|range| list(**range, store, body)).count();
            let ranges = u8::try_from(whole).unwrap_or(u8::MAX);
            encode(&Mirror::Entries { ranges, entries: body }, tx)
        }
        Owed::Take(range, after) => {
            let mut after: Option<RecordId> = *after;
            let mut more = false;
            while let Some((id, _)) = store.next_in(*range, after.as_ref()) {
                if store.get(&id).is_some_and(|record| !pack(record, body)) {
                    more = true;
                    break;
                }
                after = Some(id);
            }
            encode(&Mirror::Records { more, records: body }, tx)
        }
        Owed::Fetch(ids) => {
            let more = ids.iter().any(|id| store.get(id).is_some_and(|record| !pack(record, body)));
            encode(&Mirror::Records { more, records: body }, tx)
        }
    }
}

/// Adds the entries of a range, all or none; says which.
fn list<M: Memory>(range: Range, store: &Store<M>, body: &mut Body) -> bool {
    let start = body.len();
    let mut after = None;
    while let Some((id, edition)) = store.next_in(range, after.as_ref()) {
        if body.len().saturating_add(ENTRY_LEN) > BLOCK_LEN {
            body.truncate(start);
            return false;
        }
        _ = body.extend_from_slice(&id.0); // room was checked
        _ = body.extend_from_slice(&edition.version.to_be_bytes());
        _ = body.extend_from_slice(&edition.digest);
        after = Some(id);
    }
    true
}
