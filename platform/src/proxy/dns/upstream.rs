//! Resolvers over Tor: one connection at a time, kept open, with many questions under way on it (RFC 7766).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};

use super::wire::Query;
use crate::exit::{Exit, ExitStream, Host, Isolation, ReachError};
use crate::proxy::target;

/// Longest wait for an answer, over all tries.
const DEADLINE: Duration = Duration::from_secs(20);

/// A connection on which nothing came for so long, while something should have, is given up.
const SILENCE: Duration = Duration::from_secs(8);

/// A connection that nobody asked anything on for so long is closed.
const IDLE: Duration = Duration::from_secs(60);

/// Questions under way on a connection at most; more wait in [`QUEUE`].
const UNDER_WAY: usize = 512;

/// Questions that wait for their turn at most.
const QUEUE: usize = 2048;

/// Bytes read at once.
const READ: usize = 16 * 1024;

/// Connections that are tried for one question: the one that stands, a new one, and the next resolvers.
const TRIES: usize = 4;

/// Why there is no answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Lost {
    /// No resolver was reached.
    Reach(ReachError),
    /// One was, and said nothing in time.
    Silent,
    /// One was, and went away.
    Broken,
    /// Too many questions wait already.
    Full,
}

impl Lost {
    /// For statistics.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Reach(why) => why.word(),
            Self::Silent => "resolver_silent",
            Self::Broken => "resolver_gone",
            Self::Full => "too_many",
        }
    }
}

/// The resolvers, and the connection to one of them.
#[derive(Debug)]
pub(super) struct Upstreams {
    exit: Exit,
    targets: Vec<(Host, u16)>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// The resolver in use; the next after one that failed.
    chosen: usize,
    line: Option<mpsc::Sender<Ask>>,
}

/// A question on its way to the connection.
#[derive(Debug)]
struct Ask {
    query: Query,
    answer: oneshot::Sender<Result<Vec<u8>, Lost>>,
}

impl Upstreams {
    /// Onion services in their order, then one of the others, which is drawn now and stays until the next start: a
    /// resolver that changed with every question would let all of them see a part of what is asked.
    pub(super) fn new(exit: Exit, targets: &[String]) -> Self {
        let (mut onions, others): (Vec<_>, Vec<_>) = targets
            .iter()
            .filter_map(|text| target(text))
            .partition(|(host, _)| matches!(host, Host::Onion(_)));
        let draw = draw(others.len());
        onions.extend(others.into_iter().nth(draw));
        Self { exit, targets: onions, state: Arc::default() }
    }

    /// Asks over a new connection from now on.
    pub(super) fn renew(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).line = None;
    }

    /// The answer of a resolver.
    pub(super) async fn ask(&self, query: &Query) -> Result<Vec<u8>, Lost> {
        timeout(DEADLINE, self.try_all(query)).await.unwrap_or(Err(Lost::Silent))
    }

    async fn try_all(&self, query: &Query) -> Result<Vec<u8>, Lost> {
        let mut last = Lost::Broken;
        for _ in 0..TRIES {
            let (reply, answer) = oneshot::channel();
            let ask = Ask { query: query.clone(), answer: reply };
            self.line().try_send(ask).map_err(|_| Lost::Full)?;
            match answer.await.unwrap_or(Err(Lost::Broken)) {
                Ok(bytes) => return Ok(bytes),
                Err(why @ Lost::Reach(ReachError::NotReady | ReachError::Shutdown)) => return Err(why),
                Err(why) => last = why,
            }
        }
        Err(last)
    }

    /// The way to the connection; a new one where none stands.
    fn line(&self) -> mpsc::Sender<Ask> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = state.line.as_ref().filter(|line| !line.is_closed()) {
            return line.clone();
        }
        let (line, asks) = mpsc::channel(QUEUE);
        state.line = Some(line.clone());
        let number = state.chosen;
        drop(state);
        let target = self.targets.get(number % self.targets.len().max(1)).cloned();
        tokio::spawn(run(self.exit.clone(), target, asks, Arc::clone(&self.state), number));
        line
    }
}

