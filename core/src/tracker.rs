//! The records a node holds about shares and who has them.
//!
//! A [`record`] is signed by its author and means the same wherever it came from. A [`store`] keeps as many as it was
//! given memory for, [`tree`] gives digests of ranges of it, and [`sync`] makes two stores equal at a cost that follows
//! their difference. [`ring`] says which nodes keep a copy of what.

mod heap;
pub mod record;
pub mod ring;
pub mod store;
pub mod sync;
pub mod tree;

pub use record::{Body, Kind, Record, RecordError, Signed, Visibility};

pub use ring::Ring;
pub use store::{Memory, Outcome, Parts, Rank, Refused, Slot, Store};

pub use sync::Sync;
pub use tree::{Node, Range};
