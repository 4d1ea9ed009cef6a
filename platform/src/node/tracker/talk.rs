//! One conversation about records.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use bulbil_core::id::RecordId;
use bulbil_core::limits::MAX_FRAME;
use bulbil_core::pump::{self, Clock as _, Ended, Line};
use bulbil_core::time::Millis;
use bulbil_core::tracker::record::Edition;
use bulbil_core::tracker::sync::{Event, Reject};
use bulbil_core::tracker::{Rank, Record, Sync};
use bulbil_core::wire::tracker::{DIGEST_LEN, Mirror, unpack};
use log::{debug, info};
use tokio::sync::{Notify, watch};

use super::records::{Records, today};
use crate::clock::TokioClock;
use crate::node::Seat;
use crate::node::halves::{Halves, Wear};

/// Times a reconciliation is begun again because the store changed under it.
const AGAIN: u32 = 3;

/// Milliseconds between two looks at the clock.
const TICK_MS: u64 = 15_000;

/// How far away a record's author is; `None` refuses it.
pub(crate) type Wants = Box<dyn Fn(&Record<'_>) -> Option<Rank>>;

/// Why a conversation ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Over {
    /// The other side went, or the connection broke.
    Gone,
    /// The connection is worn and another one should be made.
    Worn,
    /// It did not keep to the protocol.
    Foul(Reject),
}

/// See the module.
pub(crate) struct Talk {
    records: Rc<Records>,
    sync: RefCell<Box<Sync>>,
    wants: Wants,
    clock: TokioClock,
    wear: Wear,
    stirred: Notify,
    /// A record came that is kept, or one left. Questions and signs of life cost their sender nothing.
    useful: Notify,
    /// Whether both stores were found equal since the start.
    settled: watch::Sender<bool>,
    again: Cell<u32>,
    /// Records that the other side has, once it said so.
    total: Cell<Option<u64>>,
    refused: Cell<u64>,
}

impl Talk {
    /// After the opening. `starts` compares the stores at once, and then hands over what the other side lacks too if it
    /// `gives`.
    pub(crate) fn new(
        records: &Rc<Records>,
        (starts, gives): (bool, bool),
        clock: TokioClock,
        wear: Wear,
        wants: Wants,
    ) -> Rc<Self> {
        let mut sync = Box::new(Sync::new(clock.now(), gives));
        if starts {
            sync.start();
        }
        let talk = Rc::new(Self {
            records: Rc::clone(records),
            sync: RefCell::new(sync),
            wants,
            clock,
            wear,
            stirred: Notify::new(),
            useful: Notify::new(),
            settled: watch::Sender::new(!starts),
            again: Cell::new(0),
            total: Cell::new(None),
            refused: Cell::new(0),
        });
        records.join(&talk);
        talk
    }

    /// After the opening, to tell what [`tell`](Self::tell) names and nothing else. It is settled when all is told.
    pub(crate) fn telling(records: &Rc<Records>, clock: TokioClock, wear: Wear, wants: Wants) -> Rc<Self> {
        let talk = Self::new(records, (false, false), clock, wear, wants);
        talk.settled.send_replace(false);
        talk
    }

    /// Carries frames until it is over.
    pub(crate) async fn run(&self, halves: &mut Halves) -> Over {
        let mut buf = vec![0; MAX_FRAME];
        let end = tokio::select! {
            end = pump::run(self, (&mut halves.tx, halves.rx.as_mut()), &self.clock, &mut buf) => end,
            why = self.pass_time() => Ended::Line(Over::Foul(why)),
        };
        let over = match end {
            Ended::Hangup | Ended::Stalled => Over::Gone,
            Ended::Line(over) => over,
        };
        if let Over::Foul(why) = over {
            info!("hung up on a node: it {why}");
        }
        if self.refused.get() > 0 {
            debug!("{} records of a node were not kept", self.refused.get());
        }
        over
    }

    /// The same for a caller, as long as the place is its own.
    pub(crate) async fn run_in(&self, seat: &Seat, halves: &mut Halves) -> Over {
        let use_it = async {
            loop {
                self.useful.notified().await;
                seat.used(self.clock.now());
            }
        };
        tokio::select! {
            over = self.run(halves) => over,
            () = seat.lost() => {
                debug!("a caller that was silent for long makes room for another");
                Over::Gone
            }
            () = use_it => Over::Gone, // never: it has no end
        }
    }

