//! What comes of a call: events, and whom to blame.

use crate::id::BlockId;
use crate::store::StoreError;

/// What the owner should know. Each call yields at most one, so none is ever queued.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Event {
    /// Nothing.
    Quiet,
    /// A block was verified and written.
    Block(BlockId),
    /// As `Block`, and its piece is whole.
    Piece(BlockId),
    /// As `Piece`, and it was the last.
    Whole(BlockId),
    /// The store refused a block; nothing more is requested until [`Swarm::resume`](super::Swarm::resume).
    Fault(StoreError),
}

/// What a peer did to be dropped and not let in again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reject {
    /// The bytes were no message.
    Malformed,
    /// A valid message at the wrong moment.
    OutOfTurn,
    /// A piece, block, file or bit that the share does not have.
    OutOfRange,
    /// A block nobody asked for.
    Unasked,
    /// A block that is not what its hash says.
    BadBlock,
    /// More requests or more talk than is allowed.
    Flood,
    /// The same request twice.
    Repeated,
    /// Took requests and stayed silent.
    Stalled,
}

impl core::fmt::Display for Reject {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Malformed => "sent bytes that are no message",
            Self::OutOfTurn => "sent a message out of turn",
            Self::OutOfRange => "spoke of pieces or files that do not exist",
            Self::Unasked => "sent a block nobody asked for",
            Self::BadBlock => "sent a block that does not match its hash",
            Self::Flood => "sent more than is allowed",
            Self::Repeated => "repeated a request",
            Self::Stalled => "took requests and stayed silent",
        })
    }
}

/// Why a lane ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Over {
    /// The peer is to blame: number it is known by, and what it did.
    Rejected(u64, Reject),
    /// The peer said goodbye, or its lane was closed here.
    Closed,
    /// All places at the peer are taken; it is called again later.
    Busy,
}

/// Why a lane was not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NoLane {
    /// This peer was dropped for cause.
    Banned,
    /// All places for peers, or for lanes of this peer, are taken. Whoever called should be told: `Busy`.
    Full,
    /// It is ourselves.
    Ourselves,
}
