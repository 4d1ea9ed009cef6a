//! A published service: what comes to it is announced before it is taken.

use tokio::sync::watch;

use super::knock::{Kind, Knock};
use super::{NetError, Offer, memory, tor};

/// A name of ours at which somebody else's program answers. Dropping it takes it off the network.
#[derive(Debug)]
pub enum Published {
    /// An onion service.
    Tor(tor::TorService<tor::TorKnock>),
    /// Entries in a process's table.
    Memory(memory::MemoryService),
}

impl Published {
    /// Who comes next, or `None` when the network ended.
    pub async fn next(&mut self) -> Option<Knock> {
        match self {
            Self::Tor(service) => {
                let knock = service.accept().await?;
                let (port, circuit) = (knock.port(), knock.circuit());
                Some(Knock { kind: Kind::Tor(Box::new(knock)), port, circuit })
            }
            Self::Memory(service) => {
                let (port, stream) = service.next().await?;
                Some(Knock { kind: Kind::Memory(stream), port, circuit: 0 })
            }
        }
    }

    /// Lets the clients of `offer` find it from now on, in addition to those who found it already. To shut somebody
    /// out, [`close`](Self::close) it and publish it again: its introduction points are then others.
    pub fn admit(&self, offer: &Offer) -> Result<(), NetError> {
        match self {
            Self::Tor(service) => service.admit(offer),
            Self::Memory(service) => {
                service.admit(offer);
                Ok(())
            }
        }
    }

    /// Whether others can reach it, as far as the network says, now and from now on.
    pub fn reachable(&self) -> watch::Receiver<bool> {
        match self {
            Self::Tor(service) => service.reachable(),
            Self::Memory(service) => service.reachable(),
        }
    }

    /// Takes it off the network and waits until its keys and state are gone.
    pub async fn close(self) {
        match self {
            Self::Tor(service) => service.close().await,
            Self::Memory(service) => drop(service),
        }
    }
}
