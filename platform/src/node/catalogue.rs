//! The node's public service: one address behind which all public shares are offered, each under its own token.

use std::cell::RefCell;
use std::rc::Rc;

use bulbil_core::hello::topic;
use tokio::task::JoinHandle;

use super::door::{self, Guide};
use super::offer::{self, Offer};
use super::room::{Ground, Pass, Room};
use crate::net::ServiceKey;
use crate::status::ShareState;

/// See the module. Runs while there is at least one public share.
pub(crate) struct Catalogue {
    key: ServiceKey,
    ground: Ground,
    offers: RefCell<Vec<Rc<Offer>>>,
    door: RefCell<Option<JoinHandle<()>>>,
}

impl Catalogue {
    pub(crate) fn new(key: ServiceKey, ground: Ground) -> Rc<Self> {
        Rc::new(Self { key, ground, offers: RefCell::default(), door: RefCell::default() })
    }

    pub(crate) fn key(&self) -> &ServiceKey {
        &self.key
    }

    /// Offers a share here, at once if the service runs already.
    pub(crate) fn add(self: &Rc<Self>, offer: Rc<Offer>) {
        self.offers.borrow_mut().push(offer);
        let mut door = self.door.borrow_mut();
        if door.is_none() {
            *door = Some(tokio::task::spawn_local(publish(Rc::clone(self))));
        }
    }

    /// Withdraws a share, at once; the service goes with the last one.
    pub(crate) fn remove(&self, info_hash: &str) {
        let mut offers = self.offers.borrow_mut();
        offers.retain(|offer| offer.info_hash != info_hash);
        if offers.is_empty()
            && let Some(door) = self.door.take()
        {
            door.abort();
        }
    }

    fn each(&self, tell: impl Fn(&Offer)) {
        self.offers.borrow().iter().for_each(|offer| tell(offer));
    }
}

impl Guide for Catalogue {
    fn is_short(&self) -> bool {
        self.ground.short.get()
    }

    fn passes(&self) -> Vec<Pass> {
        self.offers.borrow().iter().map(|offer| offer.parts.pass.clone()).collect()
    }

    fn room(&self, pass: &Pass) -> Option<Rc<Room>> {
        let wanted = topic(pass.token.as_bytes());
        let offer = self
            .offers
            .borrow()
            .iter()
            .find(|offer| topic(offer.parts.pass.token.as_bytes()) == wanted)
            .cloned();
        offer?.room(pass)
    }
}

async fn publish(catalogue: Rc<Catalogue>) {
    let network = catalogue.ground.network.clone();
    if network.ready().await.is_err() {
        return; // the node is stopping
    }
    match network.serve(&catalogue.key, super::PORT, None).await {
        Ok(service) => {
            let reachable = service.reachable();
            let guide: Rc<dyn Guide> = catalogue.clone();
            tokio::select! {
                () = door::keep(service, guide) => {}
                () = offer::watch(reachable, |up| catalogue.each(|offer| offer.set_reachable(up))) => {}
            }
        }
        Err(why) => catalogue.each(|offer| offer.set_state(ShareState::Failed(why.to_string()))),
    }
}
