//! Onion services: launched and removed while the node runs, their keys in memory only.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use arti_client::config::CfgPathResolver;
use fs_mistrust::Mistrust;
use futures::{Stream, StreamExt};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::time::Instant;
use tor_hscrypto::pk::HsIdKeypair;
use tor_hsservice::config::{OnionServiceConfigBuilder, TokenBucketConfig};
use tor_hsservice::{
    HsIdKeypairSpecifier, HsNickname, OnionService, OnionServiceConfig, RendRequest, RunningOnionService,
};
use tor_keymgr::{ArtiEphemeralKeystore, KeyMgr, KeyMgrBuilder, KeystoreSelector};
use tor_persist::state_dir::StateDirectory;

use super::budget::Budget;
use super::{Shared, Tor, TorStream, onion};
use crate::net::{ACCEPT_QUEUE, AccessKey, Address, IdentityKey, KNOCK_QUEUE, NetError, Offer, ServiceKey};
use crate::status::NetStatus;

mod circuit;
mod knock;
mod published;

pub use knock::TorKnock;

/// Rendezvous circuits of all services together. Each takes 20 to 60 KB while idle.
pub(super) const MAX_CIRCUITS: usize = 256;

/// Rendezvous circuits of one service.
pub(super) const MAX_CIRCUITS_PER_SERVICE: usize = 64;

/// Streams on one circuit at a time: a browser opens six.
pub(super) const MAX_STREAMS_PER_CIRCUIT: u32 = 8;

/// Introductions a second that an introduction point lets through, and how many at once after a quiet time.
const INTRODUCTIONS: (u32, u32) = (10, 60);

/// A circuit without streams is closed after one to two of these, which frees it at the client too. Browsers that
/// come back later pay some two seconds.
const IDLE: Duration = Duration::from_secs(15);

/// The same for a published service: people read a page before they follow its next link.
const IDLE_PUBLISHED: Duration = Duration::from_secs(60);

/// How long an answer to a stream request may wait for room in the circuit.
const ANSWER_DEADLINE: Duration = Duration::from_secs(30);

/// How long a launch waits for a client that has only just started.
const LAUNCH_DEADLINE: Duration = Duration::from_secs(5);

/// How long [`TorService::close`] waits for Arti to let go of the service's state.
const CLOSE_DEADLINE: Duration = Duration::from_secs(10);

/// Between two looks whether it did.
const CLOSE_STEP: Duration = Duration::from_millis(50);

/// The folder under the state directory in which Arti keeps services.
const FOLDER: &str = "hss";

/// What services of one client stand on.
pub(super) struct Ground {
    state: StateDirectory,
    resolver: Arc<CfgPathResolver>,
    launched: AtomicU64,
    /// Held for as long as the client lives.
    _lock: File,
}

impl Ground {
    /// Also clears away what services of a killed process left: their keys are gone, so it serves nobody.
    pub(super) fn new(folder: &Path, trust: &Mistrust, lock: File) -> io::Result<Self> {
        match std::fs::remove_dir_all(folder.join(FOLDER)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let state = StateDirectory::new(folder, trust).map_err(io::Error::other)?;
        Ok(Self { state, resolver: Arc::default(), launched: AtomicU64::new(0), _lock: lock })
    }

    /// A name that no service of this process had before, so that none waits for another's remains.
    fn nickname(&self) -> Result<HsNickname, NetError> {
        let number = self.launched.fetch_add(1, Ordering::Relaxed);
        format!("s{number}").parse().map_err(|_| LAUNCH_FAILED)
    }
}

/// Arti refused for a reason that the log names.
const LAUNCH_FAILED: NetError =
    NetError::Local("the onion service could not be started; check free space in the Tor state directory");

/// A running onion service.
///
/// Dropping it stops publishing and accepting; its keys leave memory and its folder the disk as soon as Arti's tasks
/// have ended, some milliseconds later. [`close`](Self::close) waits for that.
///
/// `G` is what it hands over: streams it has taken, or knocks for its owner to decide about.
pub struct TorService<G = TorStream> {
    address: Address,
    guests: mpsc::Receiver<G>,
    /// Gone once the service ends.
    running: Weak<RunningOnionService>,
    nickname: HsNickname,
    reachable: watch::Receiver<bool>,
    /// Ends the acceptor with everything it holds.
    stop: Option<oneshot::Sender<()>>,
    gone: watch::Receiver<bool>,
}

impl<G> std::fmt::Debug for TorService<G> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TorService").field("reachable", &*self.reachable.borrow()).finish_non_exhaustive()
    }
}

