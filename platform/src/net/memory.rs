//! A network inside one process: the same promises as Tor's, without Tor. For tests, simulation and the curious.

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::sync::{mpsc, watch};

use super::{
    ACCEPT_QUEUE, AccessKey, Address, ClientKey, IdentityKey, KNOCK_QUEUE, NetError, Offer, ServiceKey,
};
use crate::status::NetStatus;

mod outside;
mod slow;

pub use outside::Server;

/// Bytes under way in one direction of a stream without a configured bandwidth.
const IN_FLIGHT: usize = 256 * 1024;

/// Services of one hub at most.
const MAX_SERVICES: usize = 4096;

/// How fast the network is. By default as fast as memory.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Pace {
    /// One way, for each byte and for each connect.
    pub latency: Duration,
    /// Bytes a second per stream and direction; 0 is without limit.
    pub bandwidth: u64,
}

/// The hub that all nodes of this network share. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Memory(Arc<Hub>);

#[derive(Debug)]
struct Hub {
    pace: Pace,
    services: Mutex<HashMap<Address, Listener>>,
    status: watch::Sender<NetStatus>,
    outside: outside::Outside,
}

#[derive(Debug)]
struct Listener {
    /// Who may come; everybody without.
    clients: Option<Vec<ClientKey>>,
    streams: mpsc::Sender<(u16, MemoryStream)>,
    /// Streams that were let in, for tests.
    calls: u64,
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl Memory {
    /// An empty network without delay.
    pub fn new() -> Self {
        Self::with_pace(Pace::default())
    }

    /// An empty network of this pace.
    pub fn with_pace(pace: Pace) -> Self {
        let status = NetStatus {
            kind: "memory".into(),
            ready: true,
            percent: 100,
            doing: "ready".into(),
            ..NetStatus::default()
        };
        let status = watch::Sender::new(status);
        Self(Arc::new(Hub { pace, services: Mutex::default(), status, outside: outside::Outside::default() }))
    }

    pub(super) fn serve(
        &self,
        key: &ServiceKey,
        port: u16,
        access: Option<&AccessKey>,
    ) -> Result<MemoryService, NetError> {
        let access = access.map(|access| [access.public()]);
        self.register(vec![key.address(port)], access.as_ref().map(<[_; 1]>::as_slice), ACCEPT_QUEUE)
    }

    pub(super) fn publish(&self, key: &IdentityKey, offer: &Offer) -> Result<MemoryService, NetError> {
        let addresses = offer.ports.iter().map(|port| key.address(*port)).collect();
        self.register(addresses, offer.clients.as_deref(), KNOCK_QUEUE)
    }

    fn register(
        &self,
        addresses: Vec<Address>,
        clients: Option<&[ClientKey]>,
        queue: usize,
    ) -> Result<MemoryService, NetError> {
        if !self.0.status.borrow().ready {
            return Err(NetError::Shutdown);
        }
        let (sender, streams) = mpsc::channel(queue);
        self.0.edit(|services| {
            if addresses.iter().any(|address| services.contains_key(address)) {
                return Err(NetError::Local("this address is served already; stop the other service first"));
            }
            if services.len().saturating_add(addresses.len()) > MAX_SERVICES {
                return Err(NetError::Local("too many services in one process; stop some first"));
            }
            for address in &addresses {
                let clients = clients.map(<[_]>::to_vec);
                services.insert(*address, Listener { clients, streams: sender.clone(), calls: 0 });
            }
            Ok(())
        })?;
        let hub = Arc::downgrade(&self.0);
        Ok(MemoryService { addresses, streams, hub, reachable: watch::Sender::new(true) })
    }

    pub(super) async fn connect(
        &self,
        to: Address,
        access: Option<&AccessKey>,
    ) -> Result<MemoryStream, NetError> {
        if !self.0.status.borrow().ready {
            return Err(NetError::Shutdown);
        }
        // There and back, as a handshake takes.
        tokio::time::sleep(self.0.pace.latency.saturating_mul(2)).await;
        let (ours, theirs) = slow::pair(self.0.pace, IN_FLIGHT);
        self.0.edit(|services| {
            let listener = services.get_mut(&to).ok_or(NetError::NotFound)?;
            if let Some(clients) = &listener.clients
                && !access.is_some_and(|access| clients.contains(&access.public()))
            {
                return Err(NetError::Unauthorized);
            }
            listener.streams.try_send((to.port, MemoryStream(theirs))).map_err(|_| NetError::Refused)?;
            listener.calls = listener.calls.saturating_add(1);
            Ok(())
        })?;
        Ok(MemoryStream(ours))
    }

    /// How many streams each service has been given.
    #[cfg(test)]
    pub(crate) fn calls(&self) -> Vec<u64> {
        self.0.edit(|services| services.values().map(|listener| listener.calls).collect())
    }

    pub(super) fn status(&self) -> watch::Receiver<NetStatus> {
        self.0.status.subscribe()
    }

    /// Takes the way into the network away, or gives it back.
    #[cfg(test)]
    pub(crate) fn set_ready(&self, ready: bool) {
        self.0.status.send_modify(|status| status.ready = ready);
    }

    pub(super) fn shutdown(&self) {
        self.0.edit(HashMap::clear);
        self.0.status.send_modify(|status| {
            status.ready = false;
            status.doing = "shut down".into();
        });
    }
}

impl Hub {
    /// Changes the table of services and tells how many there are.
    fn edit<T>(&self, change: impl FnOnce(&mut HashMap<Address, Listener>) -> T) -> T {
        let mut services = self.services.lock().unwrap_or_else(PoisonError::into_inner);
        let result = change(&mut services);
        let count = u32::try_from(services.len()).unwrap_or(u32::MAX);
        drop(services);
        self.status.send_if_modified(|status| {
            let changed = status.services != count;
            (status.services, status.services_reachable) = (count, count);
            changed
        });
        result
    }
}

/// One served address. Dropping it takes it out of the table.
#[derive(Debug)]
pub struct MemoryService {
    /// At least one.
    addresses: Vec<Address>,
    streams: mpsc::Receiver<(u16, MemoryStream)>,
    hub: Weak<Hub>,
    reachable: watch::Sender<bool>,
}

impl MemoryService {
    pub(super) async fn accept(&mut self) -> Option<MemoryStream> {
        self.next().await.map(|(_, stream)| stream)
    }

