//! Publishing: services that decide about each stream before they take it, and who may find them.

use super::tor::TorKnock;
use super::{ClientKey, NetError, Stream, memory};

/// What a published service offers.
#[derive(Clone, Debug)]
pub struct Offer {
    /// Virtual ports; streams to any other are refused.
    pub ports: Vec<u16>,
    /// Who may find the service: everyone, or only these. An empty list is nobody.
    pub clients: Option<Vec<ClientKey>>,
    /// How much it takes.
    pub limits: Limits,
}

/// How much a published service takes at a time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Circuits, each of which is one client or a part of one; 20 to 60 KB each.
    pub circuits: usize,
    /// Streams on one circuit.
    pub streams_per_circuit: u32,
    /// Introductions a second that each introduction point lets through.
    pub introductions: u32,
    /// How many of them at once after a quiet time.
    pub introductions_burst: u32,
    /// Introduction points, 3 to 20.
    pub introduction_points: u8,
}

/// Somebody who wants a stream, and waits for the answer.
#[derive(Debug)]
pub struct Knock {
    pub(super) kind: Kind,
    /// The virtual port.
    pub port: u16,
    /// The circuit it comes over: equal numbers are one client; a client may have several.
    pub circuit: u32,
}

#[derive(Debug)]
pub(super) enum Kind {
    Tor(Box<TorKnock>),
    Memory(memory::MemoryStream),
}

impl Knock {
    /// Takes it.
    pub async fn accept(self) -> Result<Stream, NetError> {
        match self.kind {
            Kind::Tor(knock) => knock.accept().await.map(Stream::tor),
            Kind::Memory(stream) => Ok(Stream::memory(stream)),
        }
    }

    /// Says no, as every onion service does whose program does not answer.
    pub async fn refuse(self) {
        match self.kind {
            Kind::Tor(knock) => knock.refuse().await,
            Kind::Memory(stream) => drop(stream),
        }
    }
}
