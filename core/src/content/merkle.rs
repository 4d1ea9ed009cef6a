//! SHA-256 merkle trees over blocks of 16 KiB (BEP 52).

use serde::{Deserialize, Serialize};

/// A node of a merkle tree.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Hash(pub [u8; 32]);
