//! Who is signed in. Kept in memory only: a restart ends every session.

use std::time::{Duration, Instant};

use data_encoding::BASE32_NOPAD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Sessions at once; one more ends the one that was quiet for longest.
pub(super) const SESSIONS: usize = 16;

/// A session that was quiet for so long ends.
const IDLE: Duration = Duration::from_secs(3600);

/// No session lasts longer.
const WHOLE: Duration = Duration::from_secs(12 * 3600);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Sessions(Vec<Session>);

/// What is kept of a session: not the secret that the browser has, only its hash.
#[derive(Debug)]
struct Session {
    hash: [u8; 32],
    /// Hash of the seal it was opened under: a new password ends it.
    epoch: [u8; 32],
    begun: Instant,
    seen: Instant,
}

/// 256 bits of randomness as lower-case letters and digits; nothing if the system has none.
pub(super) fn secret() -> Option<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).ok()?;
    Some(BASE32_NOPAD.encode(&bytes).to_lowercase())
}

impl Sessions {
    /// Opens one and gives the secret for its cookie.
    pub(super) fn open(&mut self, seal: &[u8; 32], now: Instant) -> Option<String> {
        let secret = secret()?;
        self.0.retain(|session| session.lives(now));
        if self.0.len() >= SESSIONS {
            let quietest = self.0.iter().enumerate().min_by_key(|(_, session)| session.seen);
            if let Some(index) = quietest.map(|(index, _)| index) {
                self.0.swap_remove(index);
            }
        }
        self.0.push(Session { hash: hash(secret.as_bytes()), epoch: hash(seal), begun: now, seen: now });
        Some(secret)
    }

    /// Whether this is the secret of a session that lives under this seal; it lives on from now.
    pub(super) fn touch(&mut self, secret: &str, seal: &[u8; 32], now: Instant) -> bool {
        let (wanted, epoch) = (hash(secret.as_bytes()), hash(seal));
        self.0.retain(|session| session.lives(now) && session.epoch == epoch);
        let mut found = false;
        for session in &mut self.0 {
            if bool::from(session.hash.ct_eq(&wanted)) {
                session.seen = now;
                found = true;
            }
        }
        found
    }

    /// Ends the one with this secret.
    pub(super) fn close(&mut self, secret: &str) {
        let wanted = hash(secret.as_bytes());
        self.0.retain(|session| session.hash != wanted);
    }

    /// How many live.
    pub(super) fn count(&mut self, now: Instant) -> usize {
        self.0.retain(|session| session.lives(now));
        self.0.len()
    }
}

impl Session {
    fn lives(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.begun) < WHOLE && now.saturating_duration_since(self.seen) < IDLE
    }
}

fn hash(secret: &[u8]) -> [u8; 32] {
    Sha256::digest(secret).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEAL: [u8; 32] = [7; 32];

    #[test]
    fn a_session_ends_when_quiet_and_after_half_a_day() {
        let (mut sessions, mut now) = (Sessions::default(), Instant::now());
        let (busy, quiet) = (sessions.open(&SEAL, now).unwrap(), sessions.open(&SEAL, now).unwrap());
        assert!(busy != quiet && !sessions.touch("", &SEAL, now));
        assert!(!sessions.touch(&busy.to_uppercase(), &SEAL, now));
        for _ in 0..23 {
            now += IDLE / 2;
            assert!(sessions.touch(&busy, &SEAL, now));
        }
        assert!(!sessions.touch(&quiet, &SEAL, now));
        now += IDLE / 2;
        assert!(!sessions.touch(&busy, &SEAL, now) && sessions.count(now) == 0);
    }

    #[test]
    fn the_quietest_makes_room() {
        let (mut sessions, mut now) = (Sessions::default(), Instant::now());
        let first = sessions.open(&SEAL, now).unwrap();
        let mut last = String::new();
        for _ in 0..SESSIONS {
            now += Duration::from_secs(1);
            last = sessions.open(&SEAL, now).unwrap();
        }
        assert!(!sessions.touch(&first, &SEAL, now) && sessions.touch(&last, &SEAL, now));
        assert_eq!(sessions.count(now), SESSIONS);
        sessions.close(&last);
        assert!(!sessions.touch(&last, &SEAL, now));
    }

    #[test]
    fn another_password_ends_it() {
        let (mut sessions, now) = (Sessions::default(), Instant::now());
        let secret = sessions.open(&SEAL, now).unwrap();
        assert!(sessions.touch(&secret, &SEAL, now) && !sessions.touch(&secret, &[8; 32], now));
    }
}
