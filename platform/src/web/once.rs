//! Pictures of secrets, for one look each: pages may hold no data of their own, and a secret stands in no address.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::qr;
use super::session;

/// Pictures that wait to be looked at.
const PICTURES: usize = 4;

/// A picture that nobody looked at for so long is forgotten.
const LIFE: Duration = Duration::from_secs(60);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Once(Mutex<VecDeque<Picture>>);

#[derive(Debug)]
struct Picture {
    name: String,
    made: Instant,
    bytes: Zeroizing<Vec<u8>>,
}

impl Once {
    /// Draws `text` as a QR code and gives the name by which it is taken; nothing if it is too long.
    pub(super) fn put(&self, text: &str, now: Instant) -> Option<String> {
        let (name, bytes) = (session::secret()?, Zeroizing::new(qr::bitmap(text)?));
        let mut pictures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if pictures.len() == PICTURES {
            pictures.pop_front();
        }
        pictures.push_back(Picture { name: name.clone(), made: now, bytes });
        Some(name)
    }

    /// Takes it away.
    pub(super) fn take(&self, name: &str, now: Instant) -> Option<Zeroizing<Vec<u8>>> {
        let mut pictures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pictures.retain(|picture| now.saturating_duration_since(picture.made) < LIFE);
        let index = pictures.iter().position(|picture| picture.name == name)?;
        pictures.remove(index).map(|picture| picture.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_seen_once_and_not_for_long() {
        let (once, now) = (Once::default(), Instant::now());
        let name = once.put("secret", now).unwrap();
        assert!(once.take("other", now).is_none());
        assert!(once.take(&name, now).is_some_and(|bytes| bytes.starts_with(b"BM")));
        assert!(once.take(&name, now).is_none());
        let late = once.put("secret", now).unwrap();
        assert!(once.take(&late, now + LIFE).is_none());
        let first = once.put("secret", now).unwrap();
        (0..PICTURES).for_each(|_| drop(once.put("secret", now).unwrap()));
        assert!(once.take(&first, now).is_none());
    }
}
