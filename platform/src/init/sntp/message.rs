//! SNTP's one message (RFC 4330, section 4).

use std::time::{Duration, SystemTime};

/// Bytes of it, without what servers may add.
pub(super) const LENGTH: usize = 48;

/// First byte: no leap second known, version 4, client; and what a server's last three bits are.
const CLIENT: u8 = 4 << 3 | 3;
const SERVER: u8 = 4;

/// Leap bits of a server that does not know the time itself.
const UNKNOWN: u8 = 3;

/// Highest stratum of a server that knows it.
const MAX_STRATUM: u8 = 15;

/// Most that a server may be away from its own source, and err: a second, in units of 1/65 536 s (section 5).
const MAX_ROOT: u32 = 65_536;

/// Seconds from 1900 to 1970, and in an era: the count of seconds begins anew in 2036 (section 3).
const TO_UNIX: u64 = 2_208_988_800;
const ERA: u64 = 1 << 32;

/// What an answer says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Answer {
    /// The server's time when it answered.
    Time(SystemTime),
    /// It does not know, or wants to be left alone.
    No,
}

/// A question. The server sends `cookie` back; our own time, which it has no need of, is not told.
pub(super) fn question(cookie: [u8; 8]) -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    bytes[0] = CLIENT;
    if let Some(sent) = bytes.get_mut(40..) {
        sent.copy_from_slice(&cookie);
    }
    bytes
}

/// What the server says, if these bytes answer our question. Of the times that they may mean, it is the first after `floor`.
pub(super) fn answer(bytes: &[u8], cookie: [u8; 8], floor: SystemTime) -> Option<Answer> {
    let bytes = bytes.get(..LENGTH)?;
    let (&first, &stratum) = (bytes.first()?, bytes.get(1)?);
    if bytes.get(24..32)? != cookie || first & 7 != SERVER {
        return None;
    }
    let root = |at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let knows = first >> 6 != UNKNOWN && (1..=MAX_STRATUM).contains(&stratum);
    // The delay has a sign; a clock ahead of its source is no better than one behind.
    let near = root(4)?.cast_signed().unsigned_abs() < MAX_ROOT && root(8)? < MAX_ROOT;
    let sent = u64::from_be_bytes(bytes.get(40..48)?.try_into().ok()?);
    if !knows || !near || sent == 0 {
        return Some(Answer::No);
    }
    Some(Answer::Time(time(sent, floor)?))
}

/// 32 bits of seconds and 32 of their parts.
fn time(stamp: u64, floor: SystemTime) -> Option<SystemTime> {
    let floor = floor.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs() + TO_UNIX;
    let seconds = stamp >> 32;
    let mut since_1900 = floor / ERA * ERA + seconds;
    if since_1900 < floor {
        since_1900 += ERA;
    }
    let nanos = ((stamp & 0xffff_ffff) * 1_000_000_000) >> 32;
    let since = Duration::new(since_1900.checked_sub(TO_UNIX)?, u32::try_from(nanos).ok()?);
    SystemTime::UNIX_EPOCH.checked_add(since)
}

#[cfg(test)]
mod tests {
    use super::*;

    const COOKIE: [u8; 8] = *b"a cookie";

    fn said(first: u8, stratum: u8, seconds: u32) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        bytes[0] = first;
        bytes[1] = stratum;
        bytes[24..32].copy_from_slice(&COOKIE);
        bytes[40..44].copy_from_slice(&seconds.to_be_bytes());
        bytes[44] = 0x80;
        bytes
    }

    #[test]
    fn a_question_tells_nothing_but_its_cookie() {
        let bytes = question(COOKIE);
        assert_eq!((bytes[0], &bytes[40..]), (0x23, &COOKIE[..]));
        assert!(bytes[1..40].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn the_time_is_the_first_after_the_floor() {
        let at = |seconds: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let half = Duration::from_millis(500);
        // 2023-11-14T22:13:20Z in era 0, and 2036-02-07T06:28:20Z in era 1.
        let now = u32::try_from(1_700_000_000 + TO_UNIX).unwrap();
        let read = |seconds: u32, floor: u64| answer(&said(0x24, 2, seconds), COOKIE, at(floor)).unwrap();
        assert_eq!(read(now, 1_690_000_000), Answer::Time(at(1_700_000_000) + half));
        assert_eq!(read(4, 1_690_000_000), Answer::Time(at(ERA + 4 - TO_UNIX) + half));
        assert_eq!(read(now, 0), Answer::Time(at(1_700_000_000) + half));
    }

    #[test]
    fn what_a_real_server_said_is_understood() {
        // chronyd 4.3, asked with this cookie.
        let said = "240800e800000000000000007f7f0101eeac879fd1baa4266120636f6f6b6965eeac87a14e8d6d4beeac87a14e916136";
        let said = data_encoding::HEXLOWER.decode(said.as_bytes()).unwrap();
        let Some(Answer::Time(time)) = answer(&said, COOKIE, SystemTime::UNIX_EPOCH) else {
            panic!("no time")
        };
        let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!((since.as_secs(), since.subsec_millis()), (1_795_295_521, 306));
    }

    #[test]
    fn who_does_not_know_is_told_from_who_was_not_asked() {
        let floor = SystemTime::UNIX_EPOCH;
        let read = |bytes: &[u8]| answer(bytes, COOKIE, floor);
        assert_eq!(read(&said(0xe4, 2, 7)), Some(Answer::No), "not in step");
        assert_eq!(read(&said(0x24, 0, 7)), Some(Answer::No), "a kiss of death");
        assert_eq!(read(&said(0x24, 16, 7)), Some(Answer::No));
        assert_eq!(read(&said(0x23, 2, 7)), None, "a client");
        assert_eq!(answer(&said(0x24, 2, 7), [0; 8], floor), None, "another question's");
        let mut far = said(0x24, 2, 7);
        far[10] = 1; // 256/65536 s: fine
        assert!(matches!(read(&far), Some(Answer::Time(_))));
        far[9] = 1; // and a second more
        assert_eq!(read(&far), Some(Answer::No));
        let whole = said(0x24, 2, 7);
        assert!((0..LENGTH).all(|end| read(&whole[..end]).is_none()));
    }
}
