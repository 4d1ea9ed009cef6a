#![allow(clippy::cast_possible_truncation, reason = "numbers drawn below the limits of their types")]

use std::{vec, vec::Vec as List};

use ed25519_dalek::SigningKey;

use super::*;
use crate::id::{InfoHash, NodeKey};
use crate::limits::{MAX_FRAME, MAX_RECORD};
use crate::sim::Random;
use crate::time::Date;
use crate::tracker::record::{Body as Says, Record, Signed, Visibility};
use crate::tracker::store::{Parts, Rank, Slot};
use crate::tracker::tree::{Node, Summary};

const TODAY: Date = Date(1_800_000_000);

type Boxed = Store<Parts<List<Slot>, List<Node>, List<u8>>>;

fn store(slots: usize) -> Boxed {
    let nodes = (slots / 8).next_power_of_two().max(2);
    let (slots, nodes, bytes) = (vec![Slot::EMPTY; slots], vec![Node::EMPTY; nodes], vec![0; slots * 300]);
    Store::new(Parts { slots, nodes, bytes }, Visibility::Public, 3).unwrap()
}

fn key(author: u64) -> SigningKey {
    let mut seed = [9; 32];
    seed[..8].copy_from_slice(&author.to_be_bytes());
    SigningKey::from_bytes(&seed)
}

fn record(author: u64, subject: u64, version: u64) -> List<u8> {
    let mut hash = [0; 32];
    hash[..8].copy_from_slice(&subject.to_be_bytes());
    let says = Says::Share {
        info_hash: InfoHash(hash),
        name: "a name of some length",
        size: subject,
        tags: "some,tags",
        text: "and a line of text that says what it is",
        visibility: Visibility::Public,
    };
    let mut buf = [0; MAX_RECORD];
    let record =
        Record { author: NodeKey([0; 32]), version, made: TODAY, expires: TODAY.plus(999), body: says };
    record.sign(&key(author), &mut buf).unwrap().to_vec()
}

fn put(store: &mut Boxed, bytes: &[u8]) {
    store.insert(&Signed::check(bytes, TODAY).unwrap(), Rank(1)).unwrap();
}

/// Bytes each side sent until nobody had more to say.
fn talk(ends: [&mut Sync; 2], stores: [&mut Boxed; 2]) -> Result<[usize; 2], Reject> {
    let mut buf = [0; MAX_FRAME];
    let ([a, b], [ours, theirs]) = (ends, stores);
    let mut bytes = [0; 2];
    let now = (Millis(1), TODAY);
    for _ in 0..200_000 {
        let mut quiet = true;
        if let Some(frame) = a.poll_transmit(Millis(1), ours, &mut buf).unwrap() {
            (bytes[0], quiet) = (bytes[0] + frame.len() + 2, false);
            b.handle_frame(now, theirs, frame, |_| Some(Rank(1)))?;
        }
        if let Some(frame) = b.poll_transmit(Millis(1), theirs, &mut buf).unwrap() {
            (bytes[1], quiet) = (bytes[1] + frame.len() + 2, false);
            a.handle_frame(now, ours, frame, |_| Some(Rank(1)))?;
        }
        if quiet {
            return Ok(bytes);
        }
    }
    panic!("they talk for ever");
}

fn reconcile(ours: &mut Boxed, theirs: &mut Boxed, gives: bool) -> usize {
    let (mut a, mut b) = (Sync::new(Millis(0), gives), Sync::new(Millis(0), gives));
    a.start();
    let bytes = talk([&mut a, &mut b], [ours, theirs]).unwrap();
    assert!(a.is_done() && b.is_done() && !a.has_missed());
    bytes[0] + bytes[1]
}

#[test]
fn random_stores_become_equal() {
    let mut random = Random::new(8);
    for round in 0..25 {
        let (mut ours, mut theirs) = (store(1200), store(1000));
        for subject in 0..random.between(0, 400) {
            let (sides, version) = (random.between(0, 5), random.between(0, 2));
            let bytes = record(subject % 3, subject, version);
            if sides != 0 {
                put(&mut ours, &bytes);
            }
            if sides != 1 {
                put(&mut theirs, &record(subject % 3, subject, version + u64::from(sides == 2)));
            }
        }
        reconcile(&mut ours, &mut theirs, true);
        assert_eq!(ours.summary(Range::ALL), theirs.summary(Range::ALL), "round {round}");
        assert!(reconcile(&mut ours, &mut theirs, true) < 1000, "nothing is left to say");
    }
}