    /// The next stream, with the port it came to.
    pub(super) async fn next(&mut self) -> Option<(u16, MemoryStream)> {
        self.streams.recv().await
    }

    pub(super) fn address(&self) -> Address {
        self.addresses.first().copied().unwrap_or(Address { key: [0; 32], port: 0 })
    }

    /// From now on these may come.
    pub(super) fn admit(&self, offer: &Offer) {
        if let Some(hub) = self.hub.upgrade() {
            hub.edit(|services| {
                for address in &self.addresses {
                    if let Some(listener) = services.get_mut(address) {
                        listener.clients.clone_from(&offer.clients);
                    }
                }
            });
        }
    }

    pub(super) fn reachable(&self) -> watch::Receiver<bool> {
        self.reachable.subscribe()
    }
}

impl Drop for MemoryService {
    fn drop(&mut self) {
        if let Some(hub) = self.hub.upgrade() {
            // After a shutdown somebody else may serve the same address.
            self.streams.close();
            hub.edit(|services| {
                for address in &self.addresses {
                    if services.get(address).is_some_and(|listener| listener.streams.is_closed()) {
                        services.remove(address);
                    }
                }
            });
        }
    }
}

/// One end of a stream.
#[derive(Debug)]
pub(in crate::net) struct MemoryStream(DuplexStream);

impl AsyncRead for MemoryStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for MemoryStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
