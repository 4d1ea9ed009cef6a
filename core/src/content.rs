//! What a share is: `BitTorrent` v2 (BEP 52).

pub mod bencode;
pub mod layer;
mod layout;
pub mod merkle;
pub mod metainfo;
pub mod name;

pub use layout::{Layout, LayoutError, Span, is_piece_len, piece_height, pieces_of};
pub use merkle::Hash;
