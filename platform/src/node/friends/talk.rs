//! One meeting over one connection.

use std::time::Duration;

use bulbil_core::friend::{Card, Event, Meeting};
use bulbil_core::limits::FRIEND_MEET_MS;
use bulbil_core::transport::{RecvFrame, SendFrame};

use crate::friend::{Code, Spake};
use crate::net::{Address, ServiceKey, Stream};
use crate::node::PORT;
use crate::node::halves::{Halves, halves};
use crate::node::open::{address_of, name_of};

/// Bytes of a message at most.
const MESSAGE: usize = 256;

/// After the host's last word, until the guest has hung up: the word must not be cut off.
const LINGER: Duration = Duration::from_secs(10);

/// How a connection ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Outcome {
    /// Both know the code.
    Met {
        /// Who the other is.
        friend: Address,
        /// Whether the other has our address too.
        sure: bool,
    },
    /// The other side has other words.
    Wrong,
    /// The connection broke, or time was up.
    Broken,
    /// The other side did not keep to the protocol.
    Foul,
}

/// As who gave the code out; `place` is the name of the service that was called.
pub(super) async fn host(stream: Stream, code: &Code, place: &[u8], key: &ServiceKey) -> Outcome {
    let Some(pake) = Spake::new(&code.password(), place, true) else { return Outcome::Foul };
    let meeting = Meeting::host(pake, place, key.seed(), &name_of(key.address(PORT)));
    carry(stream, meeting).await
}

/// As who was given the code.
pub(super) async fn guest(stream: Stream, code: &Code, place: &[u8], key: &ServiceKey) -> Outcome {
    let Some(pake) = Spake::new(&code.password(), place, false) else { return Outcome::Foul };
    let meeting = Meeting::guest(pake, place, key.seed(), &name_of(key.address(PORT)));
    carry(stream, meeting).await
}

pub(super) async fn carry(stream: Stream, mut meeting: Meeting<Spake>) -> Outcome {
    let mut halves = halves(stream);
    let mut outcome = Outcome::Broken;
    let talk = talk(&mut meeting, &mut halves, &mut outcome);
    _ = tokio::time::timeout(Duration::from_millis(FRIEND_MEET_MS), talk).await;
    if meeting.is_over() && matches!(outcome, Outcome::Met { sure: false, .. }) {
        // The host, whose last word is on its way.
        _ = tokio::time::timeout(LINGER, halves.rx.recv()).await;
    }
    outcome
}

/// Carries frames until the meeting is over or the connection breaks; `outcome` is what is known so far.
async fn talk(meeting: &mut Meeting<Spake>, halves: &mut Halves, outcome: &mut Outcome) -> Option<()> {
    let mut buf = [0; MESSAGE];
    loop {
        let mut sent = false;
        while let Some(frame) = meeting.poll_transmit(&mut buf).ok()? {
            halves.tx.send(frame).await.ok()?;
            sent = true;
        }
        if sent {
            halves.tx.flush().await.ok()?;
        }
        if meeting.is_over() {
            return None;
        }
        match meeting.handle_frame(halves.rx.recv().await.ok()?) {
            Ok(Event::Progress) => {}
            Ok(Event::Met(card)) => match friend(&card) {
                Some(friend) => *outcome = Outcome::Met { friend, sure: false },
                None => return foul(outcome),
            },
            Ok(Event::Done) => {
                if let Outcome::Met { sure, .. } = outcome {
                    *sure = true;
                }
            }
            Ok(Event::WrongGuess | Event::Refused) => *outcome = Outcome::Wrong,
            Err(_) => return foul(outcome),
        }
    }
}

fn foul(outcome: &mut Outcome) -> Option<()> {
    *outcome = Outcome::Foul;
    None
}

/// The address on a card, if it is that of the key that signed it.
fn friend(card: &Card<'_>) -> Option<Address> {
    address_of(card.name).filter(|address| address.key == card.key.0)
}
