//! A resolver for programs that know no SOCKS: UDP and TCP in, TCP over Tor out (RFC 1035, 6891, 7766, 8914).
//!
//! Answers pass through byte for byte, whatever their type; only identifiers, times and EDNS are ours.

mod answers;
mod cache;
mod upstream;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;

use super::gate::{Conn, Gate};
use super::meter::Meter;
use super::share::Shares;
use crate::config;
use crate::sys::datagrams::{Datagrams, Route};
pub(super) use answers::Answers;
use answers::Way;

/// Questions over UDP that may wait for an answer, shared out among clients; more are dropped, and their clients ask again.
const UDP_WAITING: usize = 1024;

/// Questions of one connection that may wait for an answer; more are not read until some are answered.
const TCP_WAITING: usize = 256;

/// How long a connection may be silent (RFC 7766, section 6.2.3, asks for seconds), and take over a message.
const IDLE: Duration = Duration::from_secs(20);

/// How long a client may take to accept an answer.
const ACCEPT: Duration = Duration::from_secs(10);

/// Bytes of a question at most: a name, and room for EDNS options.
const MAX_QUESTION: usize = 4096;

/// The listener.
#[derive(Debug)]
pub(super) struct Server {
    answers: Answers,
    connections: u32,
    meter: Arc<Meter>,
}

impl Server {
    pub(super) const fn new(answers: Answers, config: &config::Dns, meter: Arc<Meter>) -> Self {
        Self { answers, connections: config.max_connections, meter }
    }

    /// Serves until `stop` turns true.
    pub(super) async fn run(self, tcp: TcpListener, udp: Datagrams, stop: watch::Receiver<bool>) {
        let gate = Gate::new(self.connections, Arc::clone(&self.meter));
        let me = Arc::new(self);
        let over_udp = Arc::clone(&me).datagrams(udp, stop.clone());
        let over_tcp = gate.run(tcp, stop, |conn| Arc::clone(&me).connection(conn));
        tokio::join!(over_udp, over_tcp);
    }

    async fn datagrams(self: Arc<Self>, socket: Datagrams, mut stop: watch::Receiver<bool>) {
        let (socket, slots) = (Arc::new(socket), Shares::new(UDP_WAITING));
        let mut bytes = vec![0; MAX_QUESTION];
        loop {
            let got = tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                got = socket.receive(&mut bytes) => got,
            };
            // An error belongs to an answer sent before, whose client went away.
            let Ok((length, route)) = got else { continue };
            let Some(slot) = slots.take(route.client.ip()) else {
                self.meter.error("too_many");
                continue;
            };
            let question = bytes.get(..length).unwrap_or_default().to_vec();
            let (me, socket) = (Arc::clone(&self), Arc::clone(&socket));
            tokio::spawn(async move {
                if let Some(answer) = me.answer(&question, Way::Udp).await {
                    send(&socket, &answer, route).await;
                }
                drop(slot);
            });
        }
    }

    async fn answer(&self, question: &[u8], way: Way) -> Option<Vec<u8>> {
        self.meter.request();
        self.meter.up(question.len());
        let answer = Box::pin(self.answers.answer(question, way, &self.meter)).await;
        self.meter.down(answer.as_ref().map_or(0, Vec::len));
        answer
    }

    async fn connection(self: Arc<Self>, mut conn: Conn) {
        // Whoever connects and asks nothing gives way to others.
        let Ok(Some(first)) = timeout(IDLE, question(&mut conn.stream)).await else { return };
        let (stream, slot) = conn.settle();
        if slot.is_some() {
            self.questions(stream, first).await;
        } else {
            self.meter.error("too_many");
        }
    }

    /// Answers as soon as an answer is there, in any order (RFC 7766, section 7).
    async fn questions(&self, stream: TcpStream, first: Vec<u8>) {
        let (mut reader, mut writer) = stream.into_split();
        let mut waiting = FuturesUnordered::new();
        let ask = async |question: Vec<u8>| self.answer(&question, Way::Tcp).await;
        waiting.push(ask(first));
        let mut next = Box::pin(following(&mut reader));
        let mut open = true;
        while open || !waiting.is_empty() {
            tokio::select! {
                Some(answer) = waiting.next(), if !waiting.is_empty() => {
                    let Some(answer) = answer else { continue };
                    let mut framed = u16::try_from(answer.len()).unwrap_or(0).to_be_bytes().to_vec();
                    framed.extend(answer);
                    if !matches!(timeout(ACCEPT, writer.write_all(&framed)).await, Ok(Ok(()))) {
                        return;
                    }
                }
                (half, question) = &mut next, if open && waiting.len() < TCP_WAITING => match question {
                    Some(question) => {
                        waiting.push(ask(question));
                        next = Box::pin(following(half));
                    }
                    None => open = false,
                },
            }
        }
    }
}

/// The next question of a connection, and what to read the one after it from.
async fn following<R: tokio::io::AsyncRead + Unpin>(reader: &mut R) -> (&mut R, Option<Vec<u8>>) {
    let next = timeout(IDLE, question(reader)).await.unwrap_or(None);
    (reader, next)
}

/// One question with its length before it (RFC 1035, section 4.2.2). `None` at the end, or when it is too long.
async fn question<R: tokio::io::AsyncRead + Unpin>(stream: &mut R) -> Option<Vec<u8>> {
    let length = usize::from(stream.read_u16().await.ok()?);
    if length > MAX_QUESTION {
        return None;
    }
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).await.ok()?;
    Some(bytes)
}

async fn send(socket: &Datagrams, answer: &[u8], route: Route) {
    // It may be gone; it asks again if not.
    let _ = timeout(ACCEPT, socket.answer(answer, route)).await;
}

#[cfg(test)]
mod tests;
