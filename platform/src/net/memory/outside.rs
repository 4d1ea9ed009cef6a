//! What lies outside in the memory network: a table of targets and names that a test fills.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

use super::{IN_FLIGHT, Memory, MemoryStream};
use crate::exit::{Host, Name, ReachError};
use crate::net::{ACCEPT_QUEUE, Stream};

/// The outside world.
#[derive(Debug, Default)]
pub(super) struct Outside(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    targets: HashMap<(Host, u16), Target>,
    names: HashMap<String, Vec<IpAddr>>,
    pointers: HashMap<IpAddr, Vec<String>>,
}

#[derive(Debug)]
enum Target {
    Listens(mpsc::Sender<MemoryStream>),
    Fails(ReachError),
    Silent,
}

/// A target that a test plays.
#[derive(Debug)]
pub struct Server(mpsc::Receiver<MemoryStream>);

impl Server {
    /// The next stream that somebody opened.
    pub async fn accept(&mut self) -> Option<Stream> {
        self.0.recv().await.map(Stream::memory)
    }
}

impl Outside {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    /// From now on this target listens.
    pub fn listen_outside(&self, host: Host, port: u16) -> Server {
        let (sender, streams) = mpsc::channel(ACCEPT_QUEUE);
        self.0.outside.table().targets.insert((host, port), Target::Listens(sender));
        Server(streams)
    }

    /// From now on this target fails like this.
    pub fn fail_outside(&self, host: Host, port: u16, why: ReachError) {
        self.0.outside.table().targets.insert((host, port), Target::Fails(why));
    }

    /// From now on this target never answers.
    pub fn silence_outside(&self, host: Host, port: u16) {
        self.0.outside.table().targets.insert((host, port), Target::Silent);
    }

    /// From now on this name has these addresses, and they have it.
    pub fn name_outside(&self, name: &Name, addresses: &[IpAddr]) {
        let mut table = self.0.outside.table();
        table.names.insert(name.as_str().to_owned(), addresses.to_vec());
        for address in addresses {
            table.pointers.entry(*address).or_default().push(name.as_str().to_owned());
        }
    }

    /// Opens a stream to a target; one that nobody named refuses, and an onion service that nobody named is one of ours.
    pub(in crate::net) async fn reach(&self, host: &Host, port: u16) -> Result<MemoryStream, ReachError> {
        if !self.0.status.borrow().ready {
            return Err(ReachError::Shutdown);
        }
        if let Host::Onion(onion) = host
            && !self.0.outside.table().targets.contains_key(&(host.clone(), port))
        {
            return self.connect(onion.address(port), None).await.map_err(|why| of_onion(&why));
        }
        tokio::time::sleep(self.0.pace.latency.saturating_mul(2)).await;
        let listener = match self.0.outside.table().targets.get(&(host.clone(), port)) {
            None => return Err(ReachError::Refused),
            Some(Target::Fails(why)) => return Err(*why),
            Some(Target::Silent) => None,
            Some(Target::Listens(sender)) => Some(sender.clone()),
        };
        let Some(listener) = listener else { return std::future::pending().await };
        let (ours, theirs) = super::slow::pair(self.0.pace, IN_FLIGHT);
        listener.try_send(MemoryStream(theirs)).map_err(|_| ReachError::Refused)?;
        Ok(MemoryStream(ours))
    }

    pub(in crate::net) fn resolve(&self, name: &Name) -> Result<Vec<IpAddr>, ReachError> {
        self.0.outside.table().names.get(name.as_str()).cloned().ok_or(ReachError::NoSuchName)
    }

    pub(in crate::net) fn resolve_ptr(&self, address: IpAddr) -> Result<Vec<String>, ReachError> {
        self.0.outside.table().pointers.get(&address).cloned().ok_or(ReachError::NoSuchName)
    }
}

/// What a failed connect to a service means to those who know exits only.
const fn of_onion(why: &crate::net::NetError) -> ReachError {
    use crate::net::NetError;
    match why {
        NetError::NotReady => ReachError::NotReady,
        NetError::NotFound => ReachError::OnionNotFound,
        NetError::Offline => ReachError::OnionNotRunning,
        NetError::Unauthorized => ReachError::OnionKeyMissing,
        NetError::Timeout => ReachError::OnionTimeout,
        NetError::Refused => ReachError::Refused,
        NetError::Shutdown => ReachError::Shutdown,
        NetError::Failed | NetError::Local(_) => ReachError::OnionFailed,
    }
}
