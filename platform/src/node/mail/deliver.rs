//! Sending what waits for one node.

use std::rc::Rc;

use bulbil_core::id::NodeKey;
use bulbil_core::limits::{MAIL_CONNECT_MS, MAIL_SEND_MS, MAX_MAIL};
use bulbil_core::mail::{Lease, Letter, Stale};
use bulbil_core::pump::Clock;
use bulbil_core::transport::{RecvFrame as _, SendFrame as _};
use bulbil_core::wire::Purpose;
use bulbil_core::wire::mail::Mail;
use log::debug;

use super::super::halves::{Halves, halves};
use super::super::open;
use super::Post;
use crate::net::{Address, Circuit, TURNS};

/// Bytes of a letter as a frame: its text, a number, a length and a tag.
const FRAME: usize = MAX_MAIL + 32;

/// What the receiver said.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Answer {
    Taken,
    Later,
}

impl<C: Clock + 'static> Post<C> {
    /// Sends everything that waits for a node, oldest first, until it is done or the node is not reached.
    pub(super) async fn serve(self: Rc<Self>, to: NodeKey) {
        loop {
            let letter = self.outbox.borrow().first(&to).cloned();
            let Some(letter) = letter else {
                self.outbox.borrow_mut().done(self.now(), &to);
                return;
            };
            if self.deliver(&letter).await != Some(Answer::Taken) {
                self.outbox.borrow_mut().failed(self.now(), &to);
                for id in self.waiting(&to) {
                    self.tell_outcome(id, false);
                }
                self.save_or_warn(); // letters grow older
                return;
            }
            self.outbox.borrow_mut().delivered(&to, letter.id);
            self.save_or_warn();
            self.tell_outcome(letter.id, true);
        }
    }

    fn waiting(&self, to: &NodeKey) -> Vec<u64> {
        self.outbox.borrow().letters().filter(|letter| letter.to == *to).map(|letter| letter.id).collect()
    }

    /// Sends one letter, over a warm conversation if there is one. `None`: the node was not reached.
    async fn deliver(&self, letter: &Letter) -> Option<Answer> {
        let (lease, closed) = self.pool.borrow_mut().take(self.now(), letter.to);
        if let Some(number) = closed {
            self.warm.borrow_mut().remove(&number);
        }
        let mut warm = match lease {
            Lease::Warm(number) => self.warm.borrow_mut().remove(&number),
            Lease::Dial => None,
            Lease::Wait => return None,
        };
        loop {
            let mut open = match warm.take() {
                Some(open) => Some(open),
                None => self.within(MAIL_CONNECT_MS, self.dial(letter.to)).await.flatten(),
            };
            let answer = match &mut open {
                Some(open) => self.within(MAIL_SEND_MS, hand_over(open, letter)).await.flatten(),
                None => None,
            };
            if let (Some(open), Some(answer)) = (open, answer) {
                self.keep_warm(letter.to, open);
                return Some(answer);
            }
            match self.pool.borrow_mut().gone(&letter.to) {
                Stale::Retry => debug!("a warm conversation was dead; opening another"),
                Stale::Failed => return None,
            }
        }
    }

    fn keep_warm(&self, to: NodeKey, open: Halves) {
        let number = self.conversations.get().wrapping_add(1);
        self.conversations.set(number);
        self.warm.borrow_mut().insert(number, open);
        self.pool.borrow_mut().give_back(self.now(), &to, number);
    }

    /// Opens a conversation with a node.
    async fn dial(&self, to: NodeKey) -> Option<Halves> {
        let lane = self.conversations.get().wrapping_add(1);
        self.conversations.set(lane);
        let address = Address { key: to.0, port: super::super::PORT };
        let circuit = Circuit { swarm: self.parts.number, lane: lane % TURNS };
        let stream = self.parts.network.connect(address, None, circuit).await;
        let mut halves = halves(stream.inspect_err(|why| debug!("mail could not call: {why}")).ok()?);
        let opened = open::dialed_node(Purpose::Mail, &self.parts.seed.0, address, &mut halves).await;
        opened.inspect_err(|why| debug!("mail was not let in: {why:?}")).ok()?;
        Some(halves)
    }
}

/// Sends a letter and waits for what the receiver says to it.
async fn hand_over(open: &mut Halves, letter: &Letter) -> Option<Answer> {
    let mut frame = vec![0; FRAME];
    let frame = Mail::Letter { id: letter.id, text: &letter.text }.encode(&mut frame).ok()?;
    open.tx.send(frame).await.ok()?;
    open.tx.flush().await.ok()?;
    loop {
        match Mail::decode(open.rx.recv().await.ok()?).ok()? {
            Mail::Taken(id) if id == letter.id => return Some(Answer::Taken),
            Mail::Later(id) if id == letter.id => return Some(Answer::Later),
            Mail::Alive => {}
            Mail::Taken(_) | Mail::Later(_) | Mail::Letter { .. } | Mail::Bye => return None,
        }
    }
}
