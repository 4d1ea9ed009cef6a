//! One stream: to a backend that answers, and to another if the first one fails before the first byte of an answer. Where
//! the stream is HTTP, that holds for each request on it.

use std::cell::RefCell;
use std::future::pending;
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::backend::Conversation;
use super::header::header;
use super::route::{Route, Turn};
use super::talk::Talk;
use crate::config::publish::Repeat;
use crate::net::{Knock, Stream};

/// Bytes carried at a time, each way.
const CHUNK: usize = 16 * 1024;

/// Bytes of a request that are kept until its answer begins.
const KEPT: usize = 64 * 1024;

/// A stream on which nothing moved for so long is closed.
const SILENCE: Duration = Duration::from_secs(3600);

/// How a request begins that changes nothing (RFC 9110, section 9.2.1).
const SAFE: [&[u8]; 3] = [b"GET ", b"HEAD ", b"OPTIONS "];

/// What ends the head of a request.
const HEAD_END: &[u8] = b"\r\n\r\n";

/// How a backend's turn ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Over {
    /// The stream is over.
    Ended,
    /// Another backend gets the request.
    Moved,
}

/// What is known of the exchange under way, and so of whether another backend may have it.
struct Exchange {
    talk: Talk,
    /// The request so far, up to what is kept, while nothing of its answer has come.
    said: Vec<u8>,
    /// When the client last spoke, if nothing has come since.
    asked: Option<Instant>,
    /// The backend has not taken yet what the client said.
    offered: bool,
    /// That this was too long ago has been told already.
    told: bool,
    /// Something of the answer has come.
    heard: bool,
    /// The client has got something of any answer.
    begun: bool,
    /// This connection to a backend has never said anything.
    fresh: bool,
    /// Backends that had this request.
    tried: Vec<usize>,
}

/// Serves whoever knocks, to the end.
pub(super) async fn carry(knock: Knock, route: Rc<Route>) {
    let head = header(route.settings.proxy_protocol, knock.circuit, knock.port);
    let mut tried = Vec::new();
    let Some((mut turn, mut backend)) = dial(&route, &mut tried, &head).await else {
        route.tally.refused();
        return knock.refuse().await;
    };
    let Ok(mut client) = knock.accept().await else { return };
    let exchange = RefCell::new(Exchange::new(tried));
    let mut said = Vec::new();
    while pump(&mut client, backend, &said, &exchange, &route, &turn).await == Over::Moved {
        drop(turn);
        let mut tried = std::mem::take(&mut exchange.borrow_mut().tried);
        match dial(&route, &mut tried, &head).await {
            Some(next) => (turn, backend) = next,
            None => return,
        }
        said = exchange.borrow_mut().anew(tried);
    }
}

impl Exchange {
    fn new(tried: Vec<usize>) -> Self {
        Self {
            talk: Talk::default(),
            said: Vec::new(),
            asked: None,
            offered: false,
            told: false,
            heard: false,
            begun: false,
            fresh: true,
            tried,
        }
    }

    /// Another backend has its turn: what it must be told.
    fn anew(&mut self, tried: Vec<usize>) -> Vec<u8> {
        (self.tried, self.fresh, self.told) = (tried, true, false);
        self.asked = (!self.said.is_empty()).then(Instant::now);
        self.said.clone()
    }

    /// The client said this to the backend at `at`. True where a request begins and the last one is over.
    fn client(&mut self, bytes: &[u8], at: usize) -> bool {
        let next = self.talk.client(bytes);
        if next {
            (self.heard, self.tried) = (false, vec![at]);
            self.said.clear();
        }
        if !self.heard && self.said.len() <= KEPT {
            self.said.extend_from_slice(bytes);
        }
        (self.asked, self.told) = (Some(Instant::now()), false);
        next
    }

    /// The client got this.
    fn backend(&mut self, bytes: &[u8]) {
        self.talk.backend(bytes);
        (self.asked, self.heard, self.begun, self.fresh) = (None, true, true, false);
        self.said = Vec::new();
    }

    /// Whether another backend may have the request.
    fn may_move(&self, repeat: Repeat) -> bool {
        let known = !self.begun || !self.talk.is_lost();
        known && !self.heard && (self.said.is_empty() || may_repeat(&self.said, repeat))
    }

