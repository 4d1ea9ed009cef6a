//! Bytes and hashes that core must give, and whole conversations that must end as written here. Nothing in this folder needs an operating
//! system, an allocator or a clock; a vector that does not hold panics.

#[path = "content.rs"]
mod content;
#[path = "record.rs"]
mod record;
#[path = "swarm.rs"]
mod swarm;
#[path = "talk.rs"]
mod talk;
#[path = "wire.rs"]
mod wire;

/// A name to print, and what must not panic.
pub(super) type Vector = (&'static str, fn());

/// Quick ones first.
pub(super) const VECTORS: &[Vector] = &[
    ("wire: messages of a share keep their bytes", wire::share),
    ("wire: messages of mirrors, mail and friends keep their bytes", wire::others),
    ("wire: what is no message is refused", wire::refused),
    ("content: SHA-256 and empty trees", content::hashes),
    ("content: the root of a file, its proofs, and no other", content::proofs),
    ("content: metadata is written as other programs write it", content::metadata),
    ("record: signed, read, and refused after a change", record::signed),
    ("hello: two sides prove their keys to each other", talk::hello),
    ("hello: a wrong token is refused", talk::wrong_token),
    ("mail: a letter waits for its receiver", talk::mail),
    ("swarm: a share crosses from one to the other", swarm::whole),
    ("swarm: who sends a wrong block is dropped", swarm::wrong_block),
];
