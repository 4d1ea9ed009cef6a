//! A node whose records we copy: a mirror's origin, or one that is trusted.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use bulbil_core::id::NodeKey;
use bulbil_core::rate::Backoff;
use bulbil_core::tracker::Visibility;
use bulbil_core::tracker::tree::Summary;
use bulbil_core::wire::Purpose;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::records::Records;
use super::talk::{Over, Talk, Wants};
use crate::net::{Address, Circuit, Network, TURNS};
use crate::node::halves::{Halves, halves};
use crate::node::open::{self, NotOpened};
use crate::node::room::Ground;
use crate::state::Secret;
use crate::status::{NodeState, Progress};

/// Milliseconds between two tries to reach a node that is followed, doubling.
const RETRY_MS: (u64, u64) = (5_000, 300_000);

/// A conversation that lasted so long was no failure.
const STEADY: Duration = Duration::from_secs(60);

/// How a node is kept up with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Bond {
    /// Trusted: asked now and then.
    Trusted,
    /// Mirrored, once.
    Once,
    /// Mirrored, and the conversation is kept.
    Follow,
}

/// See the module.
pub(crate) struct Neighbour {
    pub(crate) address: Address,
    pub(crate) bond: Bond,
    pub(crate) records: Rc<Records>,
    /// What of it was last kept for a restart.
    pub(super) kept: Cell<Option<Summary>>,
    ground: Ground,
    /// For its circuits: nothing else has it.
    number: u64,
    lanes: Cell<u32>,
    state: RefCell<NodeState>,
    /// When both stores were last found equal.
    fresh: Cell<Option<Instant>>,
    talk: RefCell<Option<Rc<Talk>>>,
    turn: Semaphore,
    task: RefCell<Option<JoinHandle<()>>>,
}

/// What a conversation is opened with.
pub(crate) struct Calling {
    /// Of the key that is proved.
    pub(crate) seed: Secret<32>,
    pub(crate) wants: Wants,
}

impl Neighbour {
    pub(crate) fn new(address: Address, bond: Bond, places: usize, ground: Ground, number: u64) -> Rc<Self> {
        Rc::new(Self {
            address,
            bond,
            records: Records::new(places, Visibility::Public),
            kept: Cell::new(None),
            ground,
            number,
            lanes: Cell::new(0),
            state: RefCell::default(),
            fresh: Cell::new(None),
            talk: RefCell::default(),
            turn: Semaphore::new(1),
            task: RefCell::default(),
        })
    }

    pub(crate) fn node(&self) -> NodeKey {
        NodeKey(self.address.key)
    }

    pub(crate) fn state(&self) -> NodeState {
        self.state.borrow().clone()
    }

    /// Seconds since both stores were last equal.
    pub(crate) fn age(&self) -> Option<u64> {
        self.fresh.get().map(|at| at.elapsed().as_secs())
    }

    /// How far a copy is.
    pub(crate) fn progress(&self) -> Progress {
        let here = u64::try_from(self.records.len()).unwrap_or(u64::MAX);
        let there = self.talk.borrow().as_ref().and_then(|talk| talk.total());
        Progress { here, there }
    }

    /// Runs `task` until the neighbour is let go.
    pub(crate) fn keep(&self, task: impl Future<Output = ()> + 'static) {
        if let Some(before) = self.task.replace(Some(tokio::task::spawn_local(task))) {
            before.abort();
        }
    }

    /// Ends every conversation with it.
    pub(crate) fn let_go(&self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
        self.turn.close();
    }

    /// Makes both stores equal, unless they were within `age`. One call at a time; the next one finds it done.
    pub(crate) async fn visit(&self, age: Duration, calling: impl Fn() -> Calling) -> Result<(), String> {
        let Ok(_turn) = self.turn.acquire().await else { return Err("it was removed meanwhile".to_owned()) };
        let connected = self.talk.borrow().is_some() && matches!(*self.state.borrow(), NodeState::Current);
        if connected || self.fresh.get().is_some_and(|at| at.elapsed() <= age) {
            return Ok(());
        }
        self.converse(calling(), false).await
    }

    /// Keeps both stores equal for ever.
    pub(crate) async fn follow(&self, calling: impl Fn() -> Calling) {
        let mut retry = Backoff::new(RETRY_MS.0, RETRY_MS.1);
        loop {
            let began = Instant::now();
            let why = self.converse(calling(), true).await.err();
            if began.elapsed() >= STEADY {
                retry.succeeded();
            }
            let wait = Duration::from_millis(retry.failed(0));
            self.set_state(NodeState::Waiting(why.unwrap_or_else(|| "the connection ended".to_owned())));
            tokio::time::sleep(wait).await;
        }
    }

    /// One conversation: until both stores are equal, or until it ends by itself if it `lingers`.
    async fn converse(&self, calling: Calling, lingers: bool) -> Result<(), String> {
        let outcome = self.open_and_talk(calling, lingers).await;
        self.talk.replace(None);
        match &outcome {
            Ok(()) => self.set_state(NodeState::Visited),
            Err(why) => self.set_state(NodeState::Waiting(why.clone())),
        }
        outcome
    }

    /// Calls it, and makes sure that it is who we called.
    pub(super) async fn open(&self, seed: &Secret<32>) -> Result<Halves, String> {
        let network: &Network = &self.ground.network;
        network.ready().await.map_err(|why| why.to_string())?;
        let lane = self.lanes.get();
        self.lanes.set(lane.wrapping_add(1) % TURNS);
        let circuit = Circuit { swarm: self.number, lane };
        let stream = network.connect(self.address, None, circuit).await.map_err(|why| why.to_string())?;
        let mut halves = halves(stream);
        let opened = open::dialed_node(Purpose::Mirror, &seed.0, self.address, &mut halves).await;
        opened.map_err(|why| match why {
            NotOpened::Broken => "the connection broke while it was opened".to_owned(),
            NotOpened::Refused => "it does not give away records; its tracker may be off".to_owned(),
            NotOpened::Foul => "what answers there is no Bulbil node of this version".to_owned(),
        })?;
        Ok(halves)
    }

    async fn open_and_talk(&self, calling: Calling, lingers: bool) -> Result<(), String> {
        self.set_state(NodeState::Connecting);
        let mut halves = self.open(&calling.seed).await?;
        self.set_state(NodeState::Copying);
        let way = (true, false);
        let talk = Talk::new(&self.records, way, self.ground.clock, halves.wear.clone(), calling.wants);
        self.talk.replace(Some(Rc::clone(&talk)));
        let settle = async {
            talk.settled().await;
            self.fresh.set(Some(Instant::now()));
            self.set_state(NodeState::Current);
            if lingers {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            over = talk.run(&mut halves) => match over {
                Over::Gone | Over::Worn => Err("the connection ended".to_owned()),
                Over::Foul(why) => Err(format!("the node was hung up on: it {why}")),
            },
            () = settle => Ok(()),
        }
    }

    fn set_state(&self, state: NodeState) {
        if *self.state.borrow() != state {
            self.state.replace(state);
            self.ground.news.notify_one();
        }
    }
}
