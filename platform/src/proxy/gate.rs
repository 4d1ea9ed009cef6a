//! Takes connections, and keeps those that have not said yet what they want from crowding out those that have.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::AbortHandle;

use super::Meter;
use super::meter::Opened;

/// Connections that may be at their handshake. One more takes the place of the oldest, so that whoever speaks at once is
/// served however many others never speak.
const YOUNG: usize = 512;

/// Once less than one part in so many of a listener's connections is free, a client other than this machine that has as large a part
/// gets no more: one alone cannot starve the others, and a whole network behind one address is served while there is room.
const SHARE: u32 = 4;

/// After an error that accepting again would only repeat, such as too many open files.
const PAUSE: Duration = Duration::from_millis(100);

/// The limits of one listener.
#[derive(Debug)]
pub struct Gate {
    slots: Arc<Semaphore>,
    young: Mutex<Young>,
    /// Connections of each client that holds some. As many as there are slots at most.
    held: Mutex<HashMap<IpAddr, u32>>,
    /// Connections of one client at most, where not so many are free.
    each: u32,
    meter: Arc<Meter>,
}

#[derive(Debug, Default)]
struct Young {
    last: u64,
    waiting: BTreeMap<u64, AbortHandle>,
}

/// A connection that has not said yet what it wants.
#[derive(Debug)]
pub struct Conn {
    /// Its bytes.
    pub stream: TcpStream,
    /// Who it is.
    pub client: SocketAddr,
    place: Place,
}

/// Its place among the young, and among the open ones in the status.
#[derive(Debug)]
struct Place {
    gate: Arc<Gate>,
    number: u64,
    _open: Opened,
}

/// A connection that said what it wants, until this is dropped.
#[derive(Debug)]
pub struct Slot {
    place: Place,
    client: Option<IpAddr>,
    _permit: OwnedSemaphorePermit,
}

impl Gate {
    /// For so many connections that have said what they want.
    pub fn new(connections: u32, meter: Arc<Meter>) -> Arc<Self> {
        let slots = Arc::new(Semaphore::new(usize::try_from(connections).unwrap_or(usize::MAX)));
        let each = connections.div_ceil(SHARE);
        Arc::new(Self { slots, young: Mutex::default(), held: Mutex::default(), each, meter })
    }

    fn held(&self) -> MutexGuard<'_, HashMap<IpAddr, u32>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a connection of this client, unless it has its part already while others may need theirs.
    fn hold(&self, client: IpAddr) -> bool {
        let short = self.slots.available_permits() < usize::try_from(self.each).unwrap_or(usize::MAX);
        let mut held = self.held();
        let count = held.entry(client).or_default();
        let more = !short || *count < self.each;
        *count = count.saturating_add(u32::from(more));
        more
    }

    fn young(&self) -> MutexGuard<'_, Young> {
        self.young.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Serves connections until `stop` turns true; those under way end then.
    pub async fn run<F>(
        self: Arc<Self>,
        listener: TcpListener,
        mut stop: watch::Receiver<bool>,
        serve: impl Fn(Conn) -> F,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut tasks = tokio::task::JoinSet::new();
        loop {
            let next = tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                next = listener.accept() => next,
                Some(_) = tasks.join_next() => continue,
            };
            let Ok((stream, client)) = next else {
                self.meter.error("accept");
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            // Bytes are gathered here already; waiting for more would only add to the latency of Tor.
            let _ = stream.set_nodelay(true);
            let number = self.number();
            let place = Place { gate: Arc::clone(&self), number, _open: self.meter.opened() };
            let task = tasks.spawn(serve(Conn { stream, client, place }));
            self.grow(number, task);
        }
    }

    fn number(&self) -> u64 {
        let mut young = self.young();
        young.last = young.last.wrapping_add(1);
        young.last
    }

    /// Takes a connection in among the young, and drops the oldest where there are too many.
    fn grow(&self, number: u64, task: AbortHandle) {
        let mut young = self.young();
        // Its task has not run yet: everything here lives on one thread, and where not, it only loses its place.
        if !task.is_finished() {
            young.waiting.insert(number, task);
        }
        let oldest = if young.waiting.len() > YOUNG { young.waiting.pop_first() } else { None };
        drop(young);
        if let Some((_, task)) = oldest {
            self.meter.error("crowded_out");
            task.abort();
        }
    }
}

impl Conn {
    /// It said what it wants. `None` for the slot where there are too many already, of all or of this client.
    pub fn settle(self) -> (TcpStream, Option<Slot>) {
        let Self { stream, client, place } = self;
        place.gate.young().waiting.remove(&place.number);
        let client = party(client.ip());
        let Ok(permit) = Arc::clone(&place.gate.slots).try_acquire_owned() else { return (stream, None) };
        if client.is_some_and(|client| !place.gate.hold(client)) {
            return (stream, None);
        }
        (stream, Some(Slot { place, client, _permit: permit }))
    }
}

