//! The mutual handshake that opens every conversation.
//!
//! ```text
//! dialer                                    listener
//!   Hello {nonce, key, topic}       ->
//!                                   <-        Hello {nonce, key, topic}
//!   Proof {signature, access}       ->
//!                                   <-        Proof, or Refused
//! ```
//!
//! Both sign the transcript (both hellos and the name under which the listener was called), each under a label of its
//! own, so nothing can be replayed, reflected or passed on to another listener; both show by an HMAC of the transcript
//! that they know the share's token, which never travels. A listener that knows no share of that topic goes through the
//! same motions with a token and a key nobody knows, so a wrong token and a missing share look and last the same.

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use crate::id::{NodeKey, PeerKey};
use crate::wire::{Opening, Purpose, TooSmall, VERSION};

/// Bytes of a share's token: 128 bits of randomness.
pub const TOKEN_LEN: usize = 16;

/// What a side must know to open a conversation about one share.
pub struct Secrets {
    token: [u8; TOKEN_LEN],
    key: SigningKey,
}

impl core::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Secrets")
    }
}

impl Drop for Secrets {
    fn drop(&mut self) {
        self.token.zeroize(); // the signing key wipes itself
    }
}

impl Secrets {
    /// The share's token, and the seed of the key by which we are known in its swarm alone.
    #[must_use]
    pub fn new(token: [u8; TOKEN_LEN], seed: &[u8; 32]) -> Self {
        Self { token, key: SigningKey::from_bytes(seed) }
    }

    /// Our public key in this swarm.
    #[must_use]
    pub fn key(&self) -> PeerKey {
        PeerKey(self.key.verifying_key().to_bytes())
    }

    /// Names the share to those who know its token.
    #[must_use]
    pub fn topic(&self) -> [u8; 32] {
        topic(&self.token)
    }
}

/// What names a share in a `Hello`.
#[must_use]
pub fn topic(token: &[u8; TOKEN_LEN]) -> [u8; 32] {
    Sha256::new().chain_update(b"bulbil topic 1").chain_update(token).finalize().into()
}

/// The token of conversations with a node itself, about its records or with mail for it. Whoever knows the node's key
/// (on Tor: its address) may open one.
#[must_use]
pub fn node_token(node: &NodeKey) -> [u8; TOKEN_LEN] {
    let hash: [u8; 32] = Sha256::new().chain_update(b"bulbil node 1").chain_update(node.0).finalize().into();
    hash.first_chunk().copied().unwrap_or_default()
}

/// Why the other side should be hung up on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reject {
    /// The bytes were no opening message.
    Malformed,
    /// A valid message at the wrong moment.
    OutOfTurn,
    /// Another version of the protocol.
    Version(u8),
    /// A signature or an access proof that does not hold.
    BadProof,
    /// Our own key came back: we called ourselves.
    Ourselves,
}

/// What a frame led to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Event {
    /// Nothing for the owner to do but to poll.
    Progress,
    /// Listener only: a caller asks for this topic; answer with [`Hello::answer`].
    Topic([u8; 32]),
    /// The other side proved this key. A listener's own proof may still wait to be sent.
    Ready(PeerKey),
    /// Dialer only: wrong token, no such share, or no room there.
    Refused,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    /// Our hello is to be sent.
    Greet,
    /// Waiting for theirs.
    Hear,
    /// Listener: waiting for [`Hello::answer`].
    Ask,
    /// Dialer: our proof is to be sent.
    Prove,
    /// Waiting for their proof.
    Check,
    /// Listener: our proof is to be sent.
    Confirm,
    /// Listener: `Refused` is to be sent.
    Refuse,
    Done,
}

/// One handshake. The owner ends it after [`HANDSHAKE_MS`](crate::limits::HANDSHAKE_MS).
#[derive(Debug)]
pub struct Hello {
    secrets: Secrets,
    dialer: bool,
    known: bool,
    state: State,
    nonce: [u8; 32],
    /// Which messages may follow; `None` for a listener that takes any and was not called yet.
    purpose: Option<Purpose>,
    /// What the conversation is about; a listener repeats what it was asked for, whether it has it or not.
    topic: [u8; 32],
    transcript: Sha256,
    peer: Option<PeerKey>,
}

impl Hello {
    /// Calls the listener `name`, as dialed. `nonce` must be fresh randomness.
    #[must_use]
    pub fn dial(secrets: Secrets, name: &[u8], nonce: [u8; 32]) -> Self {
        Self::new(secrets, name, nonce, true, State::Greet)
    }

