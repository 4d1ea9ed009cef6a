//! The page's password: how its hash is made, and who may have one reckoned when.

use std::sync::Arc;

use data_encoding::BASE64_NOPAD;
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

/// Characters of a password at least. Guesses are limited to some 9 000 a day from one place, so this is plenty.
pub(super) const SHORTEST: usize = 10;

/// Bytes of a password at most.
pub(crate) const LONGEST: usize = 256;

/// Cost of scrypt: 2^14 blocks of 8 × 128 bytes make 16 MiB, five times over (OWASP's equal of 2^17 once): a quarter of a
/// second on a PC, one to two on a small board.
const COST: (u8, u32, u32) = (14, 8, 5);

/// Most that a hash in the state may cost to check, so that a foreign keep file cannot eat the memory.
const MAX_COST: (u8, u32, u32) = (16, 8, 16);

/// Hashes reckoned at once: each takes 16 MiB.
const AT_ONCE: usize = 1;

/// Who may wait for a hash, for strangers and for browsers that knew the password before. More are told to come back.
const WAITING: usize = 4;

/// Why a password will not do. The text says what will.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum Unfit {
    /// Easy to guess.
    #[error("a password has at least {SHORTEST} characters; a few words in a row are easy to remember")]
    Short,
    /// Longer than anyone types.
    #[error("a password has at most {LONGEST} bytes")]
    Long,
    /// A typing error.
    #[error("the two passwords differ; type the same one twice")]
    Differ,
}

/// Too many are waiting, or this machine gives no randomness.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Busy;

/// Reckons hashes off this thread, few at once.
#[derive(Debug)]
pub(crate) struct Hasher {
    slots: Arc<Semaphore>,
    strangers: Semaphore,
    known: Semaphore,
}

/// Whether both typings of a new password are the same and will do.
pub(crate) fn check(password: &str, again: &str) -> Result<(), Unfit> {
    match password {
        _ if password != again => Err(Unfit::Differ),
        _ if password.chars().count() < SHORTEST => Err(Unfit::Short),
        _ if password.len() > LONGEST => Err(Unfit::Long),
        _ => Ok(()),
    }
}

impl Hasher {
    pub(crate) fn new() -> Self {
        Self {
            slots: Arc::new(Semaphore::new(AT_ONCE)),
            strangers: Semaphore::new(WAITING),
            known: Semaphore::new(WAITING),
        }
    }

    /// The hash of a new password, as the state keeps it: `scrypt$14$8$5$<salt>$<hash>`.
    pub(crate) async fn hash(&self, password: Zeroizing<String>) -> Result<String, Busy> {
        let mut salt = [0; 16];
        getrandom::fill(&mut salt).map_err(|_| Busy)?;
        let hash = self.reckon(true, password, salt.to_vec(), COST).await?;
        let (log_n, r, p) = COST;
        let (salt, hash) = (BASE64_NOPAD.encode(&salt), BASE64_NOPAD.encode(&hash[..]));
        Ok(format!("scrypt${log_n}${r}${p}${salt}${hash}"))
    }

    /// Whether this is the password of `kept`. `known` is said of browsers that knew it before.
    pub(crate) async fn fits(
        &self,
        kept: &str,
        known: bool,
        password: Zeroizing<String>,
    ) -> Result<bool, Busy> {
        let Some((cost, salt, wanted)) = parse(kept) else { return Ok(false) };
        if password.len() > LONGEST {
            return Ok(false);
        }
        let hash = self.reckon(known, password, salt, cost).await?;
        Ok(bool::from(hash.as_slice().ct_eq(&wanted)))
    }

    async fn reckon(
        &self,
        known: bool,
        password: Zeroizing<String>,
        salt: Vec<u8>,
        (log_n, r, p): (u8, u32, u32),
    ) -> Result<Zeroizing<[u8; 32]>, Busy> {
        let queue = if known { &self.known } else { &self.strangers };
        let _place = queue.try_acquire().map_err(|_| Busy)?;
        let slot = Arc::clone(&self.slots).acquire_owned().await.map_err(|_| Busy)?;
        let reckoning = tokio::task::spawn_blocking(move || {
            let _slot = slot; // also when nobody waits for the answer any more
            let mut hash = Zeroizing::new([0; 32]);
            let cost = scrypt::Params::new(log_n, r, p, hash.len()).map_err(|_| Busy)?;
            scrypt::scrypt(password.as_bytes(), &salt, &cost, &mut hash[..]).map_err(|_| Busy)?;
            Ok(hash)
        });
        reckoning.await.map_err(|_| Busy)?
    }
}

