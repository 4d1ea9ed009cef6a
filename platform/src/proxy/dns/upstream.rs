//! Resolvers over Tor: one connection at a time, kept open, with many questions under way on it (RFC 7766).

mod line;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use super::wire::{Query, is_unable};
use crate::exit::{Exit, Host, Isolation, ReachError};
use crate::proxy::target;
use line::Line;

/// Longest wait for an answer, over all tries.
const DEADLINE: Duration = Duration::from_secs(20);

/// Longest that opening a connection may take where another resolver could be asked instead: three fit into
/// [`DEADLINE`]. What was begun goes on inside Tor, and is found the next time.
const OPEN: Duration = Duration::from_secs(6);

/// After another resolver took over, it is looked so much later whether the first is back, and so on: an onion service that is
/// called for the first time may well take longer than [`OPEN`].
const RETURN: Duration = Duration::from_mins(2);

/// How long one circuit sees what is asked, as long as Tor gives it new streams (C tor's `MaxCircuitDirtiness`): an exit that had a
/// house's questions for days could tell who lives there.
const AGE: Duration = Duration::from_mins(10);

/// After a younger connection could not be opened. Longer than it can take to find out.
const AGAIN: Duration = Duration::from_secs(30);

/// Longest wait for a second opinion on an answer that says "I cannot" or "I will not".
const SECOND: Duration = Duration::from_secs(8);

/// Questions that wait for their turn at most.
const QUEUE: usize = 2048;

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

/// The resolvers, and the connection to one of them. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub(super) struct Upstreams {
    exit: Exit,
    targets: Arc<[(Host, u16)]>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    /// The resolver in use; the next after one that failed.
    chosen: usize,
    /// When it was chosen, or the first one last looked for.
    since: Instant,
    /// The first one is being looked for.
    looking: bool,
    /// Number of the circuit that connections are opened on, and since when that is.
    circuit: (u64, Instant),
    /// One for each resolver.
    places: Vec<Place>,
}

/// The connection to a resolver, where one stands.
#[derive(Clone, Debug)]
struct Place {
    /// The way to it.
    line: Option<mpsc::Sender<Ask>>,
    /// Number of its circuit.
    circuit: u64,
    /// No younger one is opened before that.
    due: Instant,
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
        let now = Instant::now();
        let places = vec![Place { line: None, circuit: 0, due: now }; onions.len()];
        let state = State { chosen: 0, since: now, looking: false, circuit: (0, now), places };
        Self { exit, targets: onions.into(), state: Arc::new(Mutex::new(state)) }
    }

    /// Asks over new connections from now on.
    pub(super) fn renew(&self) {
        self.state().places.iter_mut().for_each(|place| place.line = None);
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

    /// The resolver in use. While that is not the first, the first is looked for now and then, and nobody waits for it.
    fn chosen(&self) -> usize {
        let mut state = self.state();
        if state.chosen != 0 && !state.looking && state.since.elapsed() >= RETURN {
            state.looking = true;
            tokio::spawn(self.clone().look_for_first());
        }
        state.chosen
    }

    /// Returns to the first resolver if it answers a question that tells nothing about anybody.
    async fn look_for_first(self) {
        drop(self.line(0, DEADLINE));
        let answer = self.ask_one(0, &Query::of_root()).await;
        let mut state = self.state();
        (state.looking, state.since) = (false, Instant::now());
        if answer.is_ok_and(|answer| !is_unable(&answer)) {
            state.chosen = 0;
        }
    }

    async fn ask_one(&self, number: usize, query: &Query) -> Result<Vec<u8>, Lost> {
        let (reply, answer) = oneshot::channel();
        let ask = Ask { query: query.clone(), answer: reply };
        self.line(number, self.open_limit()).try_send(ask).map_err(|why| match why {
            TrySendError::Full(_) => Lost::Full,
            TrySendError::Closed(_) => Lost::Broken,
        })?;
        answer.await.unwrap_or(Err(Lost::Broken))
    }

    /// The resolver after this one.
    fn after(&self, number: usize) -> usize {
        number.wrapping_add(1).checked_rem(self.targets.len()).unwrap_or(0)
    }

    /// How long opening a connection may take.
    fn open_limit(&self) -> Duration {
        if self.targets.len() > 1 { OPEN } else { DEADLINE }
    }

    /// The way to the connection with this resolver; a new one, opened within `limit`, where none stands. One that is of age is
    /// followed by a younger one, and used until that stands.
    fn line(&self, number: usize, limit: Duration) -> mpsc::Sender<Ask> {
        let mut state = self.state();
        let (circuit, now) = (state.circuit(), Instant::now());
        let Some(place) = state.places.get_mut(number) else { return mpsc::channel(1).0 };
        let standing = place.line.clone().filter(|line| !line.is_closed());
        if let Some(line) = &standing
            && (place.circuit == circuit || place.due > now)
        {
            return line.clone();
        }
        let (line, asks) = mpsc::channel(QUEUE);
        let heir = standing.is_some().then(|| line.clone());
        if heir.is_some() {
            place.due = now + AGAIN;
        } else {
            (place.line, place.circuit) = (Some(line.clone()), circuit);
        }
        drop(state);
        let identity = self.exit.generation();
        let visit = Visit { upstreams: self.clone(), limit, number, circuit, identity, heir };
        tokio::spawn(visit.run(asks));
        standing.unwrap_or(line)
    }
}

