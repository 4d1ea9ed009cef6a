//! One stream: to a backend that answers, and to another if the first one fails before its first byte.

use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use super::backend::Conversation;
use super::header::header;
use super::route::{Route, Turn};
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

/// What became of the first backend's turn.
enum First {
    /// It answers, or the request cannot be given to another: carry on with this one.
    Stay,
    /// It failed; another may have its turn.
    Next,
    /// The client has gone.
    Over,
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
    let mut said = Vec::new();
    loop {
        match first(&mut client, &mut backend, &mut said, &route, &turn, &tried).await {
            First::Stay => break,
            First::Over => return,
            First::Next => {}
        }
        drop(turn);
        match dial(&route, &mut tried, &head).await {
            Some(next) => (turn, backend) = next,
            None => return,
        }
        if send(&mut backend, &said, &route).await.is_err() {
            turn.failed();
        }
    }
    pump(client, backend, &route, &turn).await;
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

/// Carries until the first byte of the answer, or until the request can no longer be repeated elsewhere.
async fn first(
    client: &mut Stream,
    backend: &mut Conversation,
    said: &mut Vec<u8>,
    route: &Route,
    turn: &Turn,
    tried: &[usize],
) -> First {
    let asked = Instant::now();
    let (mut ours, mut theirs) = (vec![0; CHUNK], vec![0; CHUNK]);
    loop {
        let alone = !route.has_other(tried);
        let wait = if said.is_empty() || alone { SILENCE } else { route.answer_limit() };
        tokio::select! {
            got = backend.read(&mut theirs) => match got {
                Ok(got) if got > 0 => {
                    turn.spoke();
                    let bytes = theirs.get(..got).unwrap_or_default();
                    route.tally.sent(got);
                    return if deliver(client, bytes).await.is_ok() { First::Stay } else { First::Over };
                }
                _ => {
                    turn.failed();
                    return if alone { First::Over } else { First::Next };
                }
            },
            got = client.read(&mut ours) => {
                let Ok(got) = got else { return First::Over };
                let Some(bytes) = ours.get(..got).filter(|bytes| !bytes.is_empty()) else { return First::Over };
                route.tally.received(got);
                said.extend_from_slice(bytes);
                let again = may_repeat(said, route.settings.repeat);
                if send(backend, bytes, route).await.is_err() {
                    turn.failed();
                    return if again && !alone { First::Next } else { First::Over };
                }
                if !again {
                    return First::Stay;
                }
            }
            () = tokio::time::sleep(wait) => {
                turn.hung(asked);
                return if alone { First::Over } else { First::Next };
            }
        }
    }
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

/// Carries both ways until either side ends: Tor knows no half-closed streams.
async fn pump(client: Stream, backend: Conversation, route: &Route, turn: &Turn) {
    let (from_client, mut to_client) = tokio::io::split(client);
    let (from_backend, mut to_backend) = tokio::io::split(backend);
    let out = one_way(from_backend, &mut to_client, |bytes| {
        turn.spoke();
        route.tally.sent(bytes);
    });
    let into = one_way(from_client, &mut to_backend, |bytes| route.tally.received(bytes));
    // How a side ended does not matter to the other.
    tokio::select! {
        _ = out => {}
        _ = into => {}
    }
    let goodbye = async {
        let _ = to_client.shutdown().await;
        let _ = to_backend.shutdown().await;
    };
    let _ = timeout(route.answer_limit(), goodbye).await;
}

async fn one_way(
    mut from: impl AsyncRead + Unpin,
    to: &mut (impl AsyncWrite + Unpin),
    note: impl Fn(usize),
) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    loop {
        let got = timeout(SILENCE, from.read(&mut buffer)).await.map_err(io::Error::other)??;
        let Some(bytes) = buffer.get(..got).filter(|bytes| !bytes.is_empty()) else { return Ok(()) };
        note(got);
        deliver(to, bytes).await?;
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