/// Whether this is a hash as [`Hasher::hash`] makes it, of whatever password.
pub(crate) fn is_hash(text: &str) -> bool {
    parse(text).is_some()
}

type Kept = ((u8, u32, u32), Vec<u8>, Vec<u8>);

fn parse(kept: &str) -> Option<Kept> {
    let mut parts = kept.split('$');
    let mut next = || parts.next();
    if next()? != "scrypt" {
        return None;
    }
    let cost: (u8, u32, u32) = (next()?.parse().ok()?, next()?.parse().ok()?, next()?.parse().ok()?);
    let (salt, hash) = (BASE64_NOPAD.decode(next()?.as_bytes()), BASE64_NOPAD.decode(next()?.as_bytes()));
    let bearable = cost.0 <= MAX_COST.0 && cost.1 <= MAX_COST.1 && cost.2 <= MAX_COST.2;
    let (salt, hash) = (salt.ok()?, hash.ok()?);
    (bearable && hash.len() == 32 && !salt.is_empty()).then_some((cost, salt, hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(word: &str) -> Zeroizing<String> {
        Zeroizing::new(word.to_owned())
    }

    #[tokio::test]
    async fn only_the_password_fits_its_hash() {
        let hasher = Hasher::new();
        let kept = hasher.hash(text("correct horse")).await.unwrap();
        assert!(kept.starts_with("scrypt$14$8$5$") && !kept.contains("horse"));
        assert_ne!(kept, hasher.hash(text("correct horse")).await.unwrap(), "salted");
        assert!(hasher.fits(&kept, false, text("correct horse")).await.unwrap());
        for wrong in ["", "correct hors", "correct horse ", "Correct horse"] {
            assert!(!hasher.fits(&kept, false, text(wrong)).await.unwrap(), "{wrong:?}");
        }
    }

    /// From RFC 7914, section 12, third vector.
    #[tokio::test]
    async fn a_hash_made_elsewhere_fits() {
        let hex = "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2";
        let hash = BASE64_NOPAD.encode(&data_encoding::HEXLOWER.decode(hex.as_bytes()).unwrap());
        let kept = format!("scrypt$14$8$1${}${hash}", BASE64_NOPAD.encode(b"SodiumChloride"));
        // The vector asks for 64 bytes, of which PBKDF2 makes the first 32 in the same way.
        assert!(Hasher::new().fits(&kept, false, text("pleaseletmein")).await.unwrap());
    }

    #[tokio::test]
    async fn hashes_that_cost_too_much_or_make_no_sense_fit_nothing() {
        for kept in ["", "x", "scrypt$30$8$1$AAAA$AAAA", "scrypt$14$8$5$$", "scrypt$14$8$5$AAAA$AAAA"] {
            assert!(!Hasher::new().fits(kept, false, text("x")).await.unwrap(), "{kept}");
        }
    }

    #[tokio::test]
    async fn strangers_in_a_queue_leave_room_for_those_who_are_known() {
        let hasher = Arc::new(Hasher::new());
        let held = Arc::clone(&hasher.slots).acquire_owned().await.unwrap();
        let kept = "scrypt$1$1$1$AAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        let ask = |known| {
            let hasher = Arc::clone(&hasher);
            tokio::spawn(async move { hasher.fits(kept, known, text("x")).await })
        };
        let strangers: Vec<_> = (0..100).map(|_| ask(false)).collect();
        let known = ask(true);
        tokio::task::yield_now().await;
        drop(held);
        assert_eq!(known.await.unwrap(), Ok(false));
        let mut busy = 0;
        for stranger in strangers {
            busy += usize::from(stranger.await.unwrap() == Err(Busy));
        }
        assert_eq!(busy, 100 - WAITING);
    }

    #[test]
    fn new_passwords_are_long_enough_and_typed_twice() {
        assert_eq!(check("long enough", "long enough"), Ok(()));
        assert_eq!(check("long enough", "long enouhg"), Err(Unfit::Differ));
        assert_eq!(check("short", "short"), Err(Unfit::Short));
        assert_eq!(check(&"x".repeat(300), &"x".repeat(300)), Err(Unfit::Long));
    }
}
