//! A meeting of friends: two nodes that know one code, said over a telephone, prove it to each other and exchange cards.
//!
//! ```text
//! guest                                     host
//!   Start {half of the key exchange}  ->
//!                                     <-      Start {the other half}
//!   Confirm {HMAC}                    ->      wrong: Refused, and the guess is counted
//!                                     <-      Confirm {HMAC}
//!                                     <-      Card {key, name, signature, HMAC}
//!   Card {key, name, signature, HMAC} ->
//!                                     <-      Done
//! ```
//!
//! The key exchange is a PAKE ([`Pake`]): who does not know the code learns nothing from it but whether one guess, made
//! before anything was sent, is right. The guest confirms first, so a guess costs a call and the host sees it. The place
//! where they meet and the roles are bound into everything. A card is signed by the key it names, for this meeting alone:
//! nobody introduces somebody else.

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use crate::id::NodeKey;
use crate::limits::MAX_NAME;
use crate::wire::friend::Friend;
use crate::wire::{TooSmall, VERSION};

/// A password-authenticated key exchange in which each side sends one element.
///
/// SPAKE2 needs an allocator, so whoever embeds the core brings it; both sides must have been given the same password,
/// and their roles.
pub trait Pake {
    /// What the other side needs.
    fn element(&self) -> [u8; 32];

    /// The key that both have if both had the same password; `None` if `theirs` is no element.
    fn finish(self, theirs: &[u8; 32]) -> Option<[u8; 32]>;
}

/// Why the other side should be hung up on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reject {
    /// The bytes were no message of a meeting.
    Malformed,
    /// A valid message at the wrong moment; every message after a wrong guess is one.
    OutOfTurn,
    /// Another version of the protocol.
    Version(u8),
    /// Half of a key exchange that is none.
    BadElement,
    /// Guest only: the host does not know the code. That is an impostor: no wrong code leads to the place.
    Impostor,
    /// A card that its key did not sign, or that somebody changed.
    BadCard,
    /// Our own card came back: we met ourselves.
    Ourselves,
}

/// What a frame led to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Event<'f> {
    /// Nothing for the owner to do but to poll.
    Progress,
    /// Host only: somebody called with a wrong code. Poll, then hang up.
    WrongGuess,
    /// The other side knows the code and proved its key. A guest's own card may still wait to be sent.
    Met(Card<'f>),
    /// Guest only: the host has our card too.
    Done,
    /// Guest only: the host says that our code is wrong.
    Refused,
}

/// Who somebody is. Borrowed from the frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Card<'f> {
    /// Proven to be held by who sent it.
    pub key: NodeKey,
    /// Where it says to be reached.
    pub name: &'f [u8],
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    /// Our half is to be sent.
    Start,
    /// Waiting for theirs.
    HearStart,
    /// Our confirmation is to be sent.
    Confirm,
    HearConfirm,
    /// Our card is to be sent.
    Card,
    HearCard,
    /// Host: `Done` is to be sent.
    Done,
    /// Guest: waiting for `Done`.
    HearDone,
    /// Host: `Refused` is to be sent.
    Refuse,
    Over,
}

/// One meeting, on one side. The owner ends it after [`FRIEND_MEET_MS`](crate::limits::FRIEND_MEET_MS).
pub struct Meeting<P> {
    host: bool,
    state: State,
    /// Taken by the one and only guess.
    pake: Option<P>,
    element: [u8; 32],
    /// Of the meeting; zeros until both halves are there.
    key: [u8; 32],
    transcript: Sha256,
    signer: SigningKey,
    name: heapless::Vec<u8, MAX_NAME>,
}

impl<P> core::fmt::Debug for Meeting<P> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Meeting({:?})", self.state)
    }
}

impl<P> Drop for Meeting<P> {
    fn drop(&mut self) {
        self.key.zeroize(); // the signing key wipes itself
    }
}

impl<P: Pake> Meeting<P> {
    /// Waits at `place` for a guest. `seed` is that of our own key, `name` where we are reached, cut after [`MAX_NAME`]
    /// bytes.
    #[must_use]
    pub fn host(pake: P, place: &[u8], seed: &[u8; 32], name: &[u8]) -> Self {
        Self::new(pake, place, seed, name, true)
    }

    /// Calls the host at `place`, as dialed.
    #[must_use]
    pub fn guest(pake: P, place: &[u8], seed: &[u8; 32], name: &[u8]) -> Self {
        Self::new(pake, place, seed, name, false)
    }

    fn new(pake: P, place: &[u8], seed: &[u8; 32], name: &[u8], host: bool) -> Self {
        let mut transcript = Sha256::new_with_prefix(b"bulbil friend transcript 1");
        absorb(&mut transcript, place);
        let state = if host { State::HearStart } else { State::Start };
        let name = name.iter().copied().take(MAX_NAME).collect();
        let (element, signer) = (pake.element(), SigningKey::from_bytes(seed));
        Self { host, state, pake: Some(pake), element, key: [0; 32], transcript, signer, name }
    }