    /// Takes a call that came in under our `name`. `decoy` holds a random token and seed for callers who ask for
    /// something we do not have; `nonce` must be fresh randomness.
    #[must_use]
    pub fn listen(decoy: Secrets, name: &[u8], nonce: [u8; 32]) -> Self {
        Self::new(decoy, name, nonce, false, State::Hear)
    }

    fn new(secrets: Secrets, name: &[u8], nonce: [u8; 32], dialer: bool, state: State) -> Self {
        let mut transcript = Sha256::new_with_prefix(b"bulbil transcript 1");
        absorb(&mut transcript, name);
        let topic = secrets.topic();
        let purpose = Some(Purpose::Peer);
        Self { secrets, dialer, known: dialer, state, nonce, purpose, topic, transcript, peer: None }
    }

    /// Opens a conversation of this purpose, or takes only such; [`Purpose::Peer`] unless said.
    #[must_use]
    pub fn about(mut self, purpose: Purpose) -> Self {
        self.purpose = Some(purpose);
        self
    }

    /// Listener: takes conversations of any purpose. [`purpose`](Self::purpose) says which one it became.
    #[must_use]
    pub fn about_anything(mut self) -> Self {
        self.purpose = self.purpose.filter(|_| self.dialer);
        self
    }

    /// Which messages follow the opening; `None` before a listener that takes any was called.
    #[must_use]
    pub const fn purpose(&self) -> Option<Purpose> {
        self.purpose
    }

    /// Listener: what we know about the topic asked for; `None` if nothing.
    pub fn answer(&mut self, secrets: Option<Secrets>) {
        if self.state == State::Ask {
            self.known = secrets.is_some();
            if let Some(secrets) = secrets {
                self.secrets = secrets;
            }
            self.state = State::Greet;
        }
    }

    /// Takes in one frame.
    pub fn handle_frame(&mut self, frame: &[u8]) -> Result<Event, Reject> {
        let message = Opening::decode(frame).map_err(|_| Reject::Malformed)?;
        match (self.state, message) {
            (State::Hear, Opening::Hello { version, purpose, key, topic, .. }) => {
                if version != VERSION {
                    return Err(Reject::Version(version));
                }
                if self.purpose.is_some_and(|ours| ours != purpose) {
                    return Err(Reject::OutOfTurn);
                }
                if key == self.secrets.key() {
                    return Err(Reject::Ourselves);
                }
                absorb(&mut self.transcript, frame);
                self.peer = Some(key);
                self.purpose = Some(purpose);
                self.topic = topic;
                self.state = if self.dialer { State::Prove } else { State::Ask };
                Ok(if self.dialer { Event::Progress } else { Event::Topic(topic) })
            }
            (State::Check, Opening::Proof { r, s, access }) => {
                self.check(&Signature::from_components(r, s), &access)
            }
            (State::Check, Opening::Refused) if self.dialer => {
                self.state = State::Done;
                Ok(Event::Refused)
            }
            _ => Err(Reject::OutOfTurn),
        }
    }

