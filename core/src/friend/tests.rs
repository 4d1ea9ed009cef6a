//! Meetings over a wire that a test holds in its hand, with the real SPAKE2.

use std::vec::Vec;

use spake2::{Ed25519Group, Identity, Password, Spake2};

use super::*;

const PLACE: &[u8] = b"place:80";

/// SPAKE2 with randomness of the test's own.
struct Spake(Spake2<Ed25519Group>, [u8; 32]);

impl Spake {
    fn new(password: &[u8], host: bool, random: u8) -> Self {
        let (guest_id, host_id) = (Identity::new(b"guest"), Identity::new(b"host"));
        let start = if host { Spake2::start_b_with_rng } else { Spake2::<Ed25519Group>::start_a_with_rng };
        let (state, message) = start(&Password::new(password), &guest_id, &host_id, Fixed(random));
        Self(state, message[1..].try_into().unwrap())
    }
}

impl Pake for Spake {
    fn element(&self) -> [u8; 32] {
        self.1
    }

    fn finish(self, theirs: &[u8; 32]) -> Option<[u8; 32]> {
        // The first byte says which side sends; both are tried, as each side accepts only the other's.
        let message = |side: u8| [&[side][..], theirs].concat();
        let Self(state, ours) = self;
        _ = ours;
        let side = if state_is_host(&state) { b'A' } else { b'B' };
        state.finish(&message(side)).ok()?.try_into().ok()
    }
}

fn state_is_host(state: &Spake2<Ed25519Group>) -> bool {
    std::format!("{state:?}").contains("Side::B")
}

/// The same bytes again and again; only a test may.
struct Fixed(u8);

impl rand_core::RngCore for Fixed {
    fn next_u32(&mut self) -> u32 {
        u32::from(self.0)
    }

    fn next_u64(&mut self) -> u64 {
        u64::from(self.0)
    }

    fn fill_bytes(&mut self, dest: &mut [u8]) {
        dest.fill(self.0);
    }

    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), rand_core::Error> {
        self.fill_bytes(dest);
        Ok(())
    }
}

impl rand_core::CryptoRng for Fixed {}

fn guest(password: &[u8], place: &[u8]) -> Meeting<Spake> {
    Meeting::guest(Spake::new(password, false, 1), place, &[3; 32], b"guest:1")
}

fn host(password: &[u8]) -> Meeting<Spake> {
    Meeting::host(Spake::new(password, true, 2), PLACE, &[4; 32], b"host:1")
}

fn key(seed: u8) -> [u8; 32] {
    SigningKey::from_bytes(&[seed; 32]).verifying_key().to_bytes()
}

/// What one side heard, in words that outlive the frames.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Heard {
    Met([u8; 32], Vec<u8>),
    Done,
    Refused,
    WrongGuess,
    Rejected(Reject),
}

#[derive(Default)]
struct Course {
    guest: Vec<Heard>,
    host: Vec<Heard>,
    frames: Vec<Vec<u8>>,
}

/// Plays a meeting to its end; `spoil` may change any frame.
fn meet(
    mut guest: Meeting<Spake>,
    mut host: Meeting<Spake>,
    mut spoil: impl FnMut(usize, &mut Vec<u8>),
) -> Course {
    let mut course = Course::default();
    let mut buf = [0; 256];
    loop {
        let (from_guest, frame) = if let Some(frame) = guest.poll_transmit(&mut buf).unwrap() {
            (true, frame)
        } else if let Some(frame) = host.poll_transmit(&mut buf).unwrap() {
            (false, frame)
        } else {
            return course;
        };
        let mut frame = frame.to_vec();
        spoil(course.frames.len(), &mut frame);
        course.frames.push(frame.clone());
        let (side, heard) =
            if from_guest { (&mut host, &mut course.host) } else { (&mut guest, &mut course.guest) };
        match side.handle_frame(&frame) {
            Ok(Event::Progress) => {}
            Ok(Event::Met(card)) => heard.push(Heard::Met(card.key.0, card.name.to_vec())),
            Ok(Event::Done) => heard.push(Heard::Done),
            Ok(Event::Refused) => heard.push(Heard::Refused),
            Ok(Event::WrongGuess) => heard.push(Heard::WrongGuess),
            Err(reject) => {
                heard.push(Heard::Rejected(reject));
                return course;
            }
        }
    }
}

fn is_met(heard: &[Heard]) -> bool {
    heard.iter().any(|one| matches!(one, Heard::Met(..)))
}

#[test]
#[cfg_attr(miri, ignore = "a minute for each meeting")]
fn friends_with_one_code_learn_each_others_names() {
    let course = meet(guest(b"code", PLACE), host(b"code"), |_, _| ());
    assert_eq!(course.guest, [Heard::Met(key(4), b"host:1".to_vec()), Heard::Done]);
    assert_eq!(course.host, [Heard::Met(key(3), b"guest:1".to_vec())]);
    assert_eq!(course.frames.len(), 7);
}

