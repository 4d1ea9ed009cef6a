//! Resolvers over Tor: one connection at a time, kept open, with many questions under way on it (RFC 7766).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout, timeout_at};

use super::wire::{Query, is_unable};
use crate::exit::{Exit, ExitStream, Host, Isolation, ReachError};
use crate::proxy::target;

/// Longest wait for an answer, over all tries.
const DEADLINE: Duration = Duration::from_secs(20);

/// Longest that opening a connection may take where another resolver could be asked instead: three fit into
/// [`DEADLINE`]. What was begun goes on inside Tor, and is found the next time.
const OPEN: Duration = Duration::from_secs(6);

/// After another resolver took over, the first is tried again so much later: an onion service that is called for the first time
/// may well take longer than [`OPEN`].
const RETURN: Duration = Duration::from_mins(2);

/// Longest wait for a second opinion on an answer that says "I cannot" or "I will not".
const SECOND: Duration = Duration::from_secs(8);

/// A connection on which nothing came for so long, while something should have, is given up.
const SILENCE: Duration = Duration::from_secs(8);

/// A connection that nobody asked anything on for so long is closed.
const IDLE: Duration = Duration::from_secs(60);

/// Questions under way on a connection at most; more wait in [`QUEUE`].
const UNDER_WAY: usize = 512;

/// How often those are looked for that nobody waits for any more.
const TIDY: Duration = Duration::from_millis(250);

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

#[derive(Debug)]
struct State {
    /// The resolver in use; the next after one that failed.
    chosen: usize,
    /// When it was chosen.
    since: Instant,
    /// The way to each resolver's connection, where one stands.
    lines: Vec<Option<mpsc::Sender<Ask>>>,
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
        let state = State { chosen: 0, since: Instant::now(), lines: vec![None; onions.len()] };
        Self { exit, targets: onions, state: Arc::new(Mutex::new(state)) }
    }

    /// Asks over new connections from now on.
    pub(super) fn renew(&self) {
        self.state().lines.fill(None);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answer of a resolver. Where it says that it cannot or will not answer, the next one is asked as well, once.
    pub(super) async fn ask(&self, query: &Query) -> Result<Vec<u8>, Lost> {
        let due = Instant::now() + DEADLINE;
        let (number, first) = timeout_at(due, self.try_all(query)).await.unwrap_or(Err(Lost::Silent))?;
        if self.targets.len() < 2 || !is_unable(&first) {
            return Ok(first);
        }
        let due = due.min(Instant::now() + SECOND);
        match timeout_at(due, self.ask_one(self.after(number), query)).await {
            Ok(Ok(second)) if !is_unable(&second) => Ok(second),
            _ => Ok(first),
        }
    }

    /// The first answer that any resolver gives, and which one that was.
    async fn try_all(&self, query: &Query) -> Result<(usize, Vec<u8>), Lost> {
        let mut last = Lost::Broken;
        for _ in 0..TRIES {
            let number = self.chosen();
            match self.ask_one(number, query).await {
                Ok(bytes) => return Ok((number, bytes)),
                Err(why @ (Lost::Full | Lost::Reach(ReachError::NotReady | ReachError::Shutdown))) => {
                    return Err(why);
                }
                Err(why) => last = why,
            }
        }
        Err(last)
    }

    /// The resolver in use. After a while in which another one was, the first has its chance again; whoever waits meanwhile is asked for
    /// elsewhere, as with any other that fails.
    fn chosen(&self) -> usize {
        let mut state = self.state();
        if state.chosen != 0 && state.since.elapsed() >= RETURN {
            (state.chosen, state.since) = (0, Instant::now());
        }
        state.chosen
    }

    async fn ask_one(&self, number: usize, query: &Query) -> Result<Vec<u8>, Lost> {
        let (reply, answer) = oneshot::channel();
        let ask = Ask { query: query.clone(), answer: reply };
        self.line(number).try_send(ask).map_err(|why| match why {
            TrySendError::Full(_) => Lost::Full,
            TrySendError::Closed(_) => Lost::Broken,
        })?;
        answer.await.unwrap_or(Err(Lost::Broken))
    }

    /// The resolver after this one.
    fn after(&self, number: usize) -> usize {
        number.wrapping_add(1).checked_rem(self.targets.len()).unwrap_or(0)
    }

    /// The way to the connection with this resolver; a new one where none stands.
    fn line(&self, number: usize) -> mpsc::Sender<Ask> {
        let mut state = self.state();
        let place = state.lines.get_mut(number);
        if let Some(line) = place.as_ref().and_then(|line| line.as_ref()).filter(|line| !line.is_closed()) {
            return line.clone();
        }
        let (line, asks) = mpsc::channel(QUEUE);
        if let Some(place) = place {
            *place = Some(line.clone());
        }
        drop(state);
        let visit = Visit {
            exit: self.exit.clone(),
            target: self.targets.get(number).cloned(),
            limit: if self.targets.len() > 1 { OPEN } else { DEADLINE },
            state: Arc::clone(&self.state),
            number,
            next: self.after(number),
        };
        tokio::spawn(visit.run(asks));
        line
    }
}

