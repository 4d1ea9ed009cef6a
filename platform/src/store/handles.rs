//! A few things kept at hand, the one not used for longest going first.

use std::collections::VecDeque;

/// At most `limit` values, each under its own key.
#[derive(Debug)]
pub(super) struct Handles<K, V> {
    limit: usize,
    /// Most recently used last.
    entries: VecDeque<(K, V)>,
}

impl<K: Copy + Eq, V> Handles<K, V> {
    pub(super) const fn new(limit: usize) -> Self {
        Self { limit, entries: VecDeque::new() }
    }

    /// The value under `key`, made if it is not at hand.
    pub(super) fn get<E>(
        &mut self,
        key: K,
        make: impl FnOnce() -> Result<V, E>,
    ) -> Result<Option<&mut V>, E> {
        if let Some(at) = self.entries.iter().position(|(other, _)| *other == key) {
            let entry = self.entries.remove(at);
            self.entries.extend(entry);
        } else {
            let value = make()?;
            if self.entries.len() >= self.limit {
                self.entries.pop_front();
            }
            self.entries.push_back((key, value));
        }
        Ok(self.entries.back_mut().map(|(_, value)| value))
    }

    /// Whether the value under `key` is at hand.
    pub(super) fn has(&self, key: K) -> bool {
        self.entries.iter().any(|(other, _)| *other == key)
    }

    /// Lets go of the value under `key`.
    pub(super) fn forget(&mut self, key: K) {
        self.entries.retain(|(other, _)| *other != key);
    }

    /// Lets go of everything.
    pub(super) fn clear(&mut self) {
        self.entries.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_unused_for_longest_goes() {
        let mut made = Vec::new();
        let mut handles = Handles::new(2);
        for key in [1, 2, 1, 3, 1, 2] {
            let make = || {
                made.push(key);
                Ok::<_, ()>(key * 10)
            };
            assert_eq!(handles.get(key, make), Ok(Some(&mut (key * 10))));
        }
        assert_eq!(made, [1, 2, 3, 2]);
    }

    #[test]
    fn what_cannot_be_made_is_not_kept() {
        let mut handles: Handles<u8, u8> = Handles::new(2);
        assert_eq!(handles.get(1, || Err("no")), Err("no"));
        assert_eq!(handles.get(1, || Ok::<_, &str>(5)), Ok(Some(&mut 5)));
    }
}
