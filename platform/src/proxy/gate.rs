//! Takes connections, and keeps those that have not said yet what they want from crowding out those that have.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::Meter;
use super::meter::Opened;
use super::share::{Share, Shares};
use crate::sys::keep_alive;

/// Connections that may be at their handshake. One more takes the place of the oldest, so that whoever speaks at once is
/// served however many others never speak.
const YOUNG: usize = 512;

/// After an error that accepting again would only repeat, such as too many open files.
const PAUSE: Duration = Duration::from_millis(100);

/// The limits of one listener.
#[derive(Debug)]
pub struct Gate {
    slots: Arc<Shares>,
    young: Mutex<Young>,
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
    _place: Place,
    _share: Share,
}

impl Gate {
    /// For so many connections that have said what they want.
    pub fn new(connections: u32, meter: Arc<Meter>) -> Arc<Self> {
        let slots = Shares::new(usize::try_from(connections).unwrap_or(usize::MAX));
        Arc::new(Self { slots, young: Mutex::default(), meter })
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
            // Without it, a client that lost its network keeps its slot and its stream in Tor.
            let _ = keep_alive::set(&stream);
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
        let share = place.gate.slots.take(client.ip());
        (stream, share.map(|share| Slot { _place: place, _share: share }))
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

    #[tokio::test]
    async fn clients_that_vanish_are_noticed() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
        let (_stop, stopped) = watch::channel(false);
        let gate = Gate::new(1, Meters::default().add("test", address));
        tokio::spawn(gate.run(listener, stopped, move |conn| {
            let tell = tell.clone();
            async move { tell.send(keep_alive::is_set(&conn.stream)).unwrap() }
        }));
        let _client = TcpStream::connect(address).await.unwrap();
        assert_eq!(told.recv().await, Some(true));
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