    /// A record of ours is news to the other side.
    pub(super) fn tell(&self, id: RecordId) {
        self.sync.borrow_mut().tell(id);
        self.stirred.notify_one();
    }

    /// Waits until both stores are equal.
    pub(crate) async fn settled(&self) {
        let mut settled = self.settled.subscribe();
        _ = settled.wait_for(|settled| *settled).await; // the sender is ours
    }

    /// Records that the other side has, once it said so.
    pub(crate) fn total(&self) -> Option<u64> {
        self.total.get()
    }

    async fn pass_time(&self) -> Reject {
        loop {
            let now = self.clock.now();
            let due = self.sync.borrow().poll_timeout();
            self.clock.until(due.max(now.plus(1_000)).min(now.plus(TICK_MS))).await;
            let late = self.sync.borrow_mut().handle_timeout(self.clock.now());
            if let Err(why) = late {
                return why;
            }
            self.stirred.notify_one();
        }
    }

    /// Notes when nothing is left to ask or to give.
    fn look(&self) {
        if *self.settled.borrow() || !self.sync.borrow().is_done() {
            return;
        }
        if self.sync.borrow().has_missed() && self.again.get() < AGAIN {
            self.again.set(self.again.get().saturating_add(1));
            self.sync.borrow_mut().start();
        } else {
            self.settled.send_replace(true);
        }
    }

    fn editions(&self, ids: &[RecordId]) -> Vec<Option<Edition>> {
        self.records.with(|store| ids.iter().map(|id| store.edition(id)).collect())
    }
}

/// Whether a frame of ours hands records over.
fn has_records(frame: &[u8]) -> bool {
    matches!(
        Mirror::decode(frame),
        Ok(Mirror::Records { records, .. } | Mirror::News(records)) if !records.is_empty()
    )
}

impl Line for Talk {
    type End = Over;

    fn hear(&self, now: Millis, frame: &[u8]) -> Result<(), Over> {
        let ids = self.arrivals(frame);
        let before = self.editions(&ids);
        let event = self.records.with(|store| {
            let mut sync = self.sync.borrow_mut();
            sync.handle_frame((now, today()), store, frame, |record| (self.wants)(record))
        });
        let after = self.editions(&ids);
        let editions = before.iter().zip(&after);
        let news: Vec<RecordId> =
            ids.iter().zip(editions).filter(|(_, (old, new))| old < new).map(|(id, _)| *id).collect();
        if !news.is_empty() {
            self.useful.notify_one();
            self.records.changed(&news, Some(self));
        }
        match event {
            Err(why) => return Err(Over::Foul(why)),
            Ok(Event::Bye) => return Err(Over::Gone),
            Ok(Event::Records { useless, .. }) => {
                let useless = u64::try_from(useless).unwrap_or(u64::MAX);
                self.refused.set(self.refused.get().saturating_add(useless));
            }
            Ok(Event::Quiet) => {}
        }
        self.look();
        self.stirred.notify_one();
        if self.wear.worn() { Err(Over::Worn) } else { Ok(()) }
    }

    fn say(&self, now: Millis, tx: &mut [u8]) -> Result<usize, Over> {
        let said = self.records.with(|store| {
            let frame = self
                .sync
                .borrow_mut()
                .poll_transmit(now, store, tx)
                .map(|frame| frame.map_or(0, <[u8]>::len));
            frame.map_err(|_| Over::Gone)
        });
        match said {
            Ok(0) => self.look(), // what was said before is on its way
            Ok(length) if tx.get(..length).is_some_and(has_records) => self.useful.notify_one(),
            _ => {}
        }
        said
    }

    async fn stirred(&self) {
        self.stirred.notified().await;
    }
}

impl Talk {
    /// Names of the records in a frame, at most as many as fit one. The first digests tell how many there are over there.
    fn arrivals(&self, frame: &[u8]) -> Vec<RecordId> {
        match Mirror::decode(frame) {
            Ok(Mirror::Records { records, .. } | Mirror::News(records)) => {
                let records = unpack(records).filter_map(Result::ok);
                records.filter_map(|bytes| Record::decode(bytes).ok()).map(|record| record.id()).collect()
            }
            Ok(Mirror::Digests(digests)) if self.total.get().is_none() => {
                let counts =
                    digests.chunks_exact(DIGEST_LEN).filter_map(|digest| digest.last_chunk().copied());
                self.total.set(Some(counts.map(|count| u64::from(u32::from_be_bytes(count))).sum()));
                Vec::new()
            }
            _ => Vec::new(),
        }
    }
}