/// Whom a connection counts for: its address, or its network of 64 bits, which is what a machine has with IPv6. This
/// machine counts for nobody.
fn party(client: IpAddr) -> Option<IpAddr> {
    match client.to_canonical() {
        ip if ip.is_loopback() => None,
        IpAddr::V4(ip) => Some(ip.into()),
        // Everybody on a network shares these.
        IpAddr::V6(ip) if ip.is_unicast_link_local() || ip.is_unique_local() => Some(ip.into()),
        IpAddr::V6(ip) => Some(std::net::Ipv6Addr::from(u128::from(ip) >> 64 << 64).into()),
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let Some(client) = self.client else { return };
        let mut held = self.place.gate.held();
        if let Some(count) = held.get_mut(&client) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                held.remove(&client);
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.gate.young().waiting.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::proxy::Meters;

    /// Says what it wants with one byte, and gets one back: 1 with a slot, 0 without.
    async fn serve(mut conn: Conn) {
        if conn.stream.read_u8().await.is_ok() {
            let (mut stream, slot) = conn.settle();
            let _ = stream.write_u8(u8::from(slot.is_some())).await;
            let _ = stream.read_u8().await; // until the other end goes
        }
    }

    async fn start(connections: u32) -> (SocketAddr, Arc<Meter>, watch::Sender<bool>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let meter = Meters::default().add("test", address);
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(Gate::new(connections, Arc::clone(&meter)).run(listener, stopped, serve));
        (address, meter, stop)
    }

    async fn speak(address: SocketAddr) -> (TcpStream, u8) {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_u8(1).await.unwrap();
        let answer = stream.read_u8().await.unwrap();
        (stream, answer)
    }

    #[tokio::test]
    async fn those_that_say_nothing_do_not_crowd_out_those_that_do() {
        let (address, meter, _stop) = start(2).await;
        let mut silent = Vec::new();
        for _ in 0..YOUNG + 20 {
            silent.push(TcpStream::connect(address).await.unwrap());
        }
        let (_first, answer) = speak(address).await;
        assert_eq!(answer, 1);
        // The oldest of the silent was dropped.
        assert!(silent.first_mut().unwrap().read_u8().await.is_err());
        assert!(meter.view().errors.get("crowded_out").is_some_and(|count| *count >= 20));
    }

    /// A connection that comes from this address, as far as the gate knows.
    async fn from(gate: &Arc<Gate>, client: &str) -> Option<Slot> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let place = Place { gate: Arc::clone(gate), number: gate.number(), _open: gate.meter.opened() };
        Conn { stream, client: SocketAddr::new(client.parse().unwrap(), 1), place }.settle().1
    }

    #[tokio::test]
    async fn one_client_of_the_network_leaves_room_for_the_others() {
        let meter = Meters::default().add("test", ([127, 0, 0, 1], 0).into());
        let gate = Gate::new(8, meter);
        let mut slots = Vec::new();
        // All but a part, while nobody else wants any.
        for _ in 0..6 {
            slots.push(from(&gate, "192.168.1.7").await.unwrap());
        }
        assert!(from(&gate, "192.168.1.7").await.is_none());
        assert!(from(&gate, "::ffff:192.168.1.7").await.is_none(), "the same in IPv6's notation");
        slots.push(from(&gate, "2001:db8::1").await.unwrap());
        slots.push(from(&gate, "2001:db8::2").await.unwrap());
        assert_eq!(gate.held().len(), 2, "one network is one client");
        slots.drain(..2);
        for client in ["fe80::1", "fe80::2"] {
            slots.push(from(&gate, client).await.unwrap());
        }
        assert_eq!(gate.held().len(), 4, "but not where everybody has the same");
        // This machine may have all that is left.
        slots.drain(..1);
        slots.push(from(&gate, "127.0.0.1").await.unwrap());
        assert!(from(&gate, "192.168.1.8").await.is_none());
        slots.clear();
        assert!(gate.held().is_empty());
    }

    #[tokio::test]
    async fn the_limit_is_told_and_places_come_back() {
        let (address, meter, stop) = start(2).await;
        let (first, _) = speak(address).await;
        let (_second, answer) = speak(address).await;
        assert_eq!(answer, 1);
        assert_eq!(speak(address).await.1, 0);
        drop(first);
        while meter.view().open > 1 {
            tokio::task::yield_now().await;
        }
        let (mut last, answer) = speak(address).await;
        assert_eq!(answer, 1);
        stop.send_replace(true);
        assert!(last.read_u8().await.is_err());
    }
}
