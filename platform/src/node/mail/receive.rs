//! Taking in what others send.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use bulbil_core::id::{NodeKey, PeerKey};
use bulbil_core::limits::{MAIL_SEND_MS, POOL_IDLE_MS};
use bulbil_core::mail::Arrival;
use bulbil_core::pump::Clock;
use bulbil_core::rate::Bucket;
use bulbil_core::time::Millis;
use bulbil_core::transport::{RecvFrame as _, SendFrame as _};
use bulbil_core::wire::mail::Mail;
use log::debug;

use super::super::door::{Callee, Carrying};
use super::super::halves::Halves;
use super::super::{Seat, Seats};
use super::{Post, host_of};

/// Conversations that bring mail at once. Each holds a frame, 18 KiB.
const CALLERS: usize = 48;

/// Of these, from one node: one in use, and one that died without our knowing.
const CALLERS_OF_ONE: usize = 2;

/// Silence after which a conversation is over: its sender's pool gives it up before.
const SILENCE_MS: u64 = POOL_IDLE_MS + 60_000;

/// Frames a second from one conversation, and in a burst; whoever sends more only makes noise.
const FRAMES: (u64, u64) = (20, 100);

/// Milliseconds without a letter after which a sender's place may be another's: it calls again when it has one.
const IDLE_MS: u64 = 60_000;

/// Who brings mail now, each with the number of conversations.
pub(super) struct Callers {
    seats: Seats,
    each: RefCell<HashMap<NodeKey, usize>>,
}

/// A caller's place, given back when dropped.
struct Place<'c>(&'c Callers, NodeKey, Seat);

impl Default for Callers {
    fn default() -> Self {
        Self { seats: Seats::new(CALLERS, IDLE_MS), each: RefCell::default() }
    }
}

impl Callers {
    fn admit(&self, now: Millis, from: NodeKey) -> Option<Place<'_>> {
        let mut all = self.each.borrow_mut();
        let own = all.entry(from).or_default();
        let seat = if *own < CALLERS_OF_ONE { self.seats.enter(now) } else { None };
        *own = own.saturating_add(usize::from(seat.is_some()));
        all.retain(|_, own| *own > 0);
        Some(Place(self, from, seat?))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut all = self.0.each.borrow_mut();
        if let Some(own) = all.get_mut(&self.1) {
            *own = own.saturating_sub(1);
        }
        all.retain(|_, own| *own > 0);
    }
}

impl<C: Clock + 'static> Callee for Post<C> {
    fn converse(self: Rc<Self>, caller: PeerKey, halves: Halves) -> Carrying {
        Box::pin(async move { self.listen(NodeKey(caller.0), halves).await })
    }
}

impl<C: Clock + 'static> Post<C> {
    /// Takes letters from one sender until it leaves or misbehaves.
    async fn listen(&self, from: NodeKey, mut halves: Halves) {
        let known = !self.parts.contacts.blocks(&from);
        let Some(place) = known.then(|| self.callers.admit(self.now(), from)).flatten() else {
            debug!("a sender of mail was sent away");
            return;
        };
        tokio::select! {
            () = self.take_letters(from, &place.2, &mut halves) => {}
            () = place.2.lost() => debug!("a sender of mail that was silent for long makes room for another"),
        }
    }

    /// The same, once there is a place for it.
    async fn take_letters(&self, from: NodeKey, seat: &Seat, halves: &mut Halves) {
        // It is there: whatever waits for it need not wait longer.
        self.outbox.borrow_mut().seen(self.now(), &from);
        self.changed.notify_one();
        let mut frames = Bucket::new(self.now(), FRAMES.0, FRAMES.1);
        let mut buf = [0; 32];
        loop {
            let Some(Ok(frame)) = self.within(SILENCE_MS, halves.rx.recv()).await else { return };
            if !frames.take(self.now(), 1) || self.parts.contacts.blocks(&from) {
                debug!("a sender of mail makes noise, or was blocked meanwhile");
                return;
            }
            let answer = match Mail::decode(frame) {
                Ok(Mail::Letter { id, text }) => {
                    seat.used(self.now());
                    self.take_in(from, id, text)
                }
                Ok(Mail::Alive) => continue,
                Ok(Mail::Bye | Mail::Taken(_) | Mail::Later(_)) | Err(_) => return,
            };
            let Ok(frame) = answer.encode(&mut buf) else { return };
            let send = async {
                halves.tx.send(frame).await?;
                halves.tx.flush().await
            };
            if !matches!(self.within(MAIL_SEND_MS, send).await, Some(Ok(()))) {
                return;
            }
        }
    }

    /// Takes a letter in, and says what to answer. It is called taken only when it would outlive a restart.
    fn take_in(&self, from: NodeKey, id: u64, text: &str) -> Mail<'static> {
        let sender = host_of(&from);
        let (here, room) = {
            let letters = self.letters.borrow();
            (letters.has(&sender, id), letters.has_room(&sender))
        };
        if !here && !room {
            return Mail::Later(id);
        }
        let arrival = self.inbox.borrow_mut().arrive(self.now(), from, id, text);
        match arrival {
            Arrival::Later => return Mail::Later(id),
            Arrival::Repeated => {}
            Arrival::Taken => {
                _ = self.inbox.borrow_mut().read(); // it lies in `letters` from here on
                if !here {
                    self.letters.borrow_mut().put(sender, id, text);
                    self.unsaved.set(true);
                }
            }
        }
        if self.unsaved.get() {
            self.save_or_warn();
        }
        if self.unsaved.get() { Mail::Later(id) } else { Mail::Taken(id) }
    }
}
