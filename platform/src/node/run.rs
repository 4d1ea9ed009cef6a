//! The node's own task: owns the shares and fetches, answers commands, and tells the world how it is.

mod mail;

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use log::{info, warn};
use tokio::sync::{Notify, Semaphore};

use super::door::Callee;
use super::dropped::DroppedList;
use super::fetch::Fetch;
use super::friends::Friends;
use super::mail::Post;
use super::offer::Offer;
use super::primary::Primary;
use super::room::Ground;
use super::standing::{self, StandingList};
use super::tracker::Tracker;
use super::{Command, Inbox, NodeError, report};
use crate::clock::TokioClock;
use crate::config::Config;
use crate::keep::Keeper;
use crate::landing::House;
use crate::net::{Network, ServiceKey};
use crate::proxy::Proxies;
use crate::publish::Publisher;
use crate::selfcheck::Desk;
use crate::state::{Secret, State, StateDir};

/// Files hashed at once: more only fight for the disk.
const HASHING: usize = 1;

/// Between two reports while something moves, and while nothing does.
const REPORT: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(2));

/// Turns that others on this thread may take before the status is brought up to date. While the node stops, it is not.
const SHOW_TURNS: usize = 16;

/// Everything the node owns. Lives on one thread.
pub(super) struct Node {
    pub(super) config: Config,
    pub(super) state_dir: StateDir,
    pub(super) ground: Ground,
    pub(super) primary: Rc<Primary>,
    /// None where it is switched off.
    pub(super) tracker: Option<Rc<Tracker>>,
    pub(super) offers: RefCell<Vec<Rc<Offer>>>,
    /// Shares that were published and are still up at their private address.
    pub(super) moving: RefCell<Vec<Rc<Offer>>>,
    pub(super) fetches: RefCell<Vec<Rc<Fetch>>>,
    pub(super) standing: StandingList,
    pub(super) started: Instant,
    /// None where the node has no address of its own.
    pub(super) post: OnceCell<Rc<Post<TokioClock>>>,
    pub(super) keeper: Rc<Keeper>,
    pub(super) friends: Rc<Friends>,
    pub(super) publisher: Publisher,
    pub(super) state: RefCell<State>,
    pub(super) proxies: Proxies,
    pub(super) desk: Desk,
    numbers: Cell<u64>,
    /// Something happened that could not be saved yet.
    pub(super) unsaved: Cell<bool>,
    /// How often the status was brought up to date.
    reports: Cell<u64>,
    pub(super) hashing: Semaphore,
}

