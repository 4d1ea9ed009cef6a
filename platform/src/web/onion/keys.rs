//! The keys of the page's own onion service: those that it has, and the next ones, which its owner sees before they count.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use crate::net::{AccessKey, ServiceKey};
use crate::state::{PageEntry, Secret};

/// How long keys that were shown may wait to be taken.
const LIFE: Duration = Duration::from_mins(10);

/// Who the service is, and who may find it.
#[derive(Clone, Debug)]
pub(in crate::web) struct Keys {
    seed: Secret<32>,
    access: Secret<32>,
}

/// Keys that were shown and are not used yet.
#[derive(Debug, Default)]
pub(in crate::web) struct Next(Mutex<Option<(Keys, Instant)>>);

impl Keys {
    pub(in crate::web) fn fresh() -> Result<Self, getrandom::Error> {
        let mut keys = Self { seed: Secret([0; 32]), access: Secret([0; 32]) };
        getrandom::fill(&mut keys.seed.0)?;
        getrandom::fill(&mut keys.access.0)?;
        Ok(keys)
    }

    /// `<56 characters>.onion`.
    pub(in crate::web) fn host(&self) -> String {
        ServiceKey::from_seed(self.seed.0).address(super::PORT).host()
    }

    /// What Tor Browser asks for: the client key in base32.
    pub(in crate::web) fn client(&self) -> Zeroizing<String> {
        AccessKey::derive(&self.access.0).base32()
    }

    /// Keeps them where there are none yet.
    pub(in crate::web) fn fill(self, entry: &mut PageEntry) {
        entry.onion_seed.get_or_insert(self.seed.clone());
        entry.onion_access.get_or_insert(self.access.clone());
    }

    /// Keeps them instead of those that are there.
    pub(in crate::web) fn replace(self, entry: &mut PageEntry) {
        (entry.onion_seed, entry.onion_access) = (None, None);
        self.fill(entry);
    }
}

impl Next {
    /// Puts these aside until they are taken, in place of any others.
    pub(in crate::web) fn put(&self, keys: Keys, now: Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((keys, now));
    }

    /// Takes those that were shown under this name, once.
    pub(in crate::web) fn take(&self, host: &str, now: Instant) -> Option<Keys> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting
            .take_if(|(keys, shown)| now.saturating_duration_since(*shown) >= LIFE || keys.host() == host)
            .filter(|(_, shown)| now.saturating_duration_since(*shown) < LIFE)
            .map(|(keys, _)| keys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_taken_once_by_their_name_and_not_too_late() {
        let (next, now) = (Next::default(), Instant::now());
        let (first, second) = (Keys::fresh().unwrap(), Keys::fresh().unwrap());
        next.put(first.clone(), now);
        assert!(next.take(&second.host(), now).is_none());
        next.put(second.clone(), now);
        assert!(next.take(&first.host(), now).is_none(), "others were shown since");
        let taken = next.take(&second.host(), now).unwrap();
        assert_eq!((taken.host(), taken.client()), (second.host(), second.client()));
        assert!(next.take(&second.host(), now).is_none());
        next.put(first.clone(), now);
        assert!(next.take(&first.host(), now + LIFE).is_none());
    }

    #[test]
    fn keys_that_are_there_stay_unless_they_are_replaced() {
        let (first, second) = (Keys::fresh().unwrap(), Keys::fresh().unwrap());
        let mut entry = PageEntry::default();
        first.clone().fill(&mut entry);
        let before = entry.clone();
        second.clone().fill(&mut entry);
        assert_eq!(entry, before);
        second.clone().replace(&mut entry);
        assert_eq!((entry.onion_seed, entry.onion_access), (Some(second.seed), Some(second.access)));
    }
}