    /// Takes in one frame. After an error, and after a wrong guess, nothing but hanging up is left.
    pub fn handle_frame<'f>(&mut self, frame: &'f [u8]) -> Result<Event<'f>, Reject> {
        let message = Friend::decode(frame).map_err(|_| Reject::Malformed)?;
        let before = core::mem::replace(&mut self.state, State::Over);
        match (before, message) {
            (State::HearStart, Friend::Start { version, element }) => {
                if version != VERSION {
                    return Err(Reject::Version(version));
                }
                self.start(frame, &element)
            }
            (State::HearConfirm, Friend::Confirm(tag)) => self.check(&tag),
            (State::HearConfirm, Friend::Refused) if !self.host => Ok(Event::Refused),
            (State::HearCard, Friend::Card { key, name, r, s, tag }) => {
                let card = Card { key, name };
                self.read(&card, &Signature::from_components(r, s), &tag)?;
                self.state = if self.host { State::Done } else { State::Card };
                Ok(Event::Met(card))
            }
            (State::HearDone, Friend::Done) => Ok(Event::Done),
            _ => Err(Reject::OutOfTurn),
        }
    }

    /// Writes the next frame into `tx`, or returns `None` when there is none to send. On `TooSmall` nothing has changed.
    pub fn poll_transmit<'b>(&mut self, tx: &'b mut [u8]) -> Result<Option<&'b [u8]>, TooSmall> {
        let frame = match self.state {
            State::Start => {
                let frame = Friend::Start { version: VERSION, element: self.element }.encode(tx)?;
                absorb(&mut self.transcript, frame);
                frame
            }
            State::Confirm => Friend::Confirm(self.tag(self.host, b"confirm", &[])).encode(tx)?,
            State::Card => self.card().encode(tx)?,
            State::Done => Friend::Done.encode(tx)?,
            State::Refuse => Friend::Refused.encode(tx)?,
            State::HearStart | State::HearConfirm | State::HearCard | State::HearDone | State::Over => {
                return Ok(None);
            }
        };
        self.state = match (self.state, self.host) {
            (State::Start, false) => State::HearStart,
            (State::Start, true) | (State::Confirm, false) => State::HearConfirm,
            (State::Confirm, true) => State::Card,
            (State::Card, true) => State::HearCard,
            (State::Card, false) => State::HearDone,
            _ => State::Over,
        };
        Ok(Some(frame))
    }

    /// Whether nothing is left to hear or to send.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.state == State::Over
    }

    fn start(&mut self, frame: &[u8], element: &[u8; 32]) -> Result<Event<'static>, Reject> {
        absorb(&mut self.transcript, frame);
        let key = self.pake.take().and_then(|pake| pake.finish(element));
        self.key = key.ok_or(Reject::BadElement)?;
        self.state = if self.host { State::Start } else { State::Confirm };
        Ok(Event::Progress)
    }

    /// Whether the other side has the same key.
    fn check(&mut self, tag: &[u8; 32]) -> Result<Event<'static>, Reject> {
        let right = bool::from(self.tag(!self.host, b"confirm", &[]).ct_eq(tag));
        match (self.host, right) {
            (true, true) => self.state = State::Confirm,
            (false, true) => self.state = State::HearCard,
            (true, false) => {
                self.state = State::Refuse;
                return Ok(Event::WrongGuess);
            }
            (false, false) => return Err(Reject::Impostor),
        }
        Ok(Event::Progress)
    }

    fn read(&self, card: &Card<'_>, signature: &Signature, tag: &[u8; 32]) -> Result<(), Reject> {
        if card.key.0 == self.signer.verifying_key().to_bytes() {
            return Err(Reject::Ourselves);
        }
        let statement = self.statement(!self.host, card);
        let signed = VerifyingKey::from_bytes(&card.key.0)
            .is_ok_and(|key| key.verify_strict(&statement, signature).is_ok());
        let parts = [&statement[..], signature.r_bytes(), signature.s_bytes()];
        let whole = bool::from(self.tag(!self.host, b"card", &parts).ct_eq(tag));
        if signed & whole { Ok(()) } else { Err(Reject::BadCard) }
    }

    fn card(&self) -> Friend<'_> {
        let key = NodeKey(self.signer.verifying_key().to_bytes());
        let statement = self.statement(self.host, &Card { key, name: &self.name });
        let signature = self.signer.sign(&statement);
        let (r, s) = (*signature.r_bytes(), *signature.s_bytes());
        let tag = self.tag(self.host, b"card", &[&statement, &r, &s]);
        Friend::Card { key, name: &self.name, r, s, tag }
    }

    /// What the key of a card signs: this meeting, the role in it, the key and the name.
    fn statement(&self, by_host: bool, card: &Card<'_>) -> [u8; 32] {
        let mut hash = Sha256::new_with_prefix(b"bulbil friend card 1");
        hash.update([u8::from(by_host)]);
        hash.update(self.transcript.clone().finalize());
        absorb(&mut hash, &card.key.0);
        absorb(&mut hash, card.name);
        hash.finalize().into()
    }

    /// HMAC under the key of the meeting, for one role and one use.
    fn tag(&self, by_host: bool, use_of: &[u8], parts: &[&[u8]]) -> [u8; 32] {
        #[allow(clippy::expect_used, reason = "HMAC takes keys of any length (RFC 2104, section 3)")]
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("any length");
        mac.update(b"bulbil friend tag 1");
        mac.update(&[u8::from(by_host)]);
        mac.update(&self.transcript.clone().finalize());
        for part in [use_of].iter().chain(parts) {
            mac.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

/// Adds a string so that no two sequences of strings give the same bytes.
fn absorb(hash: &mut Sha256, bytes: &[u8]) {
    hash.update(u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
    hash.update(bytes);
}

#[cfg(test)]
mod tests;
