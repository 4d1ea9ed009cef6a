//! A stream as the core wants it: two halves with the core's traits, cut into frames.

use std::cell::RefCell;
use std::rc::Rc;

use bulbil_core::transport::{FramedRx, FramedTx, framed};

use crate::net::{Half, Stream};

/// One end of a connection: what sends, what receives, and what tells whether it is worn.
pub(crate) struct Halves {
    pub(crate) tx: FramedTx<Half>,
    pub(crate) rx: Box<FramedRx<Half>>,
    pub(crate) wear: Wear,
}

/// Tells whether the stream should be replaced.
#[derive(Clone)]
pub(crate) struct Wear(Rc<RefCell<Stream>>);

impl Wear {
    pub(crate) fn worn(&self) -> bool {
        self.0.borrow().worn()
    }
}

/// Cuts a stream in two.
pub(crate) fn halves(stream: Stream) -> Halves {
    let shared = Rc::new(RefCell::new(stream));
    let (tx, rx) = framed(Half(Rc::clone(&shared)), Half(Rc::clone(&shared)));
    Halves { tx, rx: Box::new(rx), wear: Wear(shared) }
}