    /// Since when the backend owes something, if that has not been told: an answer to a whole request, or to take what it is
    /// given. Where no exchanges can be told, it owes a first word. A client that is slow to ask keeps nobody waiting.
    fn waits(&self) -> Option<Instant> {
        let first = !self.heard && (self.offered || self.talk.is_lost());
        self.asked.filter(|_| !self.told && (first || self.talk.is_asked()))
    }
}

/// The next backend that takes a connection, with `head` sent. `None` when all were tried.
async fn dial(route: &Rc<Route>, tried: &mut Vec<usize>, head: &[u8]) -> Option<(Turn, Conversation)> {
    loop {
        let turn = Turn::take(route, tried)?;
        tried.push(turn.at());
        if let Ok(mut conversation) = turn.backend().dial(route.connect_limit()).await
            && send(&mut conversation, head, route).await.is_ok()
        {
            return Some((turn, conversation));
        }
        turn.failed();
    }
}

async fn send(to: &mut Conversation, bytes: &[u8], route: &Route) -> io::Result<()> {
    if bytes.is_empty() {
        return Ok(());
    }
    let sent = async {
        to.write_all(bytes).await?;
        to.flush().await
    };
    timeout(route.answer_limit(), sent).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

/// Whether a backend may be given what another was given before.
fn may_repeat(said: &[u8], repeat: Repeat) -> bool {
    let safe = || {
        let known = SAFE.iter().any(|verb| said.starts_with(verb) || verb.starts_with(said));
        // What follows the first head is a body or a second request.
        let more = said.windows(HEAD_END.len()).position(|four| four == HEAD_END);
        known && more.is_none_or(|at| at.saturating_add(HEAD_END.len()) == said.len())
    };
    said.len() <= KEPT
        && match repeat {
            Repeat::Never => false,
            Repeat::Safe => safe(),
            Repeat::Always => true,
        }
}

async fn deliver(to: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
    let sent = async {
        to.write_all(bytes).await?;
        to.flush().await
    };
    timeout(SILENCE, sent).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

/// Gives the backend what was `said` before, and carries both ways until either side ends, as Tor knows no half-closed streams, or until a request that had no answer can
/// go to another backend.
async fn pump(
    client: &mut Stream,
    backend: Conversation,
    said: &[u8],
    exchange: &RefCell<Exchange>,
    route: &Route,
    turn: &Turn,
) -> Over {
    let (from_client, mut to_client) = tokio::io::split(client);
    let (from_backend, mut to_backend) = tokio::io::split(backend);
    let rung = Notify::new();
    let over = tokio::select! {
        over = answers(from_backend, &mut to_client, exchange, route, turn) => over,
        over = requests(from_client, &mut to_backend, said, (exchange, &rung), route, turn) => over,
        () = hangs((exchange, &rung), route, turn) => Over::Moved,
    };
    if over == Over::Ended {
        let goodbye = async {
            let _ = to_client.shutdown().await;
            let _ = to_backend.shutdown().await;
        };
        let _ = timeout(route.answer_limit(), goodbye).await;
    }
    over
}

/// From the backend to the client.
async fn answers(
    mut from: impl AsyncRead + Unpin,
    to: &mut (impl AsyncWrite + Unpin),
    exchange: &RefCell<Exchange>,
    route: &Route,
    turn: &Turn,
) -> Over {
    let mut buffer = vec![0; CHUNK];
    loop {
        let Ok(got) = timeout(SILENCE, from.read(&mut buffer)).await else { return Over::Ended };
        let bytes = buffer.get(..got.unwrap_or(0)).unwrap_or_default();
        if bytes.is_empty() {
            return broken(exchange, route, turn);
        }
        turn.spoke();
        route.tally.sent(bytes.len());
        exchange.borrow_mut().heard = true;
        if !matches!(timeout(SILENCE, to.write_all(bytes)).await, Ok(Ok(()))) {
            return Over::Ended;
        }
        // Only now: what is not written yet would be lost if the next request went elsewhere.
        exchange.borrow_mut().backend(bytes);
        if !matches!(timeout(SILENCE, to.flush()).await, Ok(Ok(()))) {
            return Over::Ended;
        }
    }
}

/// From the client to the backend.
async fn requests(
    mut from: impl AsyncRead + Unpin,
    to: &mut (impl AsyncWrite + Unpin),
    said: &[u8],
    (exchange, rung): (&RefCell<Exchange>, &Notify),
    route: &Route,
    turn: &Turn,
) -> Over {
    let mut buffer = vec![0; CHUNK];
    if !said.is_empty() && offer(to, said, (exchange, rung)).await.is_err() {
        return unheard(exchange, route, turn).await;
    }
    loop {
        let Ok(Ok(got)) = timeout(SILENCE, from.read(&mut buffer)).await else { return Over::Ended };
        let bytes = buffer.get(..got).unwrap_or_default();
        if bytes.is_empty() {
            return Over::Ended;
        }
        route.tally.received(got);
        let next = exchange.borrow_mut().client(bytes, turn.at());
        if next && route.is_better_elsewhere(turn.at()) {
            // Nothing of the request was given away: this one may still have it if no other takes it.
            exchange.borrow_mut().tried.clear();
            return Over::Moved;
        }
        if offer(to, bytes, (exchange, rung)).await.is_err() {
            return unheard(exchange, route, turn).await;
        }
    }
}

/// Gives the backend what the client said.
async fn offer(
    to: &mut (impl AsyncWrite + Unpin),
    bytes: &[u8],
    (exchange, rung): (&RefCell<Exchange>, &Notify),
) -> io::Result<()> {
    exchange.borrow_mut().offered = true;
    rung.notify_one();
    let given = deliver(to, bytes).await;
    exchange.borrow_mut().offered = false;
    rung.notify_one();
    given
}

/// The backend takes no more: it may have answered before it had the whole request (RFC 9112, section 9.3), which is then
/// still on its way to the client.
async fn unheard(exchange: &RefCell<Exchange>, route: &Route, turn: &Turn) -> Over {
    tokio::time::sleep(route.answer_limit()).await;
    if exchange.borrow().heard {
        pending::<()>().await; // until the answer has ended
    }
    broken(exchange, route, turn)
}

/// The backend has ended or broken off.
fn broken(exchange: &RefCell<Exchange>, route: &Route, turn: &Turn) -> Over {
    let mut it = exchange.borrow_mut();
    if it.heard {
        return Over::Ended; // with its answer, or within it
    }
    if it.fresh {
        turn.failed();
        if !route.has_other(&it.tried) {
            return Over::Ended;
        }
    } else {
        // It hung up while the request was on its way, as servers do with connections that were quiet: a new one will do.
        it.tried.clear();
    }
    if it.may_move(route.settings.repeat) { Over::Moved } else { Over::Ended }
}

/// Tells the pool when the backend leaves a request without an answer for too long. Ends if another can have it.
async fn hangs((exchange, rung): (&RefCell<Exchange>, &Notify), route: &Route, turn: &Turn) {
    loop {
        let waits = exchange.borrow().waits();
        let Some(asked) = waits else {
            rung.notified().await;
            continue;
        };
        tokio::time::sleep_until((asked + route.answer_limit()).into()).await;
        let mut it = exchange.borrow_mut();
        if it.waits() != Some(asked) {
            continue;
        }
        turn.hung(asked);
        it.told = true;
        if route.has_other(&it.tried) && it.may_move(route.settings.repeat) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_changes_nothing_is_repeated() {
        for said in ["G", "GET / HTTP/1.1\r\n", "HEAD /x HTTP/1.1\r\n\r\n", "OPTIONS * HTTP/1.1\r\n\r\n"] {
            assert!(may_repeat(said.as_bytes(), Repeat::Safe), "{said:?}");
        }
        for said in
            ["P", "POST / HTTP/1.1\r\n\r\n", "GETX ", "\u{16}\u{3}\u{1}", "GET / HTTP/1.1\r\n\r\nPOST /"]
        {
            assert!(!may_repeat(said.as_bytes(), Repeat::Safe), "{said:?}");
            assert!(may_repeat(said.as_bytes(), Repeat::Always), "{said:?}");
        }
        assert!(!may_repeat(b"GET ", Repeat::Never));
        assert!(!may_repeat(&[b'x'; KEPT + 1], Repeat::Always));
    }
}
