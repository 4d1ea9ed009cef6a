//! A DHCP client (RFC 2131): gets an address, keeps it, gives it up in time.

mod message;

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::rc::Rc;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::{Instant, sleep, timeout_at};

use super::network::{PULLED, Way};
use super::settings::Network;
use crate::sys::board::link;
use message::{Kind, Lease, Message, Offer, Reply};

/// Where clients and servers listen.
const CLIENT: u16 = 68;
const SERVER: u16 = 67;

/// First wait for an answer, and the longest; it doubles in between (RFC 2131, section 4.1, without the wait for a crowd).
const WAIT: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(16));

/// Least time between two requests for more time (RFC 2131, section 4.4.5).
const REPEAT: Duration = Duration::from_secs(60);

/// Between two looks at the cable.
const LOOK: Duration = Duration::from_secs(1);

/// Questions that stay without an answer before the owner hears of it.
const SILENCE: u32 = 3;

/// Bytes of an answer that are read; servers send 576 at most unless told otherwise.
const ANSWER: usize = 1500;

/// What is told when there is no address any more.
const REFUSED: &str = "the DHCP server took the address back; asking for another";
const OVER: &str = "the DHCP server did not renew the address in time; asking for another";

/// What is told while there is no answer.
const NO_ANSWER: &str = "no DHCP server answers; check the router, or set board.address in bulbil.toml";

/// What is told while nobody renews the address.
const UNRENEWED: &str = "the DHCP server does not renew the address; it is kept until the lease ends";

/// Keeps an address on one interface, for ever.
pub(super) async fn run(way: Rc<Way>) {
    if let Err(error) = way.links.up(&way.interface) {
        return way.tell(None, &format!("cannot be switched on: {error}"));
    }
    loop {
        let Some(connection) = way.connection() else {
            way.tell(None, PULLED);
            while way.connection().is_none() {
                sleep(LOOK).await;
            }
            continue;
        };
        let ended = hold(&way, connection).await;
        // Whatever ended it, the address is not ours any more.
        way.unset();
        match ended {
            Ok(why) => way.tell(None, why),
            Err(error) => {
                way.tell(None, &format!("DHCP does not work: {error}"));
                sleep(WAIT.1).await;
            }
        }
    }
}

/// Gets an address and keeps it until the server takes it back, the lease runs out or this connection ends: returns which.
async fn hold(way: &Way, connection: u64) -> io::Result<&'static str> {
    let hardware = way.hardware().ok_or_else(|| io::Error::other("the interface has no hardware address"))?;
    let client = Client {
        way,
        connection,
        socket: UdpSocket::from_std(link::on_device(
            &way.interface,
            SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, CLIENT),
        )?)?,
        hardware,
        number: getrandom::u32().map_err(io::Error::other)?,
    };
    let Some(mut lease) = client.ask().await? else { return Ok(PULLED) };
    let mut since = Instant::now();
    set(way, &lease)?;
    while client.watch(since + lease.renew).await {
        match client.renew(&lease, since).await? {
            Some(Reply::Leased(newer)) => {
                since = Instant::now();
                lease = newer;
                set(way, &lease)?;
            }
            Some(Reply::Refused) => return Ok(REFUSED),
            None => return Ok(if client.is_connected() { OVER } else { PULLED }),
        }
    }
    Ok(PULLED)
}

fn set(way: &Way, lease: &Lease) -> io::Result<()> {
    way.set(Network { address: lease.address, prefix: lease.prefix }, lease.router, "from DHCP")
}

/// One interface's side of the conversation.
struct Client<'a> {
    way: &'a Way,
    /// The conversation is over when this is.
    connection: u64,
    socket: UdpSocket,
    hardware: [u8; 6],
    /// Tells answers to us from those to others.
    number: u32,
}

