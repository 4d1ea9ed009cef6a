//! The records of one share: who of those that hold its link serves it. They lie in a store of their own and go to nobody
//! else, unless the share is public.

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;

use bulbil_core::id::{InfoHash, PeerKey, RecordId};
use bulbil_core::pump::Clock as _;
use bulbil_core::tracker::record::Edition;
use bulbil_core::tracker::{Body, Kind, Rank, Record, Visibility};
use ed25519_dalek::SigningKey;

use super::PEER_LIFE_S;
use super::records::{Hear, Records};
use super::talk::Talk;
use crate::clock::TokioClock;
use crate::link::Token;
use crate::net::Address;
use crate::node::Seats;
use crate::node::door::{Callee, Carrying};
use crate::node::halves::Halves;
use crate::node::open::name_of;
use crate::node::room::Pass;

/// Records of one share at most: a swarm has 16 peers at a time and remembers 64 names.
const PLACES: usize = 128;

/// See the module. Takes memory only once there is something to keep.
pub(crate) struct LinkRecords {
    pass: Pass,
    info_hash: InfoHash,
    clock: TokioClock,
    callers: Seats,
    records: OnceCell<Rc<Records>>,
    hear: RefCell<Option<Hear>>,
}

impl LinkRecords {
    pub(crate) fn new(pass: Pass, info_hash: InfoHash, clock: TokioClock, callers: Seats) -> Rc<Self> {
        let (records, hear) = (OnceCell::new(), RefCell::default());
        Rc::new(Self { pass, info_hash, clock, callers, records, hear })
    }

    /// Who hears of news from now on.
    pub(crate) fn set_hear(&self, hear: Hear) {
        if let Some(records) = self.records.get() {
            records.set_hear(Rc::clone(&hear));
        }
        self.hear.replace(Some(hear));
    }

    /// Whether anybody asked for them, or gave any.
    pub(crate) fn is_used(&self) -> bool {
        self.records.get().is_some()
    }

    pub(super) fn records(&self) -> &Rc<Records> {
        self.records.get_or_init(|| {
            let records = Records::new(PLACES, Visibility::Private);
            if let Some(hear) = self.hear.borrow().clone() {
                records.set_hear(hear);
            }
            records
        })
    }

    /// Says that we serve the share there, or says it again when it is time to.
    pub(crate) fn claim(&self, address: Address) {
        let name = name_of(address);
        let body = Body::Peer { info_hash: self.info_hash, name: &name, token: *self.pass.token.as_bytes() };
        self.records().expire();
        self.records().claim(&self.key(), body, PEER_LIFE_S);
    }

    /// Says that we serve it no longer.
    pub(crate) fn retract(&self) {
        if let Some(records) = self.records.get() {
            records.retract(&self.key(), Kind::Peer, self.info_hash.0);
        }
    }

    /// The records of everyone who serves it, for another store, and which of them are ours.
    pub(crate) fn signed(&self) -> Vec<(Vec<u8>, bool)> {
        self.records.get().map_or_else(Vec::new, |records| {
            records
                .with(|store| store.iter().map(|(bytes, rank)| (bytes.to_vec(), rank == Rank::OWN)).collect())
        })
    }

    /// Who serves it, ourselves first: the names of what they say, and which edition.
    pub(super) fn editions(&self) -> Vec<(RecordId, Edition)> {
        let Some(records) = self.records.get() else { return Vec::new() };
        let mut editions = Vec::new();
        records.each(|record| {
            if matches!(record.body, Body::Peer { .. }) {
                let at = if self.is_ours(record) { 0 } else { editions.len() };
                editions.insert(at, record.id());
            }
        });
        editions.into_iter().filter_map(|id| Some((id, records.edition(&id)?))).collect()
    }

    /// What names the share.
    pub(super) const fn info_hash(&self) -> InfoHash {
        self.info_hash
    }

    /// What the doors of those who serve it ask for.
    pub(super) const fn token(&self) -> &Token {
        &self.pass.token
    }

    /// Whether our own link is a public one: then everyone may know the token.
    pub(super) const fn is_public(&self) -> bool {
        self.pass.access.is_none()
    }

    /// Whether we said this.
    pub(crate) fn is_ours(&self, record: &Record<'_>) -> bool {
        record.author.0 == self.pass.key().0
    }

    /// A conversation about them, over an opened connection. Whoever `starts` it compares both sides.
    pub(crate) fn talk(self: &Rc<Self>, starts: bool, halves: &Halves) -> Rc<Talk> {
        let link = Rc::clone(self);
        let wants = Box::new(move |record: &Record<'_>| link.wants(record));
        Talk::new(self.records(), (starts, true), self.clock, halves.wear.clone(), wants)
    }

    /// Peers of this share that ask for its token. Our own key speaks here only.
    fn wants(&self, record: &Record<'_>) -> Option<Rank> {
        let fits = match record.body {
            Body::Peer { info_hash, token, .. } => {
                info_hash == self.info_hash && &token == self.pass.token.as_bytes()
            }
            Body::Tombstone { kind: Kind::Peer, subject } => subject == self.info_hash.0,
            _ => false,
        };
        (fits && !self.is_ours(record)).then_some(Rank::STRANGER)
    }

    fn key(&self) -> SigningKey {
        SigningKey::from_bytes(&self.pass.seed.0)
    }
}

impl Callee for LinkRecords {
    fn converse(self: Rc<Self>, _: PeerKey, mut halves: Halves) -> Carrying {
        Box::pin(async move {
            let Some(seat) = self.callers.enter(self.clock.now()) else { return };
            self.talk(false, &halves).run_in(&seat, &mut halves).await;
        })
    }
}
