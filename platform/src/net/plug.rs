//! The core's own plug over whatever network this is: names, connections, frames.

use std::cell::RefCell;
use std::rc::Rc;

use bulbil_core::transport::{FramedRx, FramedTx, Hangup, RecvFrame, Transport, framed};
use tokio::sync::Mutex;

use super::{AccessKey, Address, Circuit, Half, NetError, Network, Service, Stream};

/// One name of ours on a network, and the way to others' names. The node itself keeps a door for each name, and looks at
/// each stream for what is said on it; whoever only wants frames needs no more than this.
#[derive(Debug)]
pub struct Plug {
    network: Network,
    service: Mutex<Service>,
    access: Option<AccessKey>,
    swarm: u64,
}

/// The receiving half. On the heap, as it holds a frame.
#[derive(Debug)]
pub struct Hears(Box<FramedRx<Half>>);

impl Plug {
    /// `service` takes calls, `access` is shown to those who are called. Connections of different `swarm`s share no circuit.
    pub fn new(network: Network, service: Service, access: Option<AccessKey>, swarm: u64) -> Self {
        Self { network, service: Mutex::new(service), access, swarm }
    }
}

impl RecvFrame for Hears {
    async fn recv(&mut self) -> Result<&[u8], Hangup> {
        self.0.recv().await
    }
}

impl Transport for Plug {
    type Name = Address;
    type Tx = FramedTx<Half>;
    type Rx = Hears;
    type Error = NetError;

    async fn connect(&self, to: &Address, lane: u32) -> Result<(Self::Tx, Self::Rx), NetError> {
        let circuit = Circuit { swarm: self.swarm, lane };
        self.network.connect(*to, self.access.as_ref(), circuit).await.map(halves)
    }

    async fn accept(&self) -> Result<(Self::Tx, Self::Rx), NetError> {
        self.service.lock().await.accept().await.map(halves).ok_or(NetError::Shutdown)
    }
}

fn halves(stream: Stream) -> (FramedTx<Half>, Hears) {
    let shared = Rc::new(RefCell::new(stream));
    let (tx, rx) = framed(Half(Rc::clone(&shared)), Half(shared));
    (tx, Hears(Box::new(rx)))
}