#[test]
fn one_side_may_be_empty_and_need_not_give() {
    let (mut ours, mut theirs) = (store(1000), store(1000));
    (0..500).for_each(|subject| put(&mut theirs, &record(1, subject, 1)));
    put(&mut ours, &record(2, 0, 1));
    let bytes = reconcile(&mut ours, &mut theirs, false);
    assert_eq!((ours.len(), theirs.len()), (501, 500));
    let payload: usize = theirs.iter().map(|(record, _)| record.len() + 2).sum();
    assert!(bytes < payload * 11 / 10, "{bytes} for {payload}");
    reconcile(&mut ours, &mut theirs, true);
    assert_eq!(theirs.len(), 501);
    let mut third = store(1000);
    reconcile(&mut ours, &mut third, true);
    assert_eq!(third.summary(Range::ALL), ours.summary(Range::ALL), "all was given");
}

#[test]
fn ten_differences_among_a_hundred_thousand_cost_under_a_hundredth_of_a_copy() {
    let (mut ours, mut theirs) = (store(110_000), store(110_000));
    for subject in 0..100_000 {
        let bytes = record(subject / 200, subject, 1);
        let signed = Signed::check(&bytes, TODAY).unwrap();
        for store in [&mut ours, &mut theirs] {
            store.insert(&signed, Rank(1)).unwrap();
        }
    }
    for subject in 0..10 {
        let bytes = record(subject, subject * 7_919 % 200 + subject * 200, 2 + subject % 2);
        put(if subject % 2 == 0 { &mut ours } else { &mut theirs }, &bytes);
    }
    assert_ne!(ours.summary(Range::ALL), theirs.summary(Range::ALL));
    let difference = reconcile(&mut ours, &mut theirs, true);
    assert_eq!(ours.summary(Range::ALL), theirs.summary(Range::ALL));
    let copy: usize = ours.iter().map(|(record, _)| record.len() + 2).sum();
    std::println!("reconciling: {difference} bytes; full copy: {copy} bytes");
    assert!(difference * 100 < copy, "{difference} of {copy}");
}

#[test]
fn news_arrive_at_once_and_too_many_become_a_comparison() {
    let (mut ours, mut theirs) = (store(500), store(500));
    let (mut a, mut b) = (Sync::new(Millis(0), true), Sync::new(Millis(0), true));
    put(&mut ours, &record(1, 1, 1));
    a.tell(ours.next_in(Range::ALL, None).unwrap().0);
    let bytes = talk([&mut a, &mut b], [&mut ours, &mut theirs]).unwrap();
    assert!(theirs.len() == 1 && bytes[0] < 300 && bytes[1] == 0, "{bytes:?}");
    (2..200).for_each(|subject| put(&mut ours, &record(1, subject, 1)));
    let mut after = None;
    while let Some((id, _)) = ours.next_in(Range::ALL, after.as_ref()) {
        a.tell(id);
        after = Some(id);
    }
    talk([&mut a, &mut b], [&mut ours, &mut theirs]).unwrap();
    assert_eq!(ours.summary(Range::ALL), theirs.summary(Range::ALL));
}

#[test]
fn a_bad_record_costs_the_conversation_and_changes_nothing() {
    let mut theirs = store(10);
    let hear = |theirs: &mut Boxed, bytes: &[u8], today: Date| {
        let (mut body, mut buf) = (Body::new(), [0; MAX_FRAME]);
        assert!(pack(bytes, &mut body));
        let frame = Mirror::News(&body).encode(&mut buf).unwrap();
        Sync::new(Millis(0), true).handle_frame((Millis(0), today), theirs, frame, |_| Some(Rank(1)))
    };
    let good = record(1, 1, 1);
    let mut forged = good.clone();
    forged[..32].copy_from_slice(&key(2).verifying_key().to_bytes());
    assert_eq!(hear(&mut theirs, &forged, TODAY), Err(Reject::BadRecord(RecordError::WrongSignature)));
    assert_eq!(hear(&mut theirs, &[0; 1025], TODAY), Err(Reject::BadRecord(RecordError::Oversized)));
    let useless = Ok(Event::Records { new: 0, useless: 1 });
    assert_eq!(hear(&mut theirs, &good, TODAY.plus(999)), useless, "expired");
    assert_eq!(hear(&mut theirs, &good, Date(TODAY.0 - 9_999)), useless, "from the future");
    assert!(theirs.is_empty());
    assert_eq!(hear(&mut theirs, &good, TODAY), Ok(Event::Records { new: 1, useless: 0 }));
    assert_eq!(hear(&mut theirs, &good, TODAY), useless, "replayed");
}