/// Serves one connection from its opening to its end.
async fn run(
    exit: Exit,
    target: Option<(Host, u16)>,
    mut asks: mpsc::Receiver<Ask>,
    state: Arc<Mutex<State>>,
    number: usize,
) {
    let next = || {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        // Another connection may have failed before, and moved on.
        if state.chosen == number {
            state.chosen = number.wrapping_add(1);
        }
    };
    let opened = match target {
        Some((host, port)) => exit.reach(&host, port, &Isolation::of("dns")).await,
        None => Err(ReachError::BadName),
    };
    match opened {
        Ok(stream) => {
            let mut line = Line { waiting: HashMap::new(), last: 0, heard: Instant::now(), answered: false };
            let why = line.run(stream, &mut asks).await;
            if !line.answered {
                next();
            }
            asks.close();
            line.waiting.into_values().for_each(|ask| drop(ask.answer.send(Err(why))));
            reject(&mut asks, why);
        }
        Err(why) => {
            next();
            asks.close();
            reject(&mut asks, Lost::Reach(why));
        }
    }
}

/// Those that wait try again elsewhere.
fn reject(asks: &mut mpsc::Receiver<Ask>, why: Lost) {
    while let Ok(ask) = asks.try_recv() {
        drop(ask.answer.send(Err(why))); // whoever asked may be gone
    }
}

/// A connection.
struct Line {
    waiting: HashMap<u16, Ask>,
    last: u16,
    heard: Instant,
    answered: bool,
}

impl Line {
    async fn run(&mut self, stream: ExitStream, asks: &mut mpsc::Receiver<Ask>) -> Lost {
        let (mut reader, mut writer) = tokio::io::split(stream);
        let mut heard = Vec::with_capacity(READ);
        let mut batch = Vec::new();
        loop {
            let limit = if self.waiting.is_empty() { IDLE } else { SILENCE };
            let room = UNDER_WAY.saturating_sub(self.waiting.len());
            tokio::select! {
                got = asks.recv_many(&mut batch, room), if room > 0 => {
                    if got == 0 {
                        return Lost::Broken; // a new identity: nobody asks here any more
                    }
                    if self.waiting.is_empty() {
                        self.heard = Instant::now();
                    }
                    let mut bytes = Vec::new();
                    batch.drain(..).for_each(|ask| self.put(ask, &mut bytes));
                    let sending = async {
                        writer.write_all(&bytes).await?;
                        writer.flush().await
                    };
                    if !matches!(timeout(SILENCE, sending).await, Ok(Ok(()))) {
                        return Lost::Broken;
                    }
                }
                got = reader.read_buf(&mut heard) => {
                    if !matches!(got, Ok(1..)) {
                        return Lost::Broken;
                    }
                    self.heard = Instant::now();
                    self.take(&mut heard);
                }
                () = tokio::time::sleep_until(self.heard + limit) => {
                    return if self.waiting.is_empty() { Lost::Broken } else { Lost::Silent };
                }
            }
        }
    }

    /// Numbers a question and writes it down.
    fn put(&mut self, ask: Ask, bytes: &mut Vec<u8>) {
        if ask.answer.is_closed() {
            return;
        }
        let mut message = ask.query.forward();
        loop {
            self.last = self.last.wrapping_add(1);
            if !self.waiting.contains_key(&self.last) {
                break;
            }
        }
        if let Some(id) = message.first_chunk_mut() {
            *id = self.last.to_be_bytes();
        }
        bytes.extend(u16::try_from(message.len()).unwrap_or(0).to_be_bytes());
        bytes.extend(message);
        self.waiting.insert(self.last, ask);
    }

    /// Hands over what came whole.
    fn take(&mut self, heard: &mut Vec<u8>) {
        let mut at = 0_usize;
        while let Some((length, rest)) = heard.get(at..).and_then(<[u8]>::split_first_chunk) {
            let length = usize::from(u16::from_be_bytes(*length));
            let Some(message) = rest.get(..length) else { break };
            at = at.saturating_add(2).saturating_add(length);
            let Some(id) = message.first_chunk().map(|id| u16::from_be_bytes(*id)) else { continue };
            if self.waiting.get(&id).is_none_or(|ask| !ask.query.answered_by(message)) {
                continue; // late, or the answer to something else
            }
            self.answered = true;
            if let Some(ask) = self.waiting.remove(&id) {
                drop(ask.answer.send(Ok(message.to_vec()))); // whoever asked may be gone
            }
        }
        heard.drain(..at.min(heard.len()));
    }
}

/// A number below `count`, or 0.
fn draw(count: usize) -> usize {
    let mut bytes = [0; 8];
    // Without randomness the first will do.
    let _ = getrandom::fill(&mut bytes);
    usize::try_from(u64::from_le_bytes(bytes) % u64::try_from(count.max(1)).unwrap_or(1)).unwrap_or(0)
}
