//! What a browser finds at a share's own link: a page about it and, where the owner allows it, the files.
//!
//! Nothing here tells a wrong token from a missing share: every request looks through all shares of the service, and all
//! that fits none gets the same bytes.

mod answer;
mod body;
mod connection;
mod file;
mod headers;
mod page;
mod range;
mod spot;

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use bulbil_core::pump::Clock as _;
use bulbil_core::store::StoreError;
use subtle::{Choice, ConstantTimeEq};

use crate::clock::TokioClock;
use crate::link::{Link, TOKEN_LEN, Token};
use crate::node::Seats;
use crate::store::{Content, Served};
use crate::upload::Upload;

pub(crate) use connection::serve;

/// Connections of one share's readers at once: a browser opens up to six.
const SEATS: usize = 12;

/// Connections of the readers of all shares at once.
const ALL_SEATS: usize = 48;

/// Milliseconds without a part of a file's worth of bytes after which a reader's seat may be another's.
const SEAT_IDLE_MS: u64 = 30_000;

/// What all landings of a node share, and its rooms with them.
#[derive(Clone)]
pub(crate) struct House(Rc<Shared>);

struct Shared {
    seats: Seats,
    upload: Upload,
    clock: TokioClock,
}

impl House {
    /// `upload_limit` in bytes a second, if there is one.
    pub(crate) fn new(clock: TokioClock, upload_limit: Option<u64>) -> Self {
        let upload = Upload::new(clock.now(), upload_limit);
        Self(Rc::new(Shared { seats: Seats::new(ALL_SEATS, SEAT_IDLE_MS), upload, clock }))
    }

    /// What may leave the node, to browsers and to peers.
    pub(crate) fn upload(&self) -> &Upload {
        &self.0.upload
    }
}

/// One share as browsers see it.
pub(crate) struct Landing {
    link: Link,
    content: Arc<Content>,
    /// Absolute path of each file, by file number.
    sources: RefCell<Vec<PathBuf>>,
    /// Whether the files may be read without Bulbil.
    browser: bool,
    house: House,
    seats: Seats,
    served: RefCell<Weak<RefCell<Served>>>,
    uploaded: Cell<u64>,
    fault: Cell<Option<StoreError>>,
    closed: Cell<bool>,
}

impl Landing {
    pub(crate) fn new(
        link: Link,
        content: Arc<Content>,
        sources: Vec<PathBuf>,
        browser: bool,
        house: House,
    ) -> Rc<Self> {
        Rc::new(Self {
            link,
            content,
            sources: RefCell::new(sources),
            browser,
            house,
            seats: Seats::new(SEATS, SEAT_IDLE_MS),
            served: RefCell::default(),
            uploaded: Cell::new(0),
            fault: Cell::new(None),
            closed: Cell::new(false),
        })
    }

    /// Whether a request names this share. Takes the same time whatever the token is.
    fn is(&self, public: bool, token: &[u8; TOKEN_LEN]) -> bool {
        let fits = Choice::from(u8::from(self.link.public == public && !self.closed.get()));
        (self.link.token.as_bytes().ct_eq(token) & fits).into()
    }

    /// Ends everything under way. It is found no more.
    pub(crate) fn close(&self) {
        self.closed.set(true);
    }

    /// Whoever asks from now on is served from here.
    pub(crate) fn relocate(&self, sources: Vec<PathBuf>) {
        self.sources.replace(sources);
        self.served.take();
        self.fault.take();
    }

    /// Bytes of files that went to browsers.
    pub(crate) fn uploaded(&self) -> u64 {
        self.uploaded.get()
    }

    /// Why a file could not be read, once.
    pub(crate) fn take_fault(&self) -> Option<StoreError> {
        self.fault.take()
    }

    /// The files, open for as long as anybody reads.
    fn served(&self) -> Rc<RefCell<Served>> {
        let open = self.served.borrow().upgrade();
        open.unwrap_or_else(|| {
            let fresh = Served::new(Arc::clone(&self.content), self.sources.borrow().clone());
            let fresh = Rc::new(RefCell::new(fresh));
            self.served.replace(Rc::downgrade(&fresh));
            fresh
        })
    }
}

/// The share that a request names, looked for among all of them whichever it is.
fn find(all: &[Rc<Landing>], public: bool, token: &Token) -> Option<Rc<Landing>> {
    all.iter().fold(None, |found, landing| {
        let same = landing.is(public, token.as_bytes());
        if same { Some(Rc::clone(landing)) } else { found }
    })
}