#[test]
fn who_answers_wrongly_or_not_at_all_is_hung_up_on() {
    let mut ours = store(10);
    let mut buf = [0; MAX_FRAME];
    let mut hear = |sync: &mut Sync, message: Mirror<'_>| {
        let frame = message.encode(&mut buf).unwrap();
        sync.handle_frame((Millis(0), TODAY), &mut ours, frame, |_| Some(Rank(1)))
    };
    let mut sync = Sync::new(Millis(0), true);
    assert_eq!(hear(&mut sync, Mirror::Digests(&[0; 320])), Err(Reject::OutOfTurn));
    assert_eq!(hear(&mut sync, Mirror::Ask(&[0; 9])), Ok(Event::Quiet));
    assert_eq!(hear(&mut sync, Mirror::Ask(&[0; 9])), Err(Reject::Flood));
    assert_eq!(hear(&mut sync, Mirror::List(&[1; 9])), Err(Reject::Malformed));
    let mut sync = Sync::new(Millis(0), true);
    sync.start();
    let mut tx = [0; MAX_FRAME];
    assert!(sync.poll_transmit(Millis(0), &store(10), &mut tx).unwrap().is_some());
    assert_eq!(sync.poll_timeout(), Millis(ANSWER_MS));
    assert_eq!(sync.handle_timeout(Millis(ANSWER_MS - 1)), Ok(()));
    assert_eq!(sync.handle_timeout(Millis(ANSWER_MS)), Err(Reject::Silent));
    assert_eq!(hear(&mut sync, Mirror::Records { more: true, records: &[] }), Err(Reject::OutOfTurn));
}

#[test]
fn endless_differences_end() {
    let mut ours = store(100);
    (0..50).for_each(|subject| put(&mut ours, &record(1, subject, 1)));
    let mut sync = Sync::new(Millis(0), true);
    let (mut buf, mut random) = ([0; MAX_FRAME], Random::new(1));
    let mut asks = 0;
    let over = loop {
        if sync.is_done() {
            sync.start();
        }
        let frame = sync.poll_transmit(Millis(0), &ours, &mut buf).unwrap().unwrap().to_vec();
        let mut body = Body::new();
        let answer = match Mirror::decode(&frame).unwrap() {
            Mirror::Ask(ranges) => {
                for _ in 0..ranges.len() / 9 * 16 {
                    let lie = Summary { digest: random.array(), count: random.between(0, 40) as u32 };
                    body.extend_from_slice(&lie.pack()).unwrap();
                }
                Mirror::Digests(&body)
            }
            Mirror::List(ranges) => Mirror::Entries { ranges: (ranges.len() / 9) as u8, entries: &[] },
            Mirror::Take { .. } | Mirror::Fetch(_) => Mirror::Records { more: true, records: &[] },
            _ => continue,
        };
        asks += 1;
        let frame = answer.encode(&mut buf).unwrap().to_vec();
        if let Err(over) = sync.handle_frame((Millis(0), TODAY), &mut ours, &frame, |_| None) {
            break over;
        }
    };
    assert_eq!((over, asks), (Reject::Barren, crate::limits::BARREN_ASKS + 1));
}

/// A board that was copied: both say something else about the same, each in good faith and with a good signature.
#[test]
fn two_nodes_with_one_key_agree_on_one_of_two_stories() {
    let other = |subject: u64, version: u64| {
        let good = record(1, subject, version);
        let mut twin = Record::decode(&good).unwrap();
        twin.expires = TODAY.plus(998);
        let mut buf = [0; MAX_RECORD];
        twin.sign(&key(1), &mut buf).unwrap().to_vec()
    };
    let (mut ours, mut theirs) = (store(512), store(512));
    for subject in 0..100 {
        put(&mut ours, &record(1, subject, subject % 3));
        put(&mut theirs, &other(subject, subject % 2));
    }
    reconcile(&mut ours, &mut theirs, true);
    assert_eq!((ours.len(), theirs.len()), (100, 100), "one of each two");
    assert_eq!(ours.summary(Range::ALL), theirs.summary(Range::ALL));
    for subject in 0..100 {
        let id = Record::decode(&record(1, subject, 0)).unwrap().id();
        let kept = Record::decode(ours.get(&id).unwrap()).unwrap().version;
        assert_eq!(kept, (subject % 3).max(subject % 2), "the newer one");
    }
    // Whichever was kept stays, however often both are told again.
    let mut again = [ours.summary(Range::ALL); 2];
    for subject in 0..100 {
        for bytes in [record(1, subject, subject % 3), other(subject, subject % 2)] {
            _ = ours.insert(&Signed::check(&bytes, TODAY).unwrap(), Rank(1));
        }
    }
    again[1] = ours.summary(Range::ALL);
    assert_eq!(again[0], again[1]);
}