impl State {
    /// Number of the circuit that a connection opened now is on.
    fn circuit(&mut self) -> u64 {
        if self.circuit.1.elapsed() >= AGE {
            self.circuit = (self.circuit.0.wrapping_add(1), Instant::now());
        }
        self.circuit.0
    }
}

/// One connection from its opening to its end.
struct Visit {
    upstreams: Upstreams,
    /// For the opening.
    limit: Duration,
    number: usize,
    circuit: u64,
    /// As whom it is opened.
    identity: u64,
    /// The way to it, where it is to follow another one: nobody waits for it yet.
    heir: Option<mpsc::Sender<Ask>>,
}

impl Visit {
    async fn run(mut self, mut asks: mpsc::Receiver<Ask>) {
        let exit = &self.upstreams.exit;
        let isolation = Isolation::of("dns").and(&self.circuit.to_be_bytes());
        let opened = match self.upstreams.targets.get(self.number) {
            Some((host, port)) => exit.reach_within(host, *port, &isolation, self.limit).await,
            None => Err(ReachError::BadName),
        };
        let heir = self.heir.take();
        match opened {
            Ok(stream) => {
                if let Some(heir) = heir {
                    self.take_over(heir);
                }
                let mut line = Line::new();
                let why = line.run(stream, &mut asks).await;
                if line.asked && !line.answered {
                    self.pass_on();
                }
                asks.close();
                line.waiting.into_values().for_each(|ask| drop(ask.answer.send(Err(why))));
                reject(&mut asks, why);
            }
            // The one before goes on.
            Err(_) if heir.is_some() => {}
            Err(why) => {
                self.pass_on();
                asks.close();
                reject(&mut asks, Lost::Reach(why));
            }
        }
    }

    /// Questions come here from now on. The one before answers those it has, and ends.
    fn take_over(&self, line: mpsc::Sender<Ask>) {
        if let Some(place) = self.upstreams.state().places.get_mut(self.number) {
            (place.line, place.circuit) = (Some(line), self.circuit);
        }
    }

    /// The next resolver is asked from now on, unless it was we who left.
    fn pass_on(&self) {
        let next = self.upstreams.after(self.number);
        let mut state = self.upstreams.state();
        // Another connection may have failed before, and moved on.
        if state.chosen == self.number && self.upstreams.exit.generation() == self.identity {
            (state.chosen, state.since) = (next, Instant::now());
        }
    }
}

/// Those that wait try again elsewhere.
fn reject(asks: &mut mpsc::Receiver<Ask>, why: Lost) {
    while let Ok(ask) = asks.try_recv() {
        drop(ask.answer.send(Err(why))); // whoever asked may be gone
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
