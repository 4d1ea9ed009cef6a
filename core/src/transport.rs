//! The plug for a network: names, connections, whole frames. Tor is one; one process's memory is another.

mod framed;

pub use framed::{FramedRx, FramedTx, framed};

/// A way to reach other nodes by name.
#[allow(async_fn_in_trait, reason = "the swarm runs on one thread; nobody needs these futures to be Send")]
pub trait Transport {
    /// A node's name: an onion address and port, a mixnet address, a test label.
    type Name: Clone + Eq;
    /// The sending half of one connection.
    type Tx: SendFrame;
    /// The receiving half of one connection.
    type Rx: RecvFrame;
    /// Why a connection could not be made.
    type Error;

    /// Opens a connection as lane number `lane`: connections with different numbers share no circuit.
    /// Waits for as long as the network takes; the caller sets the limit.
    async fn connect(&self, to: &Self::Name, lane: u32) -> Result<(Self::Tx, Self::Rx), Self::Error>;

    /// Waits for the next connection to us. Who is calling is not known here.
    async fn accept(&self) -> Result<(Self::Tx, Self::Rx), Self::Error>;
}

/// Sends whole frames, in order.
#[allow(async_fn_in_trait, reason = "see Transport")]
pub trait SendFrame {
    /// Returns once the frame has been handed to the network, which may still hold it back until
    /// [`flush`](Self::flush). Not cancel-safe: after a cancelled send the connection is unusable.
    async fn send(&mut self, frame: &[u8]) -> Result<(), Hangup>;

    /// Sends what the network held back. Call when no further frame is ready: Tor packs cells fuller that way.
    async fn flush(&mut self) -> Result<(), Hangup>;
}

/// Receives whole frames, in order.
#[allow(async_fn_in_trait, reason = "see Transport")]
pub trait RecvFrame {
    /// The next frame, valid until the next call. Cancel-safe: dropping the future loses nothing.
    async fn recv(&mut self) -> Result<&[u8], Hangup>;
}

/// The connection is over. Why does not matter to a peer that must reconnect either way.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Hangup;
