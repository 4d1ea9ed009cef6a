//! Onion services through Arti. Only this file and those under `tor/` name it.

mod access;
mod bell;
mod bridges;
mod budget;
mod config;
mod exit;
mod fault;
pub(super) mod guards;
mod isolation;
mod learned;
pub(super) mod onion;
mod relays;
mod service;
mod start;
mod status;
mod steady;
mod stream;
mod wear;
mod windows;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arti_client::{HasKind, StreamPrefs, TorClient};
use tokio::sync::{Semaphore, watch};
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tor_rtcompat::tokio::TokioRustlsRuntime;

pub use bridges::check as check_bridges;
pub use config::{BadTorConfig, MIN_MEMORY, NetworkSource, TorConfig, Vanguards};
pub use service::{TorKnock, TorService};
pub use start::StartError;
pub use stream::TorStream;

use super::{AccessKey, Address, Circuit, IdentityKey, NetError, Offer, ServiceKey};
use crate::status::NetStatus;
use access::AccessBook;
use budget::Budget;
use isolation::ByCircuit;
use steady::Steady;

/// The one Arti client type.
type Client = TorClient<TokioRustlsRuntime>;

/// How long a connect right after bootstrap keeps trying while Arti still chooses relays.
const EARLY: Duration = Duration::from_secs(15);

/// Between two such tries.
const EARLY_STEP: Duration = Duration::from_millis(250);

/// How long [`Tor::shutdown`] waits for Arti's tasks.
const SHUTDOWN_DEADLINE: Duration = Duration::from_secs(1);

/// A running Tor client. Cheap to clone.
#[derive(Clone)]
pub struct Tor(Arc<Shared>);

/// What all handles share.
struct Shared {
    client: Mutex<Option<Arc<Client>>>,
    status: watch::Sender<NetStatus>,
    access: Arc<AccessBook>,
    /// Rendezvous circuits of all services together.
    circuits: Arc<Semaphore>,
    /// What streams may cost, for those that can be replaced, or are visitors'.
    budget: Budget,
    /// The same, for other programs' streams to targets, which nothing can replace.
    lasting: Budget,
    /// Which streams to targets outside are steady.
    steady: Steady,
    services: service::Ground,
    /// Where the first directory may come from.
    caches: Vec<std::net::SocketAddr>,
    /// What it was started with.
    config: TorConfig,
    /// Where the bridges listen that are in use.
    bridges: Mutex<Vec<std::net::SocketAddr>>,
    tasks: Mutex<Vec<AbortHandle>>,
}

impl std::fmt::Debug for Tor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tor")
    }
}

impl Tor {
    /// Starts Tor. Returns as soon as it runs; bootstrap goes on behind it and [`status`](Self::status) tells how.
    ///
    /// Must be called within a tokio runtime, of which everything here lives; a current-thread one will do.
    pub async fn start(config: &TorConfig) -> Result<Self, StartError> {
        start::start(config).await
    }

    pub(super) async fn serve(
        &self,
        key: &ServiceKey,
        port: u16,
        access: Option<&AccessKey>,
    ) -> Result<TorService, NetError> {
        service::launch(self, key, port, access).await
    }

    pub(super) async fn publish(
        &self,
        key: &IdentityKey,
        offer: &Offer,
    ) -> Result<TorService<TorKnock>, NetError> {
        service::publish(self, key, offer).await
    }

    pub(super) async fn connect(
        &self,
        to: Address,
        access: Option<&AccessKey>,
        circuit: Circuit,
    ) -> Result<TorStream, NetError> {
        let client = self.client()?;
        if !client.bootstrap_status().ready_for_traffic() {
            return Err(NetError::NotReady);
        }
        let _loan = match access {
            Some(access) => Some(self.0.access.lend(&client, to, access).await?),
            None => None,
        };
        let mut prefs = StreamPrefs::new();
        prefs.set_isolation(ByCircuit(circuit));
        let (host, started) = (to.host(), Instant::now());
        loop {
            match client.connect_with_prefs((host.as_str(), to.port), &prefs).await {
                Ok(stream) => return Ok(TorStream::new(stream, None, &self.0.budget)),
                Err(error) if fault::too_early(error.kind()) && started.elapsed() < EARLY => {
                    tokio::time::sleep(EARLY_STEP).await;
                }
                Err(error) => return Err(fault::of_connect(&error)),
            }
        }
    }

    pub(super) fn status(&self) -> watch::Receiver<NetStatus> {
        self.0.status.subscribe()
    }

    pub(super) async fn shutdown(self) {
        let client = self.0.client.lock().unwrap_or_else(PoisonError::into_inner).take();
        for task in self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            task.abort();
        }
        self.0.steady.forget();
        self.0.status.send_modify(|status| {
            status.ready = false;
            status.doing = "shut down".into();
        });
        if let Some(client) = client {
            let stopped = client.wait_for_stop();
            drop(client);
            // Streams and services that others still hold keep Arti alive; that is theirs to end.
            if tokio::time::timeout(SHUTDOWN_DEADLINE, stopped).await.is_err() {
                log::debug!("Tor has not let go of its state yet");
            }
        }
    }

    /// The client, unless it was shut down.
    fn client(&self) -> Result<Arc<Client>, NetError> {
        let client = self.0.client.lock().unwrap_or_else(PoisonError::into_inner);
        client.clone().ok_or(NetError::Shutdown)
    }
}