impl<G> TorService<G> {
    pub(in crate::net) async fn accept(&mut self) -> Option<G> {
        self.guests.recv().await
    }

    pub(in crate::net) const fn address(&self) -> Address {
        self.address
    }

    pub(in crate::net) fn reachable(&self) -> watch::Receiver<bool> {
        self.reachable.clone()
    }

    pub(in crate::net) async fn close(mut self) {
        self.stop = None;
        self.guests.close();
        // The remover has its own deadline and always ends.
        let _ = self.gone.wait_for(|gone| *gone).await;
    }
}

/// See [`Network::serve`](crate::net::Network::serve).
pub(super) async fn launch(
    tor: &Tor,
    key: &ServiceKey,
    port: u16,
    access: Option<&AccessKey>,
) -> Result<TorService, NetError> {
    let nickname = tor.0.services.nickname()?;
    let config = configure(nickname.clone(), access)?;
    let (sender, guests) = mpsc::channel(ACCEPT_QUEUE);
    let door = Door {
        ports: vec![port],
        guests: Guests::Streams(sender),
        bounds: Bounds { circuits: MAX_CIRCUITS_PER_SERVICE, streams: MAX_STREAMS_PER_CIRCUIT, idle: IDLE },
        all: Arc::clone(&tor.0.circuits),
        budget: tor.0.budget.clone(),
    };
    start(tor, (nickname, config), onion::identity(key), key.address(port), door, guests).await
}

/// See [`Network::publish`](crate::net::Network::publish).
pub(super) async fn publish(
    tor: &Tor,
    key: &IdentityKey,
    offer: &Offer,
) -> Result<TorService<TorKnock>, NetError> {
    let nickname = tor.0.services.nickname()?;
    let config = published::configure(nickname.clone(), offer)?;
    let (sender, guests) = mpsc::channel(KNOCK_QUEUE);
    let limits = offer.limits;
    let door = Door {
        ports: offer.ports.clone(),
        guests: Guests::Knocks(sender),
        bounds: Bounds {
            circuits: limits.circuits,
            streams: limits.streams_per_circuit,
            idle: IDLE_PUBLISHED,
        },
        all: Arc::clone(&tor.0.circuits),
        budget: tor.0.budget.clone(),
    };
    let identity = onion::expanded_identity(key).ok_or(LAUNCH_FAILED)?;
    let address = key.address(offer.ports.first().copied().unwrap_or_default());
    start(tor, (nickname, config), identity, address, door, guests).await
}

async fn start<G>(
    tor: &Tor,
    (nickname, config): (HsNickname, OnionServiceConfig),
    identity: HsIdKeypair,
    address: Address,
    door: Door,
    guests: mpsc::Receiver<G>,
) -> Result<TorService<G>, NetError> {
    let keys = keys_for(&nickname, identity)?;
    let (running, rendezvous) = run(tor, config, keys).await?;
    let (stop, stopped) = oneshot::channel();
    let (reach, reachable) = watch::channel(false);
    let (removed, gone) = watch::channel(false);
    let shared = Arc::downgrade(&tor.0);
    let counter = Counter::new(Weak::clone(&shared));
    let (weak, own_name) = (Arc::downgrade(&running), nickname.clone());
    tokio::spawn(async move {
        {
            let accepting = circuit::accept_all(rendezvous, door);
            let watching = follow(&running, &reach, counter);
            tokio::select! {
                _ = stopped => {}
                () = accepting => {}
                () = watching => {}
            }
        }
        drop(running);
        let _ = reach.send(false); // nobody may be looking
        drop(reach);
        purge(&shared, &nickname).await;
        let _ = removed.send(true); // nobody may be waiting
    });
    Ok(TorService { address, guests, running: weak, nickname: own_name, reachable, stop: Some(stop), gone })
}

/// Arti's configuration of one service.
fn configure(nickname: HsNickname, access: Option<&AccessKey>) -> Result<OnionServiceConfig, NetError> {
    let mut builder = OnionServiceConfigBuilder::default();
    let (rate, burst) = INTRODUCTIONS;
    builder
        .nickname(nickname)
        .rate_limit_at_intro(Some(TokenBucketConfig::new(rate, burst)))
        // Ours refuse politely; whoever goes on loses the circuit.
        .max_concurrent_streams_per_circuit(2 * MAX_STREAMS_PER_CIRCUIT);
    if let Some(access) = access {
        let holder = "link".parse().map_err(|_| LAUNCH_FAILED)?;
        let discovery = builder.restricted_discovery();
        discovery.enabled(true);
        discovery.static_keys().access().push((holder, onion::access_public(access)));
    }
    builder.build().map_err(|error| {
        log::warn!("the configuration of an onion service was refused: {error}");
        LAUNCH_FAILED
    })
}

