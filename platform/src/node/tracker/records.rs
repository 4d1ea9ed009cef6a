//! A store of records, and the conversations that are told what changes in it.

use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::time::SystemTime;

use bulbil_core::id::{NodeKey, RecordId};
use bulbil_core::limits::{MAX_RECORD, RECORD_LIFE_S};
use bulbil_core::time::Date;
use bulbil_core::tracker::record::Edition;
use bulbil_core::tracker::{
    Body, Kind, Node as Leaf, Outcome, Parts, Rank, Record, Signed, Slot, Store, Visibility, record,
};
use ed25519_dalek::SigningKey;
use log::debug;

use super::talk::Talk;

/// A store in memory of its own.
pub(crate) type OwnStore = Store<Parts<Box<[Slot]>, Box<[Leaf]>, Box<[u8]>>>;

/// Bytes kept for each record: the usual share or peer takes some 220.
const BYTES: usize = 256;

/// Bytes that a full store takes for each of its places.
pub(crate) const PLACE_BYTES: u64 = 384;

/// Hears of each record that was news, after it was taken in.
pub(crate) type Hear = Rc<dyn Fn(&Record<'_>, &[u8])>;

/// See the module. All on one thread; no borrow lasts over a call to somebody else.
pub(crate) struct Records {
    store: RefCell<OwnStore>,
    places: usize,
    talks: RefCell<Vec<Weak<Talk>>>,
    hear: RefCell<Option<Hear>>,
}

/// The date, as well as this machine knows it.
pub(crate) fn today() -> Date {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Date(since.as_secs())
}

impl Records {
    /// An empty store with so many places, 64 at least.
    pub(crate) fn new(places: usize, scope: Visibility) -> Rc<Self> {
        let places = places.max(64);
        let memory = Parts {
            slots: vec![Slot::EMPTY; places].into_boxed_slice(),
            nodes: vec![Leaf::EMPTY; (places / 4).next_power_of_two()].into_boxed_slice(),
            bytes: vec![0; places.saturating_mul(BYTES)].into_boxed_slice(),
        };
        let mut seed = [0; 8];
        _ = getrandom::fill(&mut seed); // without it, only crowding lists gets easier
        #[allow(clippy::expect_used, reason = "the shape is right for any number of places")]
        let store = Store::new(memory, scope, u64::from_le_bytes(seed)).expect("memory of the right shape");
        Rc::new(Self {
            store: RefCell::new(store),
            places,
            talks: RefCell::default(),
            hear: RefCell::default(),
        })
    }

    /// Who hears of news from now on.
    pub(crate) fn set_hear(&self, hear: Hear) {
        self.hear.replace(Some(hear));
    }

    pub(crate) fn len(&self) -> usize {
        self.store.borrow().len()
    }

    pub(crate) const fn places(&self) -> usize {
        self.places
    }

    /// Looks at, or changes, the store itself.
    pub(super) fn with<T>(&self, change: impl FnOnce(&mut OwnStore) -> T) -> T {
        change(&mut self.store.borrow_mut())
    }

    /// Every record that holds today.
    pub(crate) fn each(&self, mut see: impl FnMut(&Record<'_>)) {
        let today = today();
        for (bytes, _) in self.store.borrow().iter() {
            if let Ok(record) = Record::decode(bytes)
                && record.is_current(today)
            {
                see(&record);
            }
        }
    }

    /// Takes a signed record in, from wherever; says whether it was news.
    pub(crate) fn put(&self, bytes: &[u8], rank: Rank) -> bool {
        let checked = match Signed::check(bytes, today()) {
            Ok(checked) => checked,
            Err(why) => {
                debug!("a record was refused: {why}");
                return false;
            }
        };
        let outcome = self.store.borrow_mut().insert(&checked, rank);
        match outcome {
            Ok(Outcome::New | Outcome::Newer) => {
                self.changed(&[checked.id()], None);
                true
            }
            Ok(Outcome::Known | Outcome::Older) => false,
            Err(why) => {
                debug!("a record found no place: {why:?}");
                false
            }
        }
    }

    /// Says this under `key`, for `life` seconds: anew if it was not said, said otherwise, or has lost half of its life.
    pub(crate) fn claim(&self, key: &SigningKey, body: Body<'_>, life: u64) {
        let today = today();
        let (kind, subject) = body.about();
        let author = NodeKey(key.verifying_key().to_bytes());
        let id = record::record_id(author, kind, &subject);
        let version = {
            let store = self.store.borrow();
            let known = store.get(&id).and_then(|bytes| Record::decode(bytes).ok());
            if known.is_some_and(|known| known.body == body && known.expires > today.plus(life / 2)) {
                return;
            }
            known.map_or(0, |known| known.version)
        };
        let expires = today.plus(life.min(RECORD_LIFE_S));
        let version = version.saturating_add(1).max(today.0);
        let record = Record { author, version, made: today, expires, body };
        let mut buf = [0; MAX_RECORD];
        if let Ok(signed) = record.sign(key, &mut buf) {
            self.put(signed, Rank::OWN);
        }
    }

    /// Takes back what `key` said about this, if it said so here.
    pub(crate) fn retract(&self, key: &SigningKey, kind: Kind, subject: [u8; 32]) {
        let author = NodeKey(key.verifying_key().to_bytes());
        let id = record::record_id(author, kind, &subject);
        if self.store.borrow().get(&id).is_some() {
            self.claim(key, Body::Tombstone { kind, subject }, RECORD_LIFE_S);
        }
    }

    /// A conversation is told of changes from now on, for as long as it lives.
    pub(super) fn join(&self, talk: &Rc<Talk>) {
        let mut talks = self.talks.borrow_mut();
        talks.retain(|talk| talk.strong_count() > 0);
        talks.push(Rc::downgrade(talk));
    }

    /// These are news: told to all conversations but the one they came from, and to whoever hears.
    pub(super) fn changed(&self, ids: &[RecordId], from: Option<&Talk>) {
        let talks: Vec<Rc<Talk>> = self.talks.borrow().iter().filter_map(Weak::upgrade).collect();
        for talk in talks.iter().filter(|talk| from.is_none_or(|from| !std::ptr::eq(from, Rc::as_ptr(talk))))
        {
            for id in ids {
                talk.tell(*id);
            }
        }
        let Some(hear) = self.hear.borrow().clone() else { return };
        for id in ids {
            let bytes = self.store.borrow().get(id).map(<[u8]>::to_vec);
            if let Some(bytes) = bytes
                && let Ok(record) = Record::decode(&bytes)
            {
                hear(&record, &bytes);
            }
        }
    }

    /// Which edition of this record is here.
    pub(crate) fn edition(&self, id: &RecordId) -> Option<Edition> {
        self.store.borrow().edition(id)
    }

    /// Forgets these. Whoever has them may tell them again.
    pub(crate) fn forget(&self, ids: &[RecordId]) {
        let mut store = self.store.borrow_mut();
        for id in ids {
            store.discard(id);
        }
    }

    /// Forgets what has expired.
    pub(crate) fn expire(&self) -> usize {
        self.store.borrow_mut().expire(today())
    }

    /// Ranks authors anew; `None` forgets all that an author said.
    pub(crate) fn rank(&self, rank: impl FnMut(&NodeKey) -> Option<Rank>) -> usize {
        self.store.borrow_mut().rank(rank)
    }
}
