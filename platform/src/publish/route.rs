//! One virtual port: its backends, whose turn it is, and what was carried.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use log::info;

use super::backend::Backend;
use super::check::Check;
use super::header::header;
use super::pool::Pool;
use crate::config::publish::Publish;
use crate::status::publish as shown;

/// The backends behind one virtual port.
pub(super) struct Route {
    pub(super) port: u16,
    pub(super) settings: Rc<Publish>,
    pub(super) tally: Rc<Tally>,
    backends: Vec<Backend>,
    pool: RefCell<Pool>,
}

/// What a service carried so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    received: Cell<u64>,
    sent: Cell<u64>,
    refused: Cell<u64>,
}

/// A backend's turn at a stream. Given back when dropped.
pub(super) struct Turn {
    route: Rc<Route>,
    at: usize,
}

impl Tally {
    pub(super) fn received(&self, bytes: usize) {
        self.received.set(self.received.get().saturating_add(bytes as u64));
    }

    pub(super) fn sent(&self, bytes: usize) {
        self.sent.set(self.sent.get().saturating_add(bytes as u64));
    }

    pub(super) fn refused(&self) {
        self.refused.set(self.refused.get().saturating_add(1));
    }

    /// Bytes from clients, bytes to clients, streams refused.
    pub(super) fn view(&self) -> (u64, u64, u64) {
        (self.received.get(), self.sent.get(), self.refused.get())
    }
}

impl Route {
    pub(super) fn new(port: u16, backends: &[Backend], settings: &Rc<Publish>, tally: &Rc<Tally>) -> Self {
        Self {
            port,
            settings: Rc::clone(settings),
            tally: Rc::clone(tally),
            backends: backends.to_vec(),
            pool: RefCell::new(Pool::new(backends.len())),
        }
    }

    pub(super) fn connect_limit(&self) -> Duration {
        Duration::from_secs(self.settings.connect_timeout.0)
    }

    pub(super) fn answer_limit(&self) -> Duration {
        Duration::from_secs(self.settings.answer_timeout.0)
    }

    /// Whether a backend is left that was not tried.
    pub(super) fn has_other(&self, tried: &[usize]) -> bool {
        (0..self.backends.len()).any(|at| !tried.contains(&at))
    }

    /// Whether this backend does not work and another one does.
    pub(super) fn is_better_elsewhere(&self, at: usize) -> bool {
        let now = Instant::now();
        !self.is_up(at, now) && (0..self.backends.len()).any(|other| self.is_up(other, now))
    }

    /// Checks every backend once, all at the same time.
    pub(super) async fn check(&self) {
        let check = &self.settings.check;
        let greeting = header(self.settings.proxy_protocol, 0, self.port);
        let asked = self.backends.iter().map(|backend| check.ask(backend, &greeting, self.connect_limit()));
        let answers = join_all(asked).await;
        let now = Instant::now();
        for (at, answer) in answers.iter().enumerate() {
            let before = self.is_up(at, now);
            match (check, answer) {
                (Check::None, _) => {}
                (Check::Connect, Ok(())) => self.pool.borrow_mut().connects(at),
                (Check::Http(_), Ok(())) => self.pool.borrow_mut().works(at, now),
                (_, Err(_)) => self.pool.borrow_mut().fails(at, now),
            }
            let after = self.is_up(at, now);
            if before != after {
                let word = if after { "answers again" } else { "does not answer" };
                info!("backend {} of a published service {word}", at.saturating_add(1));
            }
        }
    }

    fn is_up(&self, at: usize, now: Instant) -> bool {
        self.pool.borrow().members().nth(at).is_some_and(|member| member.is_up(now))
    }

    pub(super) fn view(&self) -> shown::Route {
        let (pool, now) = (self.pool.borrow(), Instant::now());
        let backends = self.backends.iter().zip(pool.members()).map(|(backend, member)| shown::Backend {
            target: backend.to_string(),
            up: member.is_up(now),
            streams: member.streams,
            served: member.served,
        });
        shown::Route { port: self.port, backends: backends.collect() }
    }
}

impl Turn {
    /// The turn of the best backend that was not tried.
    pub(super) fn take(route: &Rc<Route>, tried: &[usize]) -> Option<Self> {
        let at = route.pool.borrow().pick(tried, Instant::now())?;
        route.pool.borrow_mut().begin(at);
        Some(Self { route: Rc::clone(route), at })
    }

    pub(super) const fn at(&self) -> usize {
        self.at
    }

    pub(super) fn backend(&self) -> Backend {
        // The pool has as many members as there are backends.
        self.route.backends.get(self.at).cloned().unwrap_or_else(|| Backend::Unix("/".into()))
    }

    pub(super) fn spoke(&self) {
        self.route.pool.borrow_mut().works(self.at, Instant::now());
    }

    pub(super) fn failed(&self) {
        self.route.pool.borrow_mut().fails(self.at, Instant::now());
    }

    pub(super) fn hung(&self, asked: Instant) {
        self.route.pool.borrow_mut().hangs(self.at, asked, Instant::now());
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.route.pool.borrow_mut().end(self.at);
    }
}
