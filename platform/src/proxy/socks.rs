//! SOCKS5, and 4 and 4a because the handshake gives them for nothing (RFC 1928, RFC 1929, Tor's socks-extensions).

mod reply;
mod spread;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use subtle::ConstantTimeEq;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;
use tor_socksproto::{
    Buffer, Handshake as _, NextStep, SocksAddr, SocksAuth, SocksCmd, SocksProxyHandshake, SocksRequest,
};

use super::carry::{End, carry_within};
use super::gate::{Conn, Gate};
use super::meter::Meter;
use crate::config::{self, Password, Separator};
use crate::exit::{Exit, Host, Isolation, ReachError};
use reply::Reply;
use spread::Spread;

/// Longest that a client may take to say what it wants.
const HANDSHAKE: Duration = Duration::from_secs(15);

/// Longest that a client may take to accept a few bytes.
const ANSWER: Duration = Duration::from_secs(10);

/// What a browser is told that takes this for an HTTP proxy.
const NOT_HTTP: &[u8] =
    b"HTTP/1.0 501 Not Implemented\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n\
    This port speaks SOCKS, not HTTP. Set it as the SOCKS host of your program, and clear its HTTP proxy.\n";

/// "None of these ways to authenticate" (RFC 1928, section 3).
const NO_METHOD: &[u8] = &[5, 0xFF];

/// The login is wrong (RFC 1929, section 2).
const WRONG_LOGIN: &[u8] = &[1, 1];

/// Bytes of a greeting and a login at most: 2 + 255, and 3 + 255 + 255.
const MAX_LOGIN: usize = 770;

/// "Command not supported" (RFC 1928, section 6): BIND and UDP ASSOCIATE have no meaning in Tor.
const NO_COMMAND: &[u8] = &[5, 7, 0, 1, 0, 0, 0, 0, 0, 0];

/// The listener's rules.
#[derive(Debug)]
pub(super) struct Socks {
    exit: Exit,
    password: Option<Password>,
    isolate: Vec<Separator>,
    spread: Arc<Spread>,
    extended: bool,
    connections: u32,
    idle: Option<Duration>,
    meter: Arc<Meter>,
}

/// What a client wants.
struct Wish {
    request: SocksRequest,
    /// Bytes that it sent after that without waiting.
    early: Vec<u8>,
}

impl Socks {
    pub(super) fn new(exit: Exit, config: &config::Socks, meter: Arc<Meter>) -> Self {
        Self {
            exit,
            password: config.password.clone(),
            isolate: config.isolate.clone(),
            spread: Spread::new(config.circuits),
            extended: config.extended_errors,
            connections: config.max_connections,
            idle: (config.idle.0 > 0).then(|| Duration::from_secs(config.idle.0)),
            meter,
        }
    }

    /// Serves until `stop` turns true.
    pub(super) async fn run(self, listener: TcpListener, stop: watch::Receiver<bool>) {
        let gate = Gate::new(self.connections, Arc::clone(&self.meter));
        let me = Arc::new(self);
        gate.run(listener, stop, |conn| Arc::clone(&me).serve(conn)).await;
    }

    async fn serve(self: Arc<Self>, mut conn: Conn) {
        let shaking = shake_hands(&mut conn.stream, self.password.as_ref());
        let wish = match timeout(HANDSHAKE, shaking).await {
            Ok(Ok(wish)) => wish,
            Ok(Err(word)) => return self.meter.error(word),
            Err(_) => return self.meter.error("handshake_timeout"),
        };
        self.meter.request();
        let client = conn.client;
        let (mut stream, slot) = conn.settle();
        if slot.is_none() {
            self.meter.error("too_many");
            return self.answer(&mut stream, &wish.request, &Reply::full()).await;
        }
        if !self.allowed(wish.request.auth()) {
            self.meter.error("wrong_password");
            return self.answer(&mut stream, &wish.request, &Reply::not_allowed()).await;
        }
        if wish.request.command() == SocksCmd::CONNECT {
            self.connect(stream, wish, client).await;
        } else {
            let reply = self.look_up(&wish.request, client).await;
            self.answer(&mut stream, &wish.request, &reply).await;
        }
    }