/// Runs a node until it is told to stop. Must be called within a `LocalSet`.
///
/// What it needs after a restart lies in `state_dir`. Fails if that cannot be read, or if there is no randomness.
pub(crate) async fn run(
    config: Config,
    state_dir: StateDir,
    network: Network,
    proxies: Proxies,
    mut inbox: Inbox,
) -> Result<(), NodeError> {
    let node = make(config, state_dir, &network, proxies, &inbox)?;
    node.restore();
    tokio::task::spawn_local(Rc::clone(&node.keeper).watch());
    tokio::task::spawn_local(standing::run(Rc::downgrade(&node)));
    let mut reporter = report::Reporter::new(&inbox);
    let mut net = network.status();
    loop {
        let moving = reporter.report(&node);
        node.reports.set(node.reports.get().wrapping_add(1));
        let pause = if moving { REPORT.0 } else { REPORT.1 };
        tokio::select! {
            command = inbox.commands.recv() => match command {
                Some(Command::Stop(reply)) => {
                    node.close();
                    network.shutdown().await;
                    node.keeper.finish().await;
                    info!("stopped");
                    _ = reply.send(()); // the caller may be gone
                    return Ok(());
                }
                Some(command) => drop(tokio::task::spawn_local(Rc::clone(&node).obey(command))),
                None => return Ok(()),
            },
            () = node.ground.news.notified() => {}
            () = node.ground.renew.notified() => node.declare(),
            _ = net.changed() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// A node at rest, with what it saved before.
fn make(
    config: Config,
    state_dir: StateDir,
    network: &Network,
    proxies: Proxies,
    inbox: &Inbox,
) -> Result<Rc<Node>, NodeError> {
    let failed = |why: crate::state::StateError| NodeError::Failed(why.to_string());
    let mut state = state_dir.load().map_err(failed)?;
    let public = match &state.catalogue {
        Some(seed) => seed.clone(),
        None => state.catalogue.insert(random()?).clone(),
    };
    let clock = TokioClock::start();
    let ground = Ground {
        network: network.clone(),
        clock,
        settings: settings(&config),
        short: Rc::default(),
        news: Rc::new(Notify::new()),
        dropped: DroppedList::new(inbox.events.clone()),
        sources: Rc::default(),
        renew: Rc::new(Notify::new()),
        house: House::new(clock, settings(&config).upload_limit),
    };
    let public = ServiceKey::from_seed(public.0);
    let friends = Friends::new(ground.clone(), public.clone());
    let publisher = Publisher::start(&config, state_dir.path(), network)
        .map_err(|why| NodeError::Failed(why.to_string()))?;
    let wanted = config.tracker.enabled.then_some(config.tracker.trust_budget);
    let tracker = wanted
        .map(|budget| Tracker::new(&public, (budget, config.memory.0), state_dir.path(), ground.clone()));
    Ok(Rc::new(Node {
        friends,
        keeper: Keeper::new(&config.keep, &state_dir),
        primary: Primary::new(public, ground.clone()),
        tracker,
        standing: StandingList::new(&config.share),
        config,
        state_dir,
        ground,
        offers: RefCell::default(),
        moving: RefCell::default(),
        fetches: RefCell::default(),
        started: Instant::now(),
        proxies,
        desk: Desk::default(),
        post: OnceCell::new(),
        publisher,
        state: RefCell::new(state),
        numbers: Cell::new(0),
        unsaved: Cell::new(false),
        reports: Cell::new(0),
        hashing: Semaphore::new(HASHING),
    }))
}

fn settings(config: &Config) -> bulbil_core::swarm::Settings {
    let limit = config.swarm.upload_limit.0;
    bulbil_core::swarm::Settings {
        lanes_min: usize::from(config.swarm.lanes_min),
        lanes_max: usize::from(config.swarm.lanes_max),
        upload_limit: (limit > 0).then_some(limit),
    }
}

impl Node {
    /// Takes up what was going on before a restart.
    fn restore(self: &Rc<Self>) {
        // The address at once: others will know the node by it.
        if self.state_dir.is_new()
            && let Err(why) = self.save()
        {
            warn!("the state could not be saved, and a restart would have another address: {why}");
        }
        self.welcome_friends();
        if let Some(tracker) = &self.tracker {
            self.primary.set_records(Rc::clone(tracker) as Rc<dyn Callee>);
            self.primary.open();
            self.open_mail();
            tracker.take_back(&self.state.borrow().tombstones);
            tracker.apply(self.plan());
        }
        let (shares, fetches) = {
            let state = self.state.borrow();
            (state.shares.clone(), state.fetches.clone())
        };
        for record in shares {
            match self.load(&record.info_hash) {
                Some(metadata) => drop(self.offer(record, Arc::new(metadata), None)),
                None => {
                    warn!("a share of before could not be taken up: its metadata is gone; share it again");
                }
            }
        }
        self.take_up(fetches);
    }

    async fn obey(self: Rc<Self>, command: Command) {
        // Whoever asked may be gone by now; the deed stands.
        match command {
            Command::Share(request, reply) => {
                let done = self.share(request).await;
                self.show().await;
                _ = reply.send(done);
            }
            Command::Fetch(request, reply) => {
                let done = self.fetch(&request);
                self.show().await;
                _ = reply.send(done);
            }
            Command::Forget(which, reply) => {
                let done = self.forget(&which);
                self.show().await;
                _ = reply.send(done);
            }
            Command::Unshare(info_hash, reply) => {
                let done = self.unshare(&info_hash);
                self.show().await;
                _ = reply.send(done);
            }
            Command::Mail(ask) => self.mail(ask).await,
            Command::Keep(passphrase, reply) => self.seal(passphrase, reply).await,
            Command::Friend(ask) => self.meet(ask).await,
            Command::Publish(command) => {
                self.publisher.obey(command);
                self.show().await;
            }
            Command::Page(command) => self.obey_page(command).await,
            Command::Tracker(command) => self.obey_tracker(command).await,
            Command::Proxy(command) => self.obey_proxy(command).await,
            Command::Stop(_) => {}
        }
    }

    /// Brings the status up to date, so that whoever asks after an answer sees what it was about.
    pub(super) async fn show(&self) {
        let before = self.reports.get();
        self.ground.news.notify_one();
        for _ in 0..SHOW_TURNS {
            if self.reports.get() != before {
                break;
            }
            tokio::task::yield_now().await; // the loop of `run` is awake and reports next
        }
    }

    fn close(&self) {
        if self.unsaved.get()
            && let Err(why) = self.save()
        {
            warn!("what happened last could not be saved: {why}");
        }
        self.friends.close();
        self.publisher.close();
        self.offers.borrow().iter().for_each(|offer| offer.close());
        self.fetches.borrow().iter().for_each(|fetch| fetch.close());
        self.primary.close();
        self.post.get().inspect(|post| post.close());
        if let Some(tracker) = &self.tracker {
            tracker.close();
        }
    }

    /// What the owner wants of the tracker.
    pub(super) fn plan(&self) -> crate::state::tracker::Tracker {
        self.state.borrow().tracker.clone()
    }

    /// Keeps what the owner wants of the tracker.
    pub(super) fn set_plan(&self, plan: crate::state::tracker::Tracker) -> Result<(), NodeError> {
        self.amend(|state| state.tracker = plan)
    }

    /// A number nothing else of this run has: rooms on the same circuit would be linkable.
    pub(super) fn number(&self) -> u64 {
        let number = self.numbers.get().saturating_add(1);
        self.numbers.set(number);
        number
    }
}

pub(super) fn random<const N: usize>() -> Result<Secret<N>, NodeError> {
    let mut bytes = Secret([0; N]);
    getrandom::fill(&mut bytes.0).map_err(|_| {
        NodeError::Failed("the system gives no randomness; check that /dev/urandom exists".into())
    })?;
    Ok(bytes)
}