/// One connection from its opening to its end.
struct Visit {
    exit: Exit,
    target: Option<(Host, u16)>,
    /// For the opening.
    limit: Duration,
    state: Arc<Mutex<State>>,
    number: usize,
    /// Who is asked if this one fails.
    next: usize,
}

impl Visit {
    async fn run(self, mut asks: mpsc::Receiver<Ask>) {
        let opened = match &self.target {
            Some((host, port)) => {
                self.exit.reach_within(host, *port, &Isolation::of("dns"), self.limit).await
            }
            None => Err(ReachError::BadName),
        };
        match opened {
            Ok(stream) => {
                let mut line = Line::new();
                let why = line.run(stream, &mut asks).await;
                if !line.answered {
                    self.pass_on();
                }
                asks.close();
                line.waiting.into_values().for_each(|ask| drop(ask.answer.send(Err(why))));
                reject(&mut asks, why);
            }
            Err(why) => {
                self.pass_on();
                asks.close();
                reject(&mut asks, Lost::Reach(why));
            }
        }
    }

    fn pass_on(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // Another connection may have failed before, and moved on.
        if state.chosen == self.number {
            (state.chosen, state.since) = (self.next, Instant::now());
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
    /// When it last said something, or was asked after a time in which it owed nothing.
    heard: Instant,
    /// It was asked, and said nothing since: also where nobody waits for the answer any more.
    owing: bool,
    /// When those that nobody waits for were last looked for.
    tidied: Instant,
    answered: bool,
}

impl Line {
    fn new() -> Self {
        let now = Instant::now();
        Self { waiting: HashMap::new(), last: 0, heard: now, owing: false, tidied: now, answered: false }
    }

    async fn run(&mut self, stream: ExitStream, asks: &mut mpsc::Receiver<Ask>) -> Lost {
        let (mut reader, mut writer) = tokio::io::split(stream);
        let mut heard = Vec::with_capacity(READ);
        let mut batch = Vec::new();
        loop {
            let limit = if self.owing { SILENCE } else { IDLE };
            let mut alarm = self.heard + limit;
            if !self.waiting.is_empty() {
                alarm = alarm.min(self.tidied + TIDY);
            }
            let room = UNDER_WAY.saturating_sub(self.waiting.len());
            tokio::select! {
                got = asks.recv_many(&mut batch, room), if room > 0 => {
                    if got == 0 {
                        return Lost::Broken; // a new identity: nobody asks here any more
                    }
                    let mut bytes = Vec::new();
                    batch.drain(..).for_each(|ask| self.put(ask, &mut bytes));
                    if !bytes.is_empty() && !self.owing {
                        (self.heard, self.owing) = (Instant::now(), true);
                    }
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
                    self.owing = !self.waiting.is_empty();
                }
                () = tokio::time::sleep_until(alarm) => {
                    if self.heard + limit <= Instant::now() {
                        return if self.owing { Lost::Silent } else { Lost::Broken };
                    }
                    self.tidy();
                }
            }
        }
    }

    /// Makes room: those whose clients gave up would hold their places for as long as others are answered.
    fn tidy(&mut self) {
        self.waiting.retain(|_, ask| !ask.answer.is_closed());
        self.tidied = Instant::now();
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

#[cfg(test)]
mod tests;
