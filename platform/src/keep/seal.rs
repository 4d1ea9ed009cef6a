//! Sealing with a passphrase: the `age` format (age-encryption.org/v1, scrypt recipient), so that other tools can open it.

use std::fmt;
use std::io::{self, Read, Write};

use age::secrecy::{ExposeSecret, SecretString};
use age::{DecryptError, Decryptor, Encryptor, scrypt};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::KeepError;

/// scrypt's cost as a power of two: 2^15 rounds of 1 KiB take 32 MiB and a quarter of a second on a Pi 4. age's own
/// choice of 2^18 takes 256 MiB, which a board does not have beside Tor.
const WORK: u8 = 15;

/// Highest cost that is opened: 2^20 takes 1 GiB. Files that other tools sealed cost 2^18 as a rule.
const MAX_WORK: u8 = 20;

/// Characters of a passphrase to seal with at least.
pub const MIN_PASSPHRASE: usize = 12;

/// Bytes of a passphrase at most.
pub const MAX_PASSPHRASE: usize = 1024;

/// age encrypts in chunks of this size (age-encryption.org/v1, "Payload").
const CHUNK: usize = 64 * 1024;

/// What an age file starts with (age-encryption.org/v1).
pub(super) const MAGIC: &[u8] = b"age-encryption.org/v1\n";

/// What opens a keep file. Wiped when dropped, never printed.
#[derive(Clone)]
pub struct Passphrase(SecretString);

/// Why a text is no passphrase.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadPassphrase {
    /// Nothing at all.
    #[error("the passphrase is empty; give one")]
    Empty,
    /// Too short to seal with.
    #[error(
        "the passphrase is too short: whoever finds the file may try billions; take {MIN_PASSPHRASE} characters or \
         more, such as five words"
    )]
    Short,
    /// Not a passphrase.
    #[error("the passphrase is over {MAX_PASSPHRASE} bytes; check that the right file was named")]
    Long,
}