impl Client<'_> {
    /// Whether this is still the same cable or network.
    fn is_connected(&self) -> bool {
        self.way.connection() == Some(self.connection)
    }

    /// Waits for `until`; false at once when the cable is pulled.
    async fn watch(&self, until: Instant) -> bool {
        while Instant::now() < until {
            if !self.is_connected() {
                return false;
            }
            sleep(LOOK.min(until - Instant::now())).await;
        }
        true
    }

    /// Asks everyone until somebody leases an address; `None` when the cable is pulled.
    async fn ask(&self) -> io::Result<Option<Lease>> {
        let mut wait = WAIT.0;
        let mut unheard = 0;
        while self.is_connected() {
            if let Some(offer) = self.offer(wait).await?
                && let Some(lease) = self.accept(&offer, wait).await?
            {
                return Ok(Some(lease));
            }
            unheard += 1;
            if unheard == SILENCE {
                self.way.tell(None, NO_ANSWER);
            }
            wait = (wait * 2).min(WAIT.1);
        }
        Ok(None)
    }

    async fn offer(&self, wait: Duration) -> io::Result<Option<Offer>> {
        let discover = Message { kind: Kind::Discover, number: self.number, hardware: self.hardware };
        self.send(&discover.bytes(Ipv4Addr::UNSPECIFIED, None), Ipv4Addr::BROADCAST).await?;
        self.hear(Instant::now() + wait, |bytes| Message::offer(bytes, self.number, self.hardware)).await
    }

    async fn accept(&self, offer: &Offer, wait: Duration) -> io::Result<Option<Lease>> {
        let request = Message { kind: Kind::Request, number: self.number, hardware: self.hardware };
        self.send(&request.bytes(Ipv4Addr::UNSPECIFIED, Some(*offer)), Ipv4Addr::BROADCAST).await?;
        let answer = self
            .hear(Instant::now() + wait, |bytes| Message::answer(bytes, self.number, self.hardware))
            .await?;
        Ok(answer.and_then(Reply::lease))
    }

    /// Asks for more time: first the server alone, then everyone (RFC 2131, section 4.4.5). `None` when the time is over, or the cable
    /// is pulled.
    async fn renew(&self, lease: &Lease, since: Instant) -> io::Result<Option<Reply>> {
        let request = Message { kind: Kind::Request, number: self.number, hardware: self.hardware };
        let bytes = request.bytes(lease.address, None);
        let (rebind, end) = (since + lease.rebind, since + lease.time);
        while Instant::now() < end && self.is_connected() {
            let alone = Instant::now() < rebind;
            let to = if alone { lease.server } else { Ipv4Addr::BROADCAST };
            // A server that cannot be reached is one that does not answer.
            let _ = self.send(&bytes, to).await;
            let rest = if alone { rebind - Instant::now() } else { end - Instant::now() };
            // A short lease leaves no time for the usual minute.
            let until = Instant::now() + (rest / 2).max(REPEAT.min(lease.time / 8)).min(rest);
            if let Some(answer) =
                self.hear(until, |bytes| Message::answer(bytes, self.number, self.hardware)).await?
            {
                return Ok(Some(answer));
            }
            if self.is_connected() {
                self.way.tell(Some(format!("{}/{}", lease.address, lease.prefix)), UNRENEWED);
            }
        }
        Ok(None)
    }

    async fn send(&self, bytes: &[u8], to: Ipv4Addr) -> io::Result<()> {
        self.socket.send_to(bytes, SocketAddrV4::new(to, SERVER)).await.map(drop)
    }

    /// The first answer that means something, or `None` when the time is over, or the cable is pulled.
    async fn hear<T>(
        &self,
        until: Instant,
        mut read: impl FnMut(&[u8]) -> Option<T>,
    ) -> io::Result<Option<T>> {
        let mut buffer = [0; ANSWER];
        // A lease may be renewed for days; nothing but a look tells about the cable.
        while Instant::now() < until && self.is_connected() {
            let look = until.min(Instant::now() + LOOK);
            let Ok(received) = timeout_at(look, self.socket.recv(&mut buffer)).await else { continue };
            if let Some(meaning) = read(buffer.get(..received?).unwrap_or_default()) {
                return Ok(Some(meaning));
            }
        }
        Ok(None)
    }
}