    fn allowed(&self, auth: &SocksAuth) -> bool {
        match (&self.password, auth) {
            (None, _) => true,
            (Some(wanted), SocksAuth::Username(_, given)) => is_same(wanted, given),
            // Versions 4 and 4a have no passwords.
            (Some(_), _) => false,
        }
    }

    fn isolation(&self, request: &SocksRequest, client: SocketAddr) -> Isolation {
        let mut isolation = Isolation::of("socks");
        for separator in &self.isolate {
            isolation = match separator {
                Separator::Auth => match request.auth() {
                    SocksAuth::Username(user, password) => isolation.and(b"5").and(user).and(password),
                    SocksAuth::Socks4(user) => isolation.and(b"4").and(user),
                    _ => isolation.and(b"0"),
                },
                Separator::Client => isolation.and(client.ip().to_string().as_bytes()),
                Separator::Address => isolation.and(request.addr().to_string().as_bytes()),
                Separator::Port => isolation.and(&request.port().to_be_bytes()),
            };
        }
        isolation
    }

    async fn connect(&self, mut stream: TcpStream, wish: Wish, client: SocketAddr) {
        let place = self.spread.place(self.isolation(&wish.request, client));
        let isolation = place.isolation();
        let begun = Instant::now();
        let reached = async {
            let host = host(wish.request.addr())?;
            self.exit.reach(&host, wish.request.port(), &isolation).await
        };
        let reached = tokio::select! {
            reached = reached => reached,
            () = gone(&stream) => return self.meter.error("client_gone"),
        };
        let mut target = match reached {
            Ok(target) => target,
            Err(why) => {
                self.meter.error(why.word());
                return self.answer(&mut stream, &wish.request, &Reply::failed(why, self.extended)).await;
            }
        };
        self.meter.answered(begun.elapsed());
        if !send(&mut stream, &wish.request, &Reply::done()).await {
            return self.meter.error("client_gone");
        }
        let why = match carry_within(&mut stream, &mut target, wish.early, &self.meter, self.idle).await {
            End::Whole | End::ClientGone => return,
            End::Quiet => "idle",
            End::Broken(_) => "broken",
        };
        self.meter.error(why);
        // With a reset, or the client would take what it has for all there was.
        let _ = stream.set_zero_linger();
    }

    async fn look_up(&self, request: &SocksRequest, client: SocketAddr) -> Reply {
        let isolation = self.isolation(request, client);
        let found = match request.command() {
            SocksCmd::RESOLVE => self.resolve(request.addr(), &isolation).await,
            SocksCmd::RESOLVE_PTR => self.resolve_ptr(request.addr(), &isolation).await,
            _ => {
                self.meter.error("command");
                return Reply::no_command();
            }
        };
        match found {
            Ok(address) => Reply::found(address),
            Err(why) => {
                self.meter.error(why.word());
                Reply::failed(why, self.extended)
            }
        }
    }

    async fn resolve(&self, addr: &SocksAddr, isolation: &Isolation) -> Result<SocksAddr, ReachError> {
        match host(addr)? {
            Host::Ip(ip) => Ok(SocksAddr::Ip(ip)),
            // It has no address, and nobody outside may hear of it (RFC 7686).
            Host::Onion(_) => Err(ReachError::NoSuchName),
            Host::Name(name) => {
                let found = self.exit.resolve(&name, isolation).await?;
                let first = found.iter().find(|ip| ip.is_ipv4()).or(found.first());
                first.map(|ip| SocksAddr::Ip(*ip)).ok_or(ReachError::NoSuchName)
            }
        }
    }

    async fn resolve_ptr(&self, addr: &SocksAddr, isolation: &Isolation) -> Result<SocksAddr, ReachError> {
        let ip: IpAddr = match host(addr)? {
            Host::Ip(ip) => ip,
            Host::Name(_) | Host::Onion(_) => return Err(ReachError::BadName),
        };
        let names = self.exit.resolve_ptr(ip, isolation).await?;
        let name = names.into_iter().next().ok_or(ReachError::NoSuchName)?;
        name.try_into().map(SocksAddr::Hostname).map_err(|_| ReachError::NameFailed)
    }