#[test]
#[cfg_attr(miri, ignore = "a minute for each meeting")]
fn a_wrong_code_is_one_guess_that_the_host_sees_and_learns_nothing() {
    let course = meet(guest(b"cope", PLACE), host(b"code"), |_, _| ());
    assert_eq!((course.guest, course.host), ([Heard::Refused].to_vec(), [Heard::WrongGuess].to_vec()));
    // Two starts, one confirmation, and a refusal of one byte: nothing that depends on the code came back after the guess.
    let lengths: Vec<usize> = course.frames.iter().map(Vec::len).collect();
    assert_eq!(lengths, [34, 34, 33, 1]);
}

#[test]
fn one_connection_has_one_guess() {
    let (mut guest, mut host, mut buf) = (guest(b"cope", PLACE), host(b"code"), [0; 256]);
    let start = guest.poll_transmit(&mut buf).unwrap().unwrap().to_vec();
    host.handle_frame(&start).unwrap();
    host.poll_transmit(&mut buf).unwrap();
    assert_eq!(host.handle_frame(&confirm([1; 32])), Ok(Event::WrongGuess));
    for next in [confirm([2; 32]), start.clone(), [3].to_vec()] {
        assert_eq!(host.handle_frame(&next), Err(Reject::OutOfTurn), "no second guess");
    }
    // The same once the refusal has gone out, or if nobody takes it.
    host.poll_transmit(&mut buf).unwrap();
    assert!(host.is_over() && host.poll_transmit(&mut buf).unwrap().is_none());
    assert_eq!(host.handle_frame(&start), Err(Reject::OutOfTurn));
}

fn confirm(tag: [u8; 32]) -> Vec<u8> {
    Friend::Confirm(tag).encode(&mut [0; 64]).unwrap().to_vec()
}

#[test]
#[cfg_attr(miri, ignore = "a minute for each meeting")]
fn the_place_is_part_of_the_code() {
    let course = meet(guest(b"code", b"other:80"), host(b"code"), |_, _| ());
    assert_eq!(course.host, [Heard::WrongGuess]);
}

#[test]
#[cfg_attr(miri, ignore = "a minute for each meeting")]
fn a_host_that_does_not_know_the_code_is_an_impostor() {
    // It lets every guest pass and claims to have confirmed.
    let mut sham = Meeting::host(Spake::new(b"cope", true, 2), PLACE, &[4; 32], b"host:1");
    let (mut guest, mut buf) = (guest(b"code", PLACE), [0; 256]);
    sham.handle_frame(guest.poll_transmit(&mut buf).unwrap().unwrap()).unwrap();
    guest.handle_frame(sham.poll_transmit(&mut buf).unwrap().unwrap()).unwrap();
    guest.poll_transmit(&mut buf).unwrap();
    sham.state = State::Confirm;
    let confirmation = sham.poll_transmit(&mut buf).unwrap().unwrap().to_vec();
    assert_eq!(guest.handle_frame(&confirmation), Err(Reject::Impostor));
}

#[test]
#[cfg_attr(miri, ignore = "a minute for each meeting")]
fn no_bit_of_any_frame_may_change() {
    let lengths = meet(guest(b"code", PLACE), host(b"code"), |_, _| ()).frames;
    for (step, bytes) in lengths.iter().map(Vec::len).enumerate() {
        for bit in (0..bytes * 8).step_by(7) {
            let course = meet(guest(b"code", PLACE), host(b"code"), |at, frame| {
                if at == step {
                    frame[bit / 8] ^= 1 << (bit % 8);
                }
            });
            let happy = course.guest.contains(&Heard::Done) && is_met(&course.host);
            assert!(!happy, "step {step}, bit {bit}");
            if step < 6 {
                assert!(!is_met(&course.host), "step {step}, bit {bit}: the host met somebody");
            }
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "a minute for each meeting")]
fn each_wrong_frame_has_its_own_answer() {
    let first = |message: Friend<'_>| {
        let mut buf = [0; 256];
        let frame = message.encode(&mut buf).unwrap();
        host(b"code").handle_frame(frame).map(|_| ()).unwrap_err()
    };
    assert_eq!(first(Friend::Start { version: 9, element: [0; 32] }), Reject::Version(9));
    assert_eq!(first(Friend::Start { version: VERSION, element: [2; 32] }), Reject::BadElement);
    assert_eq!(first(Friend::Confirm([0; 32])), Reject::OutOfTurn);
    assert_eq!(host(b"code").handle_frame(&[9]), Err(Reject::Malformed));
    let ours = Meeting::guest(Spake::new(b"code", false, 1), PLACE, &[4; 32], b"host:1");
    assert_eq!(meet(ours, host(b"code"), |_, _| ()).guest, [Heard::Rejected(Reject::Ourselves)]);
}

#[test]
#[cfg_attr(miri, ignore = "a minute for each meeting")]
fn a_buffer_too_small_changes_nothing() {
    let mut guest = guest(b"code", PLACE);
    assert!(guest.poll_transmit(&mut [0; 8]).is_err());
    let course = meet(guest, host(b"code"), |_, _| ());
    assert!(course.guest.contains(&Heard::Done));
}

#[test]
#[cfg_attr(miri, ignore = "a minute for each meeting")]
fn a_long_name_is_cut() {
    let long = Meeting::guest(Spake::new(b"code", false, 1), PLACE, &[3; 32], &[7; 200]);
    let course = meet(long, host(b"code"), |_, _| ());
    assert_eq!(course.host, [Heard::Met(key(3), std::vec![7; MAX_NAME])]);
}
