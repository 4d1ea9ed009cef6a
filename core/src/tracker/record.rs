//! Signed, versioned, expiring statements: who offers what, who serves it, who trusts whom, what is no more.

use core::cmp::Ordering;

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::hello::TOKEN_LEN;
use crate::id::{InfoHash, NodeKey, RecordId};
use crate::limits::{FUTURE_S, MAX_COMPONENT, MAX_NAME, MAX_RECORD, MAX_TAGS, MAX_TEXT, RECORD_LIFE_S};
use crate::time::Date;
use crate::wire::TooSmall;

/// Bytes of a signature at the end of a record.
const SIGNATURE_LEN: usize = 64;

/// Signed before the record itself, so that no other signature of the same key can pass for one.
const DOMAIN: &[u8; 16] = b"bulbil record 1\0";

/// What a record may be about. Its position is its number on the wire and in [`RecordId`].
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub enum Kind {
    /// 0. See [`Body::Share`].
    Share,
    /// 1. See [`Body::Peer`].
    Peer,
    /// 2. See [`Body::Trust`].
    Trust,
}

/// How far a share's records may travel.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Visibility {
    /// 0. No further than the holders of its link.
    Private,
    /// 1. To everyone.
    Public,
}

/// What a record says. A variant's position is its number on the wire: append, never reorder, never reuse.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Body<'a> {
    /// 0. The author offers this share.
    Share {
        /// What names it.
        info_hash: InfoHash,
        /// Up to [`MAX_COMPONENT`] bytes.
        name: &'a str,
        /// Bytes of all files.
        size: u64,
        /// Separated by commas, up to [`MAX_TAGS`] bytes.
        tags: &'a str,
        /// Up to [`MAX_TEXT`] bytes.
        text: &'a str,
        /// Who may hear of it.
        visibility: Visibility,
    },
    /// 1. The author, a key made for this swarm alone, serves this share until the record expires.
    Peer {
        /// What names the share.
        info_hash: InfoHash,
        /// Where: up to [`MAX_NAME`] bytes.
        #[serde(borrow)]
        name: &'a [u8],
        /// What the handshake there asks for.
        token: [u8; TOKEN_LEN],
    },
    /// 2. The author trusts this node.
    Trust {
        /// Whom.
        node: NodeKey,
        /// Where it is found: up to [`MAX_NAME`] bytes, none if the author keeps that to itself.
        name: &'a [u8],
    },
    /// 3. The author's record of this kind and subject holds no longer. Lives for all of [`RECORD_LIFE_S`], so that
    ///    it outlives every copy of what it takes back.
    Tombstone {
        /// Kind of the record taken back.
        kind: Kind,
        /// Its subject: the info-hash, or the key of the node trusted.
        subject: [u8; 32],
    },
}

impl Body<'_> {
    /// Kind and subject: with the author they make the name of the record.
    #[must_use]
    pub const fn about(&self) -> (Kind, [u8; 32]) {
        match self {
            Self::Share { info_hash, .. } => (Kind::Share, info_hash.0),
            Self::Peer { info_hash, .. } => (Kind::Peer, info_hash.0),
            Self::Trust { node, .. } => (Kind::Trust, node.0),
            Self::Tombstone { kind, subject } => (*kind, *subject),
        }
    }

    fn fits(&self) -> bool {
        match self {
            Self::Share { name, tags, text, .. } => {
                name.len() <= MAX_COMPONENT && tags.len() <= MAX_TAGS && text.len() <= MAX_TEXT
            }
            Self::Peer { name, .. } | Self::Trust { name, .. } => name.len() <= MAX_NAME,
            Self::Tombstone { .. } => true,
        }
    }
}

/// Why a record is refused. None of them names anyone.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RecordError {
    /// More bytes, or a longer name or text, than a record may have.
    Oversized,
    /// The bytes are no record, or another form of one.
    Malformed,
    /// The author is no key, or one under which anybody could sign.
    ForgedAuthor,
    /// The author did not sign this.
    WrongSignature,
    /// Its time is over.
    Expired,
    /// Made more than [`FUTURE_S`] from now: its author's clock is wrong, or ours.
    FutureDated,
    /// Wants to live longer than [`RECORD_LIFE_S`], ends before it begins, or is a tombstone that ends early.
    WrongLife,
}

impl core::fmt::Display for RecordError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Oversized => "a record is larger than records may be",
            Self::Malformed => "the bytes are no record",
            Self::ForgedAuthor => "a record's author is no proper key",
            Self::WrongSignature => "a record was not signed by its author",
            Self::Expired => "a record has expired",
            Self::FutureDated => "a record comes from the future: check this board's clock",
            Self::WrongLife => "a record lives longer or shorter than it may",
        })
    }
}

/// One statement, not yet signed or already checked.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Record<'a> {
    /// Who says so.
    pub author: NodeKey,
    /// The highest version of a record wins.
    pub version: u64,
    /// When it was made.
    pub made: Date,
    /// From when on it no longer holds.
    pub expires: Date,
    /// What it says.
    #[serde(borrow)]
    pub body: Body<'a>,
}

impl<'a> Record<'a> {
    /// The record's name, the same for all its versions and for the tombstone that ends it.
    #[must_use]
    pub fn id(&self) -> RecordId {
        let (kind, subject) = self.body.about();
        record_id(self.author, kind, &subject)
    }

