//! What a share is: BitTorrent v2 (BEP 52).

pub mod merkle;

pub use merkle::Hash;