    /// The last words on a connection.
    async fn answer(&self, stream: &mut TcpStream, request: &SocksRequest, reply: &Reply) {
        if !send(stream, request, reply).await {
            self.meter.error("client_gone");
        }
    }
}

async fn send(stream: &mut TcpStream, request: &SocksRequest, reply: &Reply) -> bool {
    let Ok(bytes) = request.reply(reply.status, reply.address.as_ref()) else { return false };
    matches!(timeout(ANSWER, stream.write_all(&bytes)).await, Ok(Ok(())))
}

/// Takes the same time whatever is wrong with it.
fn is_same(wanted: &Password, given: &[u8]) -> bool {
    wanted.0.as_bytes().ct_eq(given).into()
}

/// The password in what a client of version 5 said, once its greeting (RFC 1928, section 3) and its login (RFC 1929, section
/// 2) are whole.
fn login(said: &[u8]) -> Option<&[u8]> {
    // A version, then a field with its length before it.
    let (_methods, rest) = field(said.get(1..)?)?;
    let (_user, rest) = field(rest.get(1..)?)?;
    field(rest).map(|(password, _)| password)
}

fn field(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first()?;
    rest.split_at_checked(usize::from(*length))
}

/// What a client must not be told that lacks `password`: that its way to authenticate will do, or that its login is right. The
/// library says so to everybody, as it knows no passwords.
fn refusal(answer: &[u8], said: &[u8], password: &Password) -> Option<&'static [u8]> {
    match answer {
        [5, 2] => None,
        [5, _] => Some(NO_METHOD),
        _ if login(said).is_some_and(|given| is_same(password, given)) => None,
        _ => Some(WRONG_LOGIN),
    }
}

/// Until the request is whole, and with the right password where one is wanted. On failure, one word for the statistics.
async fn shake_hands(stream: &mut TcpStream, password: Option<&Password>) -> Result<Wish, &'static str> {
    let mut said = Vec::new();
    let mut buffer = Buffer::new();
    let mut handshake = SocksProxyHandshake::new();
    let mut greeted = false;
    loop {
        match handshake.step(&mut buffer) {
            Ok(NextStep::Send(bytes)) => {
                if let Some(no) = password.and_then(|password| refusal(&bytes, &said, password)) {
                    let _ = stream.write_all(no).await; // it may be gone
                    return Err("wrong_password");
                }
                stream.write_all(&bytes).await.map_err(|_| "client_gone")?;
                greeted = true;
            }
            Ok(NextStep::Recv(mut step)) => {
                let got = stream.read(step.buf()).await.map_err(|_| "client_gone")?;
                if password.is_some() && said.len() < MAX_LOGIN {
                    said.extend_from_slice(step.buf().get(..got).unwrap_or_default());
                }
                step.note_received(got).map_err(|_| "client_gone")?;
            }
            Ok(NextStep::Finished(finished)) => {
                let (request, early) = finished.into_output_and_vec();
                return Ok(Wish { request, early });
            }
            Err(tor_socksproto::Error::BadProtocol(first)) if first.is_ascii_uppercase() => {
                let _ = stream.write_all(NOT_HTTP).await; // it may be gone
                return Err("http");
            }
            Err(tor_socksproto::Error::NotImplemented(_)) => {
                let _ = stream.write_all(if greeted { NO_COMMAND } else { NO_METHOD }).await; // it may be gone
                return Err("command");
            }
            Err(_) => return Err("protocol"),
        }
    }
}

fn host(addr: &SocksAddr) -> Result<Host, ReachError> {
    match addr {
        SocksAddr::Ip(ip) => Ok(Host::Ip(*ip)),
        SocksAddr::Hostname(name) => Ok(name.as_ref().parse()?),
    }
}

/// Ready once the client has gone without having said anything; never where it said something.
async fn gone(stream: &TcpStream) {
    if !matches!(stream.peek(&mut [0]).await, Ok(0) | Err(_)) {
        std::future::pending::<()>().await;
    }
}