impl Passphrase {
    /// One to open with; an end of line is cut off.
    pub fn to_open(text: &str) -> Result<Self, BadPassphrase> {
        let text = text.strip_suffix('\n').unwrap_or(text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        match text.len() {
            0 => Err(BadPassphrase::Empty),
            MAX_PASSPHRASE.. => Err(BadPassphrase::Long),
            _ => Ok(Self(SecretString::from(text))),
        }
    }

    /// One to seal with, which must be long enough.
    pub fn to_seal(text: &str) -> Result<Self, BadPassphrase> {
        let passphrase = Self::to_open(text)?;
        if passphrase.reveal().chars().count() < MIN_PASSPHRASE {
            return Err(BadPassphrase::Short);
        }
        Ok(passphrase)
    }

    /// The passphrase itself.
    pub fn reveal(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(hidden)")
    }
}

impl PartialEq for Passphrase {
    /// In constant time, but for the length.
    fn eq(&self, other: &Self) -> bool {
        self.reveal().as_bytes().ct_eq(other.reveal().as_bytes()).into()
    }
}

impl Eq for Passphrase {}

/// Bytes that `text` is to be filled up to with blanks: whole chunks, the last of which holds nothing else. age does not
/// wipe the buffer it takes a chunk from; so it is written over. It also hides how much there is.
pub(super) const fn padded(len: usize) -> usize {
    (len.div_ceil(CHUNK) + 1) * CHUNK
}

/// Seals `text`. Takes 32 MiB and some tenths of a second.
pub(super) fn seal(text: &[u8], passphrase: &Passphrase) -> Result<Vec<u8>, KeepError> {
    let failed = |why: &dyn fmt::Display| KeepError::Seal(why.to_string());
    let mut recipient = scrypt::Recipient::new(passphrase.0.clone());
    recipient.set_work_factor(WORK);
    let recipients: [&dyn age::Recipient; 1] = [&recipient];
    let encryptor = Encryptor::with_recipients(recipients.into_iter()).map_err(|why| failed(&why))?;
    let sealed = Vec::with_capacity(text.len() + text.len() / 1024 + 1024);
    let mut writer = encryptor.wrap_output(sealed).map_err(|why| failed(&why))?;
    writer.write_all(text).map_err(|why| failed(&why))?;
    writer.finish().map_err(|why| failed(&why))
}

/// Opens what [`seal`] or another age tool sealed with a passphrase.
pub(super) fn open(sealed: &[u8], passphrase: &Passphrase) -> Result<Zeroizing<Vec<u8>>, KeepError> {
    if !sealed.starts_with(MAGIC) {
        return Err(KeepError::Foreign);
    }
    let decryptor = Decryptor::new(sealed).map_err(explain)?;
    if !decryptor.is_scrypt() {
        return Err(KeepError::Foreign);
    }
    let mut identity = scrypt::Identity::new(passphrase.0.clone());
    identity.set_max_work_factor(MAX_WORK);
    let identities: [&dyn age::Identity; 1] = [&identity];
    let mut reader = decryptor.decrypt(identities.into_iter()).map_err(explain)?;
    // Never grows past this, so no copy is left behind.
    let mut text = Zeroizing::new(Vec::with_capacity(sealed.len()));
    reader.read_to_end(&mut text).map_err(|_| KeepError::Damaged)?;
    Ok(text)
}

fn explain(why: DecryptError) -> KeepError {
    match why {
        DecryptError::ExcessiveWork { .. } => KeepError::Work,
        DecryptError::DecryptionFailed | DecryptError::KeyDecryptionFailed => KeepError::Passphrase,
        DecryptError::InvalidMac => KeepError::Damaged,
        DecryptError::Io(why) if why.kind() == io::ErrorKind::UnexpectedEof => KeepError::Damaged,
        _ => KeepError::Foreign,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passphrase(text: &str) -> Passphrase {
        Passphrase::to_seal(text).unwrap()
    }

    #[test]
    fn what_was_sealed_opens_with_the_same_passphrase_alone() {
        let (right, wrong) = (passphrase("correct horse battery"), passphrase("correct horse batterz"));
        let text = vec![7; 200_000];
        let sealed = seal(&text, &right).unwrap();
        assert!(sealed.starts_with(b"age-encryption.org/v1\n-> scrypt "), "the format of age");
        assert_eq!(*open(&sealed, &right).unwrap(), text);
        assert!(matches!(open(&sealed, &wrong), Err(KeepError::Passphrase)));
        assert_ne!(sealed, seal(&text, &right).unwrap(), "never the same twice");
    }

    #[test]
    fn no_changed_or_missing_byte_opens() {
        let right = passphrase("correct horse battery");
        let sealed = seal(b"{}", &right).unwrap();
        // In the first line, the salt, the wrapped key, the tag of the header, the nonce, and the text.
        for at in [3, 40, 90, 130, 170, sealed.len() - 1] {
            let mut bad = sealed.clone();
            bad[at] ^= 1;
            assert!(open(&bad, &right).is_err(), "byte {at}");
            assert!(open(&sealed[..at], &right).is_err(), "cut at {at}");
        }
        assert!(matches!(open(b"not age at all", &right), Err(KeepError::Foreign)));
    }

    #[test]
    fn a_file_that_wants_more_memory_than_there_is_is_refused() {
        let right = passphrase("correct horse battery");
        let sealed = seal(b"{}", &right).unwrap();
        let head = String::from_utf8_lossy(&sealed[..80]).into_owned();
        let line = head.lines().nth(1).unwrap();
        assert!(line.ends_with(" 15"), "the work factor is stated: {line}");
        let at = head.find(" 15\n").unwrap();
        let mut heavy = sealed;
        heavy[at + 1] = b'3';
        assert!(matches!(open(&heavy, &right), Err(KeepError::Work)));
    }

    #[test]
    fn passphrases_have_a_least_length_and_lose_their_line_end() {
        assert_eq!(Passphrase::to_open("abc\r\n").unwrap().reveal(), "abc");
        assert_eq!(Passphrase::to_open("\n"), Err(BadPassphrase::Empty));
        assert_eq!(Passphrase::to_seal("short"), Err(BadPassphrase::Short));
        assert_eq!(Passphrase::to_seal("ääääääääääää").unwrap().reveal().chars().count(), 12);
        assert_eq!(Passphrase::to_open(&"x".repeat(2000)), Err(BadPassphrase::Long));
        assert_eq!(format!("{:?}", passphrase("correct horse battery")), "Passphrase(hidden)");
    }

    #[test]
    fn the_last_chunk_is_blank() {
        for len in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1] {
            assert!(padded(len).is_multiple_of(CHUNK) && padded(len) >= len + CHUNK, "{len}");
        }
    }
}