    /// Writes the next frame into `tx`, or returns `None` when there is none to send. On `TooSmall` nothing has changed.
    pub fn poll_transmit<'b>(&mut self, tx: &'b mut [u8]) -> Result<Option<&'b [u8]>, TooSmall> {
        match self.state {
            State::Greet => {
                let (key, topic) = (self.secrets.key(), self.topic);
                let hello = Opening::Hello {
                    version: VERSION,
                    purpose: self.purpose.unwrap_or(Purpose::Peer),
                    nonce: self.nonce,
                    key,
                    topic,
                };
                let frame = hello.encode(tx)?;
                absorb(&mut self.transcript, frame);
                self.state = if self.dialer { State::Hear } else { State::Check };
                Ok(Some(frame))
            }
            State::Prove => self.send(&self.proof(), State::Check, tx),
            State::Confirm => self.send(&self.proof(), State::Done, tx),
            State::Refuse => self.send(&Opening::Refused, State::Done, tx),
            State::Hear | State::Ask | State::Check | State::Done => Ok(None),
        }
    }

    /// Whether nothing is left to hear or to send.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    fn send<'b>(
        &mut self,
        message: &Opening,
        next: State,
        tx: &'b mut [u8],
    ) -> Result<Option<&'b [u8]>, TooSmall> {
        let frame = message.encode(tx)?;
        self.state = next;
        Ok(Some(frame))
    }

    fn check(&mut self, signature: &Signature, access: &[u8; 32]) -> Result<Event, Reject> {
        let digest = self.digest();
        let peer = self.peer.ok_or(Reject::OutOfTurn)?;
        let signed = VerifyingKey::from_bytes(&peer.0)
            .is_ok_and(|key| key.verify_strict(&statement(&digest, !self.dialer), signature).is_ok());
        let knows = bool::from(self.access(&digest, !self.dialer).ct_eq(access));
        match (self.dialer, signed & knows & self.known) {
            (true, true) => {
                self.state = State::Done;
                Ok(Event::Ready(peer))
            }
            (true, false) => Err(Reject::BadProof),
            (false, true) => {
                self.state = State::Confirm;
                Ok(Event::Ready(peer))
            }
            (false, false) => {
                self.state = State::Refuse;
                Ok(Event::Progress)
            }
        }
    }

    fn proof(&self) -> Opening {
        let digest = self.digest();
        let signature = self.secrets.key.sign(&statement(&digest, self.dialer));
        Opening::Proof {
            r: *signature.r_bytes(),
            s: *signature.s_bytes(),
            access: self.access(&digest, self.dialer),
        }
    }

    fn digest(&self) -> [u8; 32] {
        self.transcript.clone().finalize().into()
    }

    fn access(&self, digest: &[u8; 32], dialer: bool) -> [u8; 32] {
        #[allow(clippy::expect_used, reason = "HMAC takes keys of any length (RFC 2104, section 3)")]
        let mac = Hmac::<Sha256>::new_from_slice(&self.secrets.token).expect("any length");
        mac.chain_update(b"bulbil access 1")
            .chain_update([u8::from(dialer)])
            .chain_update(digest)
            .finalize()
            .into_bytes()
            .into()
    }
}