/// A keystore in memory for this service alone: it goes when the service goes.
fn keys_for(nickname: &HsNickname, identity: HsIdKeypair) -> Result<Arc<KeyMgr>, NetError> {
    let store = ArtiEphemeralKeystore::new("memory".into());
    let keys = KeyMgrBuilder::default().primary_store(Box::new(store)).build().map_err(|_| LAUNCH_FAILED)?;
    let place = HsIdKeypairSpecifier::new(nickname.clone());
    keys.insert(identity, &place, KeystoreSelector::Primary, false).map_err(|_| LAUNCH_FAILED)?;
    Ok(Arc::new(keys))
}

/// Launches it in Arti.
async fn run(
    tor: &Tor,
    config: OnionServiceConfig,
    keys: Arc<KeyMgr>,
) -> Result<(Arc<RunningOnionService>, impl Stream<Item = RendRequest> + Send + Unpin + use<>), NetError> {
    let client = tor.client()?;
    let started = Instant::now();
    // Right after the start Arti has not built these yet.
    let (directory, circuits) = loop {
        match (client.dirmgr(), client.hs_circ_pool()) {
            (Ok(directory), Ok(circuits)) => break (directory, circuits),
            _ if started.elapsed() < LAUNCH_DEADLINE => tokio::time::sleep(CLOSE_STEP).await,
            _ => return Err(NetError::NotReady),
        }
    };
    let ground = &tor.0.services;
    let failed = |error: &dyn std::fmt::Display| {
        log::warn!("an onion service did not start: {error}");
        LAUNCH_FAILED
    };
    let service = OnionService::builder()
        .config(config)
        .keymgr(keys)
        .state_dir(ground.state.clone())
        .build()
        .map_err(|error| failed(&error))?;
    let launched = service
        .launch(client.runtime().clone(), directory, circuits, Arc::clone(&ground.resolver))
        .map_err(|error| failed(&error))?;
    let (running, rendezvous) = launched.ok_or(LAUNCH_FAILED)?;
    Ok((running, Box::pin(rendezvous)))
}

/// What a service's circuits need to know.
pub(super) struct Door {
    ports: Vec<u16>,
    guests: Guests,
    bounds: Bounds,
    all: Arc<Semaphore>,
    budget: Budget,
}

/// Where streams go: taken already, or for the service's owner to decide.
enum Guests {
    Streams(mpsc::Sender<TorStream>),
    Knocks(mpsc::Sender<TorKnock>),
}

/// How much one service takes.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    circuits: usize,
    streams: u32,
    idle: Duration,
}

/// This service's part in the numbers of the status.
struct Counter {
    shared: Weak<Shared>,
    reachable: bool,
}

impl Counter {
    fn new(shared: Weak<Shared>) -> Self {
        let counter = Self { shared, reachable: false };
        counter.edit(|status| status.services = status.services.saturating_add(1));
        counter
    }

    fn set(&mut self, reachable: bool) {
        if reachable != self.reachable {
            self.reachable = reachable;
            let change = if reachable { u32::saturating_add } else { u32::saturating_sub };
            self.edit(|status| status.services_reachable = change(status.services_reachable, 1));
        }
    }

    fn edit(&self, change: impl FnOnce(&mut NetStatus)) {
        if let Some(shared) = self.shared.upgrade() {
            shared.status.send_modify(change);
        }
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        self.set(false);
        self.edit(|status| status.services = status.services.saturating_sub(1));
    }
}

/// Tells whether the service can be reached, until Arti ends it.
async fn follow(running: &RunningOnionService, reach: &watch::Sender<bool>, mut counter: Counter) {
    let mut events = running.status_events();
    loop {
        let now = running.status().state().is_fully_reachable();
        counter.set(now);
        reach.send_if_modified(|before| std::mem::replace(before, now) != now);
        if events.next().await.is_none() {
            return;
        }
    }
}

/// Deletes the service's folder once Arti's tasks have let go of it.
async fn purge(shared: &Weak<Shared>, nickname: &HsNickname) {
    let started = Instant::now();
    while started.elapsed() < CLOSE_DEADLINE {
        let Some(shared) = shared.upgrade() else { return };
        if let Ok(state) = shared.services.state.acquire_instance(nickname) {
            if state.purge().is_err() {
                log::warn!(
                    "the folder of a removed onion service could not be deleted; the next start does it"
                );
            }
            return;
        }
        drop(shared);
        tokio::time::sleep(CLOSE_STEP).await;
    }
    log::warn!("a removed onion service still holds its folder; the next start deletes it");
}
