//! The page's own onion service: only who has the client key can even find it, and then needs the password.

mod keys;

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::serve::Listener;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::timeout;

use super::site::Shared;
use super::{CONNECTIONS, router};
use crate::control::seats::Origin;
use crate::control::serve::{self, Bounds};
use crate::net::{AccessKey, Circuit, Network, Service, ServiceKey, Stream};
use crate::state::PageEntry;
pub(super) use keys::{Keys, Next};

/// Port of the service: what browsers try first.
const PORT: u16 = 80;

/// Onion circuits are slow, so connections may last longer than on the local network.
const LIFETIME: Duration = Duration::from_mins(5);

/// Until the next try when the network could not offer the service.
const AGAIN: Duration = Duration::from_secs(30);

/// Longest wait for our own page when we visit it, and the pauses after a visit that worked and one that did not.
const VISIT: (Duration, Duration, Duration) =
    (Duration::from_mins(2), Duration::from_mins(5), Duration::from_secs(30));

/// Until a service is taken away through which somebody said so: the answer crosses six relays.
const LEAVE: Duration = Duration::from_secs(5);

/// Circuits of visits to ourselves: no swarm has this number.
const VISITOR: u64 = u64::MAX;

/// Who calls through the service: nobody knows.
#[derive(Clone, Copy, Debug)]
pub(super) struct OnionCaller;

impl Origin for OnionCaller {}

/// Where the page is reached through Tor, and whether.
#[derive(Debug, Default)]
pub(super) struct Onion {
    now: Mutex<Option<Face>>,
    /// Rung when the owner switched it on or off.
    bell: tokio::sync::Notify,
    /// Its keys to come.
    pub(super) next: Next,
}

/// What its owner needs to reach it.
#[derive(Clone, Debug)]
pub(super) struct Face {
    /// `<56 characters>.onion`.
    pub(super) host: String,
    /// What Tor Browser asks for: the client key in base32.
    pub(super) key: String,
    /// Whether others can reach it, as far as the network says.
    pub(super) reachable: bool,
    /// What came of our last visit.
    pub(super) visit: Option<Visit>,
    /// Why there is none, if it failed.
    pub(super) fault: Option<String>,
}

/// What came of a visit to our own page, through Tor like anybody's.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Visit {
    /// It answered after so long.
    Answered(Duration),
    /// It did not.
    Silent,
}

impl Onion {
    /// What it is now; `None` while it is off.
    pub(super) fn face(&self) -> Option<Face> {
        self.lock().clone()
    }

    /// Whether that is its name.
    pub(super) fn is_called(&self, host: &str) -> bool {
        let host = host.strip_suffix(":80").unwrap_or(host);
        self.lock().as_ref().is_some_and(|face| face.host.eq_ignore_ascii_case(host))
    }

    /// Tells it that the entry changed.
    pub(super) fn look_again(&self) {
        self.bell.notify_one();
    }

    /// The same, once an answer that leaves through the service itself had its time.
    pub(super) fn look_again_later(site: &Shared) {
        let site = Shared::clone(site);
        tokio::spawn(async move {
            tokio::time::sleep(LEAVE).await;
            site.onion.look_again();
        });
    }

    fn lock(&self) -> MutexGuard<'_, Option<Face>> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Face)) {
        if let Some(face) = self.lock().as_mut() {
            change(face);
        }
    }
}

/// Offers the page through `network` whenever the owner wants it, until `stop` turns true.
pub(super) async fn run(site: Shared, network: Network, mut stop: watch::Receiver<bool>) {
    let mut stopped = stop.clone();
    let keep = async {
        loop {
            let wanted = site.entry().await.ok().and_then(|entry| keys(&entry));
            match wanted {
                Some((key, access)) => tokio::select! {
                    () = offer(&site, &network, &key, &access, stop.clone()) => {}
                    () = site.onion.bell.notified() => {}
                },
                None => site.onion.bell.notified().await,
            }
            *site.onion.lock() = None;
        }
    };
    tokio::select! {
        () = keep => {}
        _ = stopped.wait_for(|stop| *stop) => {}
    }
    _ = stop.borrow_and_update();
}