/// Adds a string to the transcript so that no two sequences of strings give the same bytes.
fn absorb(transcript: &mut Sha256, bytes: &[u8]) {
    transcript.update(u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
    transcript.update(bytes);
}

/// What is signed: a label of the role, then the transcript.
fn statement(digest: &[u8; 32], dialer: bool) -> [u8; 48] {
    let mut bytes = [0; 48];
    let label: &[u8; 16] = if dialer { b"bulbil dialer  1" } else { b"bulbil listener1" };
    if let Some((head, tail)) = bytes.split_first_chunk_mut::<16>() {
        *head = *label;
        tail.copy_from_slice(digest);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::MAX_FRAME;
    use std::vec::Vec;

    const NAME: &[u8] = b"listener:1";

    fn secrets(token: u8, seed: u8) -> Secrets {
        Secrets::new([token; TOKEN_LEN], &[seed; 32])
    }

    /// Runs a handshake; `known` is the listener's token if it has the share. `spoil` may change any frame.
    fn open(
        dialed: &[u8],
        known: Option<u8>,
        mut spoil: impl FnMut(usize, &mut Vec<u8>),
    ) -> (Result<Event, Reject>, Result<Event, Reject>) {
        let mut dialer = Hello::dial(secrets(1, 2), dialed, [3; 32]);
        let mut listener = Hello::listen(secrets(90, 91), NAME, [4; 32]);
        let (mut ours, mut theirs) = (Ok(Event::Progress), Ok(Event::Progress));
        let mut buf = [0; MAX_FRAME];
        let mut step = 0;
        loop {
            let (from_dialer, frame) = if let Some(frame) = dialer.poll_transmit(&mut buf).unwrap() {
                (true, frame)
            } else if let Some(frame) = listener.poll_transmit(&mut buf).unwrap() {
                (false, frame)
            } else {
                return (ours, theirs);
            };
            let mut frame = frame.to_vec();
            spoil(step, &mut frame);
            step += 1;
            if from_dialer {
                theirs = listener.handle_frame(&frame);
                if let Ok(Event::Topic(asked)) = theirs {
                    let share = known.filter(|token| topic(&[*token; TOKEN_LEN]) == asked);
                    listener.answer(share.map(|token| secrets(token, 5)));
                }
            } else {
                ours = dialer.handle_frame(&frame);
            }
        }
    }

    #[test]
    fn the_token_of_a_node_never_changes() {
        let whole: Vec<u8> = [&b"bulbil node 1"[..], &[7; 32]].concat();
        let hash: [u8; 32] = Sha256::digest(&whole).into();
        assert_eq!(node_token(&NodeKey([7; 32])), hash[..TOKEN_LEN]);
        assert_ne!(node_token(&NodeKey([7; 32])), node_token(&NodeKey([8; 32])));
    }

    #[test]
    fn both_learn_each_others_key() {
        let (ours, theirs) = open(NAME, Some(1), |_, _| ());
        assert_eq!(ours, Ok(Event::Ready(secrets(0, 5).key())));
        assert_eq!(theirs, Ok(Event::Ready(secrets(0, 2).key())));
    }

    #[test]
    #[cfg_attr(miri, ignore = "a minute for each handshake")]
    fn a_wrong_token_and_a_missing_share_look_alike() {
        let mut lengths = [Vec::new(), Vec::new()];
        for (known, lengths) in [Some(7), None].into_iter().zip(&mut lengths) {
            let (ours, _) = open(NAME, known, |_, frame| lengths.push(frame.len()));
            assert_eq!(ours, Ok(Event::Refused));
        }
        assert_eq!(lengths[0], lengths[1]);
    }

    #[test]
    #[cfg_attr(miri, ignore = "a minute for each handshake")]
    fn a_call_passed_on_to_another_listener_fails() {
        assert_eq!(open(b"listener:2", Some(1), |_, _| ()).0, Ok(Event::Refused));
    }

    #[test]
    #[cfg_attr(miri, ignore = "a minute for each handshake")]
    fn no_bit_of_any_frame_may_change() {
        for step in 0..4 {
            let mut lengths = 0;
            let (ours, _) = open(NAME, Some(1), |at, frame| {
                if at == step {
                    lengths = frame.len();
                }
            });
            assert!(matches!(ours, Ok(Event::Ready(_))));
            for bit in 0..lengths * 8 {
                let (ours, theirs) = open(NAME, Some(1), |at, frame| {
                    if at == step {
                        frame[bit / 8] ^= 1 << (bit % 8);
                    }
                });
                let happy = matches!(ours, Ok(Event::Ready(_))) && matches!(theirs, Ok(Event::Ready(_)));
                assert!(!happy, "step {step}, bit {bit}");
            }
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "a minute for each handshake")]
    fn a_listener_takes_its_purposes_only() {
        let mut buf = [0; MAX_FRAME];
        let mut call = |dialed, listener: Hello| {
            let mut dialer = Hello::dial(secrets(1, 2), NAME, [3; 32]).about(dialed);
            let hello = dialer.poll_transmit(&mut buf).unwrap().unwrap().to_vec();
            let mut listener = listener;
            let heard = listener.handle_frame(&hello);
            listener.answer(Some(secrets(1, 5)));
            let back = listener.poll_transmit(&mut buf).unwrap().map(<[u8]>::to_vec);
            (heard.is_ok(), listener.purpose(), back.map(|back| dialer.handle_frame(&back)))
        };
        let listener = || Hello::listen(secrets(90, 91), NAME, [4; 32]);
        let taken = Some(Ok(Event::Progress));
        assert_eq!(call(Purpose::Peer, listener()), (true, Some(Purpose::Peer), taken));
        assert_eq!(call(Purpose::Mail, listener()), (false, Some(Purpose::Peer), None));
        assert_eq!(call(Purpose::Mail, listener().about(Purpose::Mail)), (true, Some(Purpose::Mail), taken));
        assert_eq!(call(Purpose::Mirror, listener().about_anything()), (true, Some(Purpose::Mirror), taken));
    }

    #[test]
    fn nothing_is_heard_out_of_turn() {
        let mut listener = Hello::listen(secrets(90, 91), NAME, [4; 32]);
        let mut buf = [0; MAX_FRAME];
        let refused = Opening::Refused.encode(&mut buf).unwrap().to_vec();
        assert_eq!(listener.handle_frame(&refused), Err(Reject::OutOfTurn));
        assert_eq!(listener.handle_frame(&[9]), Err(Reject::Malformed));
        let mut dialer = Hello::dial(secrets(1, 2), NAME, [3; 32]);
        let hello = dialer.poll_transmit(&mut buf).unwrap().unwrap().to_vec();
        assert_eq!(dialer.handle_frame(&hello), Err(Reject::Ourselves));
        assert!(matches!(listener.handle_frame(&hello), Ok(Event::Topic(_))));
        assert_eq!(listener.handle_frame(&hello), Err(Reject::OutOfTurn));
        assert!(listener.poll_transmit(&mut buf).unwrap().is_none(), "waits for the owner's answer");
    }
}
