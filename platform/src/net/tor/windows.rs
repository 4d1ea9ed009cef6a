//! Circuits with Tor's old windows, each for one purpose: they are kept here, because Arti does not tell them from its own.
//!
//! Arti takes any circuit that was built ahead, or to learn how long building takes, for whatever comes first; all of
//! those have congestion control. So each request is one of a kind: what was built for it is known by that.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arti_client::{ErrorKind, HasKind};
use tor_circmgr::isolation::{IsolationHelper, StreamIsolation, StreamIsolationBuilder};
use tor_circmgr::{CircMgr, ClientDataTunnel, TargetPort};
use tor_netdir::NetDir;
use tor_rtcompat::tokio::TokioRustlsRuntime;

use super::exit::ByValue;

/// Circuits built ahead that one request may use up before it makes do with such a one. Arti has 12 (its
/// `disable_at_threshold`), and some more while it learns.
const MOST_ASKED: usize = 24;

/// A circuit takes new streams for so long, as Arti's do (`max_dirtiness`).
const FRESH: Duration = Duration::from_mins(10);

/// Purposes at most; the oldest makes room.
const MAX_PURPOSES: usize = 256;

/// What a circuit is for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Purpose {
    pub(super) isolation: ByValue,
    pub(super) port: u16,
    pub(super) six: bool,
}

/// A circuit, and whether it has windows.
#[derive(Clone, Debug)]
pub(super) struct Circuit {
    pub(super) tunnel: Arc<ClientDataTunnel>,
    pub(super) windows: bool,
}

/// All there are.
#[derive(Debug, Default)]
pub(super) struct Windows(Mutex<Vec<(Purpose, Arc<Place>)>>);

/// The circuit of one purpose. Held locked while it is built, so that streams that begin together share it.
type Place = tokio::sync::Mutex<Option<Kept>>;

#[derive(Debug)]
struct Kept {
    circuit: Circuit,
    since: Instant,
}

impl Kept {
    fn is_fresh(&self) -> bool {
        self.since.elapsed() < FRESH && !self.circuit.tunnel.is_closed()
    }
}

impl Windows {
    /// The circuit for `purpose`, built if need be by `directory`, whose parameters say windows.
    pub(super) async fn get(
        &self,
        circuits: &CircMgr<TokioRustlsRuntime>,
        directory: &NetDir,
        purpose: Purpose,
    ) -> Result<Circuit, ErrorKind> {
        let place = self.place(purpose);
        let mut place = place.lock().await;
        if let Some(kept) = place.as_ref().filter(|kept| kept.is_fresh()) {
            return Ok(kept.circuit.clone());
        }
        let circuit = build(circuits, directory, purpose).await?;
        // Another one may be had in a moment.
        *place = circuit.windows.then(|| Kept { circuit: circuit.clone(), since: Instant::now() });
        Ok(circuit)
    }

    fn place(&self, purpose: Purpose) -> Arc<Place> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, place)) = all.iter().find(|(other, _)| *other == purpose) {
            return Arc::clone(place);
        }
        if all.len() >= MAX_PURPOSES {
            all.remove(0);
        }
        let place = Arc::<Place>::default();
        all.push((purpose, Arc::clone(&place)));
        place
    }

    /// Lets go of circuits that take no new streams. To be called now and then.
    pub(super) fn tidy(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|(_, place)| {
            // One that is locked is being built.
            place.try_lock().map_or(true, |place| place.as_ref().is_some_and(Kept::is_fresh))
        });
    }

    /// Lets go of all.
    pub(super) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// Asks until Arti has built one, or too many were there already.
async fn build(
    circuits: &CircMgr<TokioRustlsRuntime>,
    directory: &NetDir,
    purpose: Purpose,
) -> Result<Circuit, ErrorKind> {
    let port = if purpose.six { TargetPort::ipv6(purpose.port) } else { TargetPort::ipv4(purpose.port) };
    let mut asked = 0;
    loop {
        let order = Order::default();
        let tunnel = circuits.get_or_launch_exit(directory.into(), &[port], order.isolation()?).await;
        let tunnel = tunnel.map_err(|error| error.kind())?;
        asked += 1;
        if order.is_built() || asked >= MOST_ASKED {
            if asked > 1 {
                log::debug!("a circuit with windows took {asked} requests: {}", order.is_built());
            }
            return Ok(Circuit { tunnel: Arc::new(tunnel), windows: order.is_built() });
        }
    }
}

/// One request. A circuit that is built for it bears it from its plan on, and Arti joins the two once it is done; one
/// that was there for anybody only takes it over.
#[derive(Clone, Debug, Default)]
struct Order(Arc<AtomicBool>);

impl Order {
    fn isolation(&self) -> Result<StreamIsolation, ErrorKind> {
        let mut own = StreamIsolationBuilder::new();
        own.stream_isolation(Box::new(self.clone()));
        own.build().map_err(|_| ErrorKind::Internal)
    }

    fn is_built(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl IsolationHelper for Order {
    fn compatible_same_type(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    fn join_same_type(&self, other: &Self) -> Option<Self> {
        self.compatible_same_type(other).then(|| {
            self.0.store(true, Ordering::Relaxed);
            self.clone()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_circuit_is_known_by_the_order_it_was_built_for() {
        let (order, other) = (Order::default(), Order::default());
        // What Arti keeps with the circuit, from the plan or because it was free for anybody.
        let circuit = order.isolation().unwrap();
        assert!(!order.is_built(), "one that was there for anybody is not joined");
        let wanted = other.isolation().unwrap();
        assert!(!circuit.compatible_same_type(&wanted) && circuit.join_same_type(&wanted).is_none());
        assert!(!other.is_built());
        let joined = circuit.join_same_type(&order.isolation().unwrap()).unwrap();
        assert!(order.is_built());
        assert!(!joined.compatible_same_type(&wanted));
        assert!(!StreamIsolation::no_isolation().compatible_same_type(&wanted));
    }

    #[test]
    fn each_purpose_has_a_place_and_the_oldest_makes_room() {
        let windows = Windows::default();
        let purpose =
            |port| Purpose { isolation: ByValue(crate::exit::Isolation::of("test"), 0), port, six: false };
        let first = windows.place(purpose(1));
        assert!(Arc::ptr_eq(&first, &windows.place(purpose(1))));
        (2..=257).for_each(|port| drop(windows.place(purpose(port))));
        assert!(!Arc::ptr_eq(&first, &windows.place(purpose(1))));
        assert_eq!(windows.0.lock().unwrap().len(), MAX_PURPOSES);
        let held = windows.place(purpose(9));
        let building = held.try_lock().unwrap();
        windows.tidy();
        assert_eq!(windows.0.lock().unwrap().len(), 1, "but one is being built");
        drop(building);
    }
}
