//! What may leave the node: one allowance for all that serves content, whichever share it is of and whoever asks.

use std::cell::Cell;
use std::rc::Rc;

use bulbil_core::rate::Bucket;
use bulbil_core::time::Millis;

/// Bytes that may leave at once, where a second's worth is less: four blocks.
const BURST: u64 = 64 * 1024;

/// Milliseconds by which those who wait for the allowance come back apart from each other, so that it is not always the
/// same one who comes first.
const SPREAD_MS: u64 = 32;

/// The bucket behind `swarm.upload_limit`, shared by its clones. Empty without a limit.
#[derive(Clone, Debug, Default)]
pub(crate) struct Upload(Rc<Cell<Option<Bucket>>>);

impl Upload {
    /// A full bucket of `per_s` bytes a second, if there is a limit.
    pub(crate) fn new(now: Millis, per_s: Option<u64>) -> Self {
        Self(Rc::new(Cell::new(per_s.map(|per_s| Bucket::new(now, per_s, per_s.max(BURST))))))
    }

    /// Lends the bucket to one of those who serve, for one call.
    pub(crate) fn lend<T>(&self, to: impl FnOnce(&mut Option<Bucket>) -> T) -> T {
        let mut bucket = self.0.get();
        let done = to(&mut bucket);
        self.0.set(bucket);
        done
    }

    /// Takes `bytes`, or says for how many milliseconds to wait before asking again.
    pub(crate) fn take(&self, now: Millis, bytes: u64) -> Result<(), u64> {
        self.lend(|bucket| {
            let Some(bucket) = bucket else { return Ok(()) };
            if bucket.take(now, bytes) {
                return Ok(());
            }
            let mut random = [0];
            _ = getrandom::fill(&mut random); // without it they come back together
            let spread = u64::from(random[0]) % SPREAD_MS;
            Err(bucket.ready_at(bytes).since(now).saturating_add(spread).max(1))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_share_what_there_is() {
        let one = Upload::new(Millis(0), Some(1000));
        let other = one.clone();
        assert_eq!((one.take(Millis(0), 40_000), other.take(Millis(0), 20_000)), (Ok(()), Ok(())));
        let wait = one.take(Millis(0), 20_000).unwrap_err();
        assert!((14_464..14_464 + 40).contains(&wait), "{wait}");
        assert_eq!(other.take(Millis(wait), 20_000), Ok(()));
        assert_eq!(Upload::new(Millis(0), None).take(Millis(0), u64::MAX), Ok(()));
    }
}
