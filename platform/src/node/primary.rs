//! The node's own address: the one under which other nodes know it, and behind which its public shares are offered, each
//! under its own token.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use bulbil_core::hello::{node_token, topic};
use bulbil_core::id::NodeKey;
use bulbil_core::wire::Purpose;
use log::warn;
use tokio::task::JoinHandle;

use super::door::{self, Callee, Guide};
use super::offer::{self, Offer};
use super::room::{Ground, Pass, Room};
use crate::landing::Landing;
use crate::link::Token;
use crate::net::{Address, ServiceKey};
use crate::state::Secret;
use crate::status::ShareState;

/// See the module. Runs from [`open`](Self::open), or from the first public share, until the node stops.
pub(crate) struct Primary {
    key: ServiceKey,
    ground: Ground,
    offers: RefCell<Vec<Rc<Offer>>>,
    callees: RefCell<Callees>,
    reachable: Cell<bool>,
    /// Whether it stays up without any public share.
    stays: Cell<bool>,
    door: RefCell<Option<JoinHandle<()>>>,
}

/// Who speaks for the node itself. Without one, callers are hung up on.
#[derive(Default)]
struct Callees {
    records: Option<Rc<dyn Callee>>,
    mail: Option<Rc<dyn Callee>>,
}

impl Primary {
    pub(crate) fn new(key: ServiceKey, ground: Ground) -> Rc<Self> {
        Rc::new(Self {
            key,
            ground,
            offers: RefCell::default(),
            callees: RefCell::default(),
            reachable: Cell::default(),
            stays: Cell::default(),
            door: RefCell::default(),
        })
    }

    pub(crate) fn key(&self) -> &ServiceKey {
        &self.key
    }

    /// The key that signs what the node says in public: the same as that of its address.
    pub(crate) fn node(&self) -> NodeKey {
        NodeKey(self.address().key)
    }

    pub(crate) fn address(&self) -> Address {
        self.key.address(super::PORT)
    }

    /// Whether others can reach it, as far as the network says.
    pub(crate) fn is_reachable(&self) -> bool {
        self.reachable.get()
    }

    /// Conversations about the node's records go here from now on.
    pub(crate) fn set_records(&self, callee: Rc<dyn Callee>) {
        self.callees.borrow_mut().records = Some(callee);
    }

    /// Conversations that carry mail go here from now on.
    pub(crate) fn set_mail(&self, callee: Rc<dyn Callee>) {
        self.callees.borrow_mut().mail = Some(callee);
    }

    /// Brings the service up for as long as the node runs.
    pub(crate) fn open(self: &Rc<Self>) {
        self.stays.set(true);
        self.start();
    }

    fn start(self: &Rc<Self>) {
        let mut door = self.door.borrow_mut();
        if door.is_none() {
            *door = Some(tokio::task::spawn_local(publish(Rc::clone(self))));
        }
    }

    /// Takes it off the network at once, and ends every conversation there.
    pub(crate) fn close(&self) {
        if let Some(door) = self.door.take() {
            door.abort();
        }
        self.reachable.set(false);
    }

    /// Offers a share here, at once if the service runs already.
    pub(crate) fn add(self: &Rc<Self>, offer: Rc<Offer>) {
        if self.is_reachable() {
            offer.set_reachable(true);
        }
        self.offers.borrow_mut().push(offer);
        self.start();
    }

    /// Withdraws a share, at once.
    pub(crate) fn remove(&self, info_hash: &str) {
        self.offers.borrow_mut().retain(|offer| offer.info_hash != info_hash);
        if self.offers.borrow().is_empty() && !self.stays.get() {
            self.close();
        }
    }

    fn find(&self, pass: &Pass) -> Option<Rc<Offer>> {
        let wanted = topic(pass.token.as_bytes());
        let offers = self.offers.borrow();
        offers.iter().find(|offer| topic(offer.parts.pass.token.as_bytes()) == wanted).cloned()
    }

    fn set_reachable(&self, up: bool) {
        self.reachable.set(up);
        self.offers.borrow().iter().for_each(|offer| offer.set_reachable(up));
        self.ground.news.notify_one();
    }
}

impl Guide for Primary {
    fn is_short(&self) -> bool {
        self.ground.short.get()
    }

    fn refuses(&self) -> bool {
        self.ground.short.refuses()
    }

    fn passes(&self) -> Vec<Pass> {
        self.offers.borrow().iter().map(|offer| offer.parts.pass.clone()).collect()
    }

    fn room(&self, pass: &Pass) -> Option<Rc<Room>> {
        self.find(pass)?.room(pass)
    }

    fn records(&self, pass: &Pass) -> Option<Rc<dyn Callee>> {
        self.find(pass)?.records(pass)
    }

    fn landings(&self) -> Vec<Rc<Landing>> {
        self.offers.borrow().iter().map(|offer| offer.landing()).collect()
    }

    fn node(&self) -> Option<Pass> {
        let token = Token::from_bytes(node_token(&Self::node(self)));
        Some(Pass { token, seed: Secret(*self.key.seed()), access: None })
    }

    fn node_callee(&self, purpose: Purpose) -> Option<Rc<dyn Callee>> {
        let callees = self.callees.borrow();
        match purpose {
            Purpose::Mirror => callees.records.clone(),
            Purpose::Mail => callees.mail.clone(),
            Purpose::Peer => None,
        }
    }
}

async fn publish(primary: Rc<Primary>) {
    let network = primary.ground.network.clone();
    if network.ready().await.is_err() {
        return; // the node is stopping
    }
    match network.serve(&primary.key, super::PORT, None).await {
        Ok(service) => {
            let reachable = service.reachable();
            let guide: Rc<dyn Guide> = primary.clone();
            tokio::select! {
                () = door::keep(service, guide) => {}
                () = offer::watch(reachable, |up| primary.set_reachable(up)) => {}
            }
        }
        Err(why) => {
            warn!("the node's own address cannot be served: {why}");
            let offers = primary.offers.borrow();
            offers.iter().for_each(|offer| offer.set_state(ShareState::Failed(why.to_string())));
        }
    }
}