/// Its keys, if it is wanted: never without a password.
fn keys(entry: &PageEntry) -> Option<(ServiceKey, AccessKey)> {
    let wanted = entry.onion && entry.password.is_some();
    let (seed, access) = (entry.onion_seed.as_ref()?, entry.onion_access.as_ref()?);
    wanted.then(|| (ServiceKey::from_seed(seed.0), AccessKey::derive(&access.0)))
}

/// Offers it until the network takes it away, then waits before another try.
async fn offer(
    site: &Shared,
    network: &Network,
    key: &ServiceKey,
    access: &AccessKey,
    stop: watch::Receiver<bool>,
) {
    let shown = access.base32();
    let face = Face {
        host: key.address(PORT).host(),
        key: shown.to_string(),
        reachable: false,
        visit: None,
        fault: None,
    };
    *site.onion.lock() = Some(face);
    if network.ready().await.is_err() {
        return std::future::pending().await; // the node is stopping
    }
    match network.serve(key, PORT, Some(access)).await {
        Ok(service) => {
            let mut reachable = service.reachable();
            let watch = async {
                loop {
                    let up = *reachable.borrow_and_update();
                    site.onion.change(|face| face.reachable = up);
                    if reachable.changed().await.is_err() {
                        return std::future::pending::<()>().await;
                    }
                }
            };
            // Nobody knows who is who: the one that idles longest gives way.
            let bounds =
                Bounds { connections: CONNECTIONS, each: Some(CONNECTIONS), lifetime: Some(LIFETIME) };
            tokio::select! {
                () = serve::run(Door(service), router(site), bounds, stop) => {}
                () = watch => {}
                () = visit_ourselves(site, network, key, access) => {}
            }
        }
        Err(why) => site.onion.change(|face| face.fault = Some(why.to_string())),
    }
    tokio::time::sleep(AGAIN).await;
}

/// Fetches our own page through the network now and then: that it is published does not mean that it can be reached.
async fn visit_ourselves(site: &Shared, network: &Network, key: &ServiceKey, access: &AccessKey) {
    let mut lane = 0_u32;
    loop {
        if site.onion.face().is_some_and(|face| face.reachable) {
            // A circuit of its own each time: one that is open proves nothing.
            lane = lane.wrapping_add(1) & (u32::MAX >> 1);
            let begun = Instant::now();
            let fetched = timeout(VISIT.0, fetch(network, key, access, lane)).await;
            let visit = match fetched {
                Ok(Some(())) => Visit::Answered(begun.elapsed()),
                _ => Visit::Silent,
            };
            site.onion.change(|face| face.visit = Some(visit));
            tokio::time::sleep(if visit == Visit::Silent { VISIT.2 } else { VISIT.1 }).await;
        } else {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}

async fn fetch(network: &Network, key: &ServiceKey, access: &AccessKey, lane: u32) -> Option<()> {
    let address = key.address(PORT);
    let circuit = Circuit { swarm: VISITOR, lane };
    let mut stream = network.connect(address, Some(access), circuit).await.ok()?;
    let request = format!("GET /style.css HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", address.host());
    stream.write_all(request.as_bytes()).await.ok()?;
    stream.flush().await.ok()?;
    let mut head = [0; 12];
    stream.read_exact(&mut head).await.ok()?;
    (&head == b"HTTP/1.1 200").then_some(())
}

/// The service as a listener.
struct Door(Service);

impl Listener for Door {
    type Io = Stream;
    type Addr = OnionCaller;

    async fn accept(&mut self) -> (Stream, OnionCaller) {
        match self.0.accept().await {
            Some(stream) => (stream, OnionCaller),
            // The service is gone; whoever runs this looks at the stop signal or the bell.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<OnionCaller> {
        Ok(OnionCaller)
    }
}