    /// Writes the record, signed, at the start of `buf` and returns it. The author is `key`, whatever `self` says.
    /// [`MAX_RECORD`] bytes are always enough, unless a name or text is too long: then `TooSmall` as well.
    pub fn sign<'b>(mut self, key: &SigningKey, buf: &'b mut [u8]) -> Result<&'b [u8], TooSmall> {
        self.author = NodeKey(key.verifying_key().to_bytes());
        if !self.body.fits() {
            return Err(TooSmall);
        }
        let body = postcard::to_slice(&self, buf).map_err(|_| TooSmall)?.len();
        let (statement, len) = statement(buf.get(..body).ok_or(TooSmall)?).ok_or(TooSmall)?;
        let signature = key.sign(statement.get(..len).ok_or(TooSmall)?).to_bytes();
        let end = body.saturating_add(SIGNATURE_LEN);
        buf.get_mut(body..end).ok_or(TooSmall)?.copy_from_slice(&signature);
        buf.get(..end).ok_or(TooSmall)
    }

    /// Reads a signed record that was checked before, such as one from our own store.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, RecordError> {
        let (record, _) = parts(bytes)?;
        Ok(record)
    }

    /// Whether it holds at this moment.
    #[must_use]
    pub fn is_current(&self, today: Date) -> bool {
        self.expires > today
    }
}

/// A record whose signature, form and dates were checked; the only way into a [`Store`](super::Store).
#[derive(Clone, Copy, Debug)]
pub struct Signed<'a> {
    record: Record<'a>,
    bytes: &'a [u8],
    id: RecordId,
    digest: [u8; 16],
}

impl<'a> Signed<'a> {
    /// Checks a record from anywhere. Cheap checks come first, the signature last.
    pub fn check(bytes: &'a [u8], today: Date) -> Result<Self, RecordError> {
        let (record, signature) = parts(bytes)?;
        let life = record.expires.0.checked_sub(record.made.0).ok_or(RecordError::WrongLife)?;
        let tombstone = matches!(record.body, Body::Tombstone { .. });
        if life > RECORD_LIFE_S || (tombstone && life < RECORD_LIFE_S) {
            return Err(RecordError::WrongLife);
        }
        if !record.is_current(today) {
            return Err(RecordError::Expired);
        }
        if record.made > today.plus(FUTURE_S) {
            return Err(RecordError::FutureDated);
        }
        let author = VerifyingKey::from_bytes(&record.author.0).map_err(|_| RecordError::ForgedAuthor)?;
        if author.is_weak() {
            return Err(RecordError::ForgedAuthor);
        }
        let unsigned = bytes.len().saturating_sub(SIGNATURE_LEN);
        let signed = bytes.get(..unsigned).and_then(statement).ok_or(RecordError::Oversized)?;
        let signed = signed.0.get(..signed.1).ok_or(RecordError::Oversized)?;
        author.verify_strict(signed, &signature).map_err(|_| RecordError::WrongSignature)?;
        Ok(Self { record, bytes, id: record.id(), digest: digest(bytes) })
    }

    /// What it says.
    #[must_use]
    pub const fn record(&self) -> &Record<'a> {
        &self.record
    }

    /// As signed.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The record's name.
    #[must_use]
    pub const fn id(&self) -> RecordId {
        self.id
    }

    /// Which of several records of one name wins: the higher version, then the higher digest. A total order, so merging
    /// is commutative, associative and idempotent.
    #[must_use]
    pub const fn edition(&self) -> Edition {
        Edition { version: self.record.version, digest: self.digest }
    }
}

/// What tells two records of one name apart.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Edition {
    /// As in [`Record`].
    pub version: u64,
    /// First half of the SHA-256 of the signed record.
    pub digest: [u8; 16],
}

/// The one of two records of the same name that is kept.
#[must_use]
pub fn merge<'a>(one: Signed<'a>, other: Signed<'a>) -> Signed<'a> {
    if one.edition().cmp(&other.edition()) == Ordering::Less { other } else { one }
}

/// Names the record that `author` made about `subject`.
#[must_use]
pub fn record_id(author: NodeKey, kind: Kind, subject: &[u8; 32]) -> RecordId {
    let kind: u8 = match kind {
        Kind::Share => 0,
        Kind::Peer => 1,
        Kind::Trust => 2,
    };
    let hash = Sha256::new_with_prefix(b"bulbil record id").chain_update(author.0).chain_update([kind]);
    RecordId(hash.chain_update(subject).finalize().into())
}

fn digest(bytes: &[u8]) -> [u8; 16] {
    let whole: [u8; 32] = Sha256::digest(bytes).into();
    whole.first_chunk().copied().unwrap_or_default()
}

/// Reads a record and its signature, strictly: there is one form of each record.
fn parts(bytes: &[u8]) -> Result<(Record<'_>, Signature), RecordError> {
    if bytes.len() > MAX_RECORD {
        return Err(RecordError::Oversized);
    }
    let (unsigned, signature) = bytes.split_last_chunk::<SIGNATURE_LEN>().ok_or(RecordError::Malformed)?;
    let (record, rest) =
        postcard::take_from_bytes::<Record<'_>>(unsigned).map_err(|_| RecordError::Malformed)?;
    if !record.body.fits() {
        return Err(RecordError::Oversized);
    }
    let mut again = [0; MAX_RECORD];
    let same = postcard::to_slice(&record, &mut again).is_ok_and(|again| again == unsigned);
    if !rest.is_empty() || !same {
        return Err(RecordError::Malformed);
    }
    Ok((record, Signature::from_bytes(signature)))
}

/// What is signed, and how many bytes of it count.
fn statement(unsigned: &[u8]) -> Option<([u8; MAX_RECORD], usize)> {
    let mut bytes = [0; MAX_RECORD];
    let len = DOMAIN.len().checked_add(unsigned.len())?;
    bytes.get_mut(..DOMAIN.len())?.copy_from_slice(DOMAIN);
    bytes.get_mut(DOMAIN.len()..len)?.copy_from_slice(unsigned);
    Some((bytes, len))
}

#[cfg(test)]
mod tests;
