//! Conversations from the first frame to the last.

use bulbil_core::content::merkle::Leaf;
use bulbil_core::hello::{Event, Hello, Secrets, TOKEN_LEN, topic};
use bulbil_core::id::NodeKey;
use bulbil_core::limits::MAIL_RETRY_MS;
use bulbil_core::mail::{Letter, Outbox};
use bulbil_core::time::Millis;

use super::content::hex;

const NAME: &[u8] = b"listener:1";

fn secrets(token: u8, seed: u8) -> Secrets {
    Secrets::new([token; TOKEN_LEN], &[seed; 32])
}

/// What both learn, and the SHA-256 of all frames. The listener knows the share of token 1 only.
fn open(token: u8) -> (Option<Event>, Option<Event>, [u8; 32]) {
    let mut dialer = Hello::dial(secrets(token, 2), NAME, [3; 32]);
    let mut listener = Hello::listen(secrets(90, 91), NAME, [4; 32]);
    let (mut ours, mut theirs, mut said) = (None, None, Leaf::default());
    let mut buf = [0; 256];
    loop {
        if let Some(frame) = dialer.poll_transmit(&mut buf).unwrap() {
            said.update(frame);
            theirs = listener.handle_frame(frame).ok();
            if let Some(Event::Topic(asked)) = theirs {
                let known = asked == topic(&[1; TOKEN_LEN]);
                listener.answer(known.then(|| secrets(1, 5)));
            }
        } else if let Some(frame) = listener.poll_transmit(&mut buf).unwrap() {
            said.update(frame);
            ours = dialer.handle_frame(frame).ok();
        } else {
            return (ours, theirs, said.finish().0);
        }
    }
}

pub(super) fn hello() {
    let (ours, theirs, said) = open(1);
    assert_eq!(ours, Some(Event::Ready(secrets(0, 5).key())));
    assert_eq!(theirs, Some(Event::Ready(secrets(0, 2).key())));
    assert_eq!(said, hex(TRANSCRIPT));
}

pub(super) fn wrong_token() {
    assert_eq!(open(6).0, Some(Event::Refused));
}

pub(super) fn mail() {
    let (to, now) = (NodeKey([1; 32]), Millis(1_000));
    let mut outbox: Outbox<4> = Outbox::default();
    outbox.post(now, Letter { to, id: 7, written: now, text: "hi".try_into().unwrap() }).unwrap();
    assert_eq!(outbox.poll_serve(now), Some(to));
    outbox.failed(now, &to);
    assert_eq!(outbox.poll_serve(now), None, "it waits");
    let later = Millis(1_000 + 2 * MAIL_RETRY_MS.0);
    assert_eq!(outbox.poll_serve(later), Some(to));
    assert_eq!(outbox.first(&to).map(|letter| letter.id), Some(7));
    outbox.delivered(&to, 7);
    assert_eq!(outbox.letters().count(), 0);
}

/// As core on a 64-bit machine says it: an emulated microcontroller must say the same.
const TRANSCRIPT: &str = "f1e2f4beaeababaa72c12d03c0751a4214ab3ef7bbc1e4bb7e1c3d678d554bd9";
