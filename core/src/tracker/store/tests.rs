#![allow(clippy::cast_possible_truncation, reason = "numbers drawn below the limits of their types")]

use std::collections::BTreeMap;
use std::{vec, vec::Vec};

use ed25519_dalek::SigningKey;

use super::*;
use crate::id::InfoHash;
use crate::limits::{MAX_RECORD, RECORD_LIFE_S};
use crate::sim::Random;
use crate::tracker::record::{Kind, Record};

const TODAY: Date = Date(1_800_000_000);

type Boxed = Parts<Vec<Slot>, Vec<Node>, Vec<u8>>;

fn store(slots: usize, nodes: usize, bytes: usize) -> Store<Boxed> {
    let memory =
        Parts { slots: vec![Slot::EMPTY; slots], nodes: vec![Node::EMPTY; nodes], bytes: vec![0; bytes] };
    Store::new(memory, Visibility::Public, 7).unwrap()
}

fn signed(seed: u8, subject: u64, version: u64, life: u64, tombstone: bool) -> Vec<u8> {
    let mut hash = [0; 32];
    hash[..8].copy_from_slice(&subject.to_be_bytes());
    let body = if tombstone {
        Body::Tombstone { kind: Kind::Peer, subject: hash }
    } else {
        Body::Peer { info_hash: InfoHash(hash), name: b"somewhere", token: [1; 16] }
    };
    let expires = if tombstone { TODAY.plus(RECORD_LIFE_S) } else { TODAY.plus(life) };
    let mut buf = [0; MAX_RECORD];
    let record = Record { author: NodeKey([0; 32]), version, made: TODAY, expires, body };
    record.sign(&SigningKey::from_bytes(&[seed; 32]), &mut buf).unwrap().to_vec()
}

fn put(store: &mut Store<Boxed>, bytes: &[u8], rank: u8) -> Result<Outcome, Refused> {
    store.insert(&Signed::check(bytes, TODAY).unwrap(), Rank(rank))
}

fn contents(store: &Store<Boxed>) -> BTreeMap<RecordId, Vec<u8>> {
    store.iter().map(|(bytes, _)| (Record::decode(bytes).unwrap().id(), bytes.to_vec())).collect()
}

/// All that must hold whatever happened.
fn check(store: &Store<Boxed>) {
    let all = contents(store);
    assert_eq!(all.len(), store.len());
    for (id, bytes) in &all {
        assert_eq!(store.get(id), Some(&bytes[..]));
    }
    let mut listed = Vec::new();
    while let Some((id, _)) = store.next_in(Range::ALL, listed.last()) {
        listed.push(id);
    }
    assert!(listed.iter().eq(all.keys()), "listed in order of name");
    for range in
        [Range::ALL, Range::ALL.part(3), Range::ALL.part(3).part(9), Range::ALL.part(3).part(9).part(1)]
    {
        let inside = all.keys().filter(|id| range.has(id)).count();
        assert_eq!(store.summary(range).count as usize, inside);
        let parts = (0..16).fold(0, |sum, part| sum + store.summary(range.part(part)).count);
        assert_eq!(parts as usize, inside);
    }
}

#[test]
fn any_order_gives_the_same_store_whatever_its_size() {
    let mut random = Random::new(4);
    let mut records: Vec<_> = (0..300)
        .map(|_| {
            signed(
                random.between(1, 3) as u8,
                random.between(0, 60),
                random.between(0, 5),
                random.between(1, 3),
                random.happens(200_000),
            )
        })
        .collect();
    let mut stores = [store(400, 2, 200_000), store(400, 64, 100_000), store(400, 1024, 100_000)];
    for store in &mut stores {
        for _ in 0..2 {
            for at in (1..records.len()).rev() {
                records.swap(at, random.between(0, at as u64) as usize);
            }
            for bytes in &records {
                let before = store.summary(Range::ALL);
                let outcome = put(store, bytes, 1);
                if store.memory.nodes.len() == 2 && outcome == Err(Refused::Full) {
                    continue; // one leaf for all of them
                }
                let changed = matches!(outcome, Ok(Outcome::New | Outcome::Newer));
                assert_eq!(store.summary(Range::ALL) != before, changed, "{outcome:?}");
            }
        }
        check(store);
    }
    assert_eq!(contents(&stores[1]), contents(&stores[2]));
    assert_eq!(stores[1].summary(Range::ALL), stores[2].summary(Range::ALL));
    assert_eq!(stores[0].len(), MAX_LEAF);
}

#[test]
fn a_tombstone_ends_a_record_and_old_copies_stay_out() {
    let mut store = store(8, 8, 4096);
    let first = signed(1, 1, 1, 100, false);
    assert_eq!(put(&mut store, &first, 1), Ok(Outcome::New));
    assert_eq!(put(&mut store, &first, 1), Ok(Outcome::Known));
    assert_eq!(put(&mut store, &signed(1, 1, 2, 0, true), 1), Ok(Outcome::Newer));
    assert_eq!(put(&mut store, &first, 1), Ok(Outcome::Older), "replayed");
    assert_eq!(put(&mut store, &signed(2, 1, 9, 100, false), 1), Ok(Outcome::New), "another author's");
    assert_eq!(store.expire(TODAY.plus(100)), 1);
    assert_eq!(store.expire(TODAY.plus(RECORD_LIFE_S)), 1);
    assert!(store.is_empty());
    assert_eq!(store.summary(Range::ALL), Summary::default());
}

#[test]
fn the_far_go_before_the_near_and_the_short_lived_before_the_long_lived() {
    let mut store = store(4, 8, 8192);
    for (subject, life, rank) in [(1, 50, 0), (2, 10, 1), (3, 90, 255), (4, 80, 255)] {
        assert_eq!(put(&mut store, &signed(1, subject, 1, life, false), rank), Ok(Outcome::New));
    }
    let subjects = |store: &Store<Boxed>| {
        let mut subjects: Vec<_> =
            store.iter().map(|(bytes, _)| Record::decode(bytes).unwrap().body.about().1[7]).collect();
        subjects.sort_unstable();
        subjects
    };
    assert_eq!(put(&mut store, &signed(1, 5, 1, 70, false), 255), Err(Refused::Full), "worse than all");
    assert_eq!(put(&mut store, &signed(1, 6, 1, 85, false), 255), Ok(Outcome::New));
    assert_eq!(subjects(&store), [1, 2, 3, 6], "4 expired sooner than 3");
    assert_eq!(put(&mut store, &signed(1, 7, 1, 20, false), 1), Ok(Outcome::New));
    assert_eq!(put(&mut store, &signed(1, 8, 1, 30, false), 1), Ok(Outcome::New));
    assert_eq!(subjects(&store), [1, 2, 7, 8], "strangers went");
    assert_eq!(put(&mut store, &signed(1, 9, 1, 1, false), 0), Ok(Outcome::New));
    assert_eq!(subjects(&store), [1, 7, 8, 9], "our own push others out");
    assert_eq!(put(&mut store, &signed(1, 9, 0, 1, false), 0), Ok(Outcome::Older));
    check(&store);
}

#[test]
fn a_node_that_signs_without_end_keeps_its_newest_and_nobody_elses_place() {
    let mut store = store(4096, 1024, 2_000_000);
    for subject in 0..50 {
        put(&mut store, &signed(2, subject, 1, 100, false), 1).unwrap();
    }
    for subject in 0..(AUTHOR_QUOTA as u64 + 500) {
        let outcome = put(&mut store, &signed(1, subject, 1, 100, false), 1);
        assert!(matches!(outcome, Ok(Outcome::New) | Err(Refused::Quota)));
    }
    assert_eq!(store.len(), 50 + AUTHOR_QUOTA);
    let theirs = SigningKey::from_bytes(&[1; 32]).verifying_key().to_bytes();
    assert_eq!(store.rank(|author| (author.0 != theirs).then_some(Rank(3))), AUTHOR_QUOTA, "blocked");
    assert_eq!(store.len(), 50);
    check(&store);
}

#[test]
fn one_record_is_discarded_and_may_come_again() {
    let mut store = store(8, 8, 4096);
    let (first, second) = (signed(1, 1, 1, 100, false), signed(2, 1, 1, 100, false));
    put(&mut store, &second, 1).unwrap();
    let before = store.summary(Range::ALL);
    put(&mut store, &first, 1).unwrap();
    let id = Record::decode(&first).unwrap().id();
    assert!(store.discard(&id) && !store.discard(&id));
    assert_eq!((store.get(&id), store.summary(Range::ALL)), (None, before));
    check(&store);
    assert_eq!(put(&mut store, &first, 1), Ok(Outcome::New));
}

#[test]
fn a_private_share_stays_out_of_a_public_store() {
    let share = Body::Share {
        info_hash: InfoHash([1; 32]),
        name: "",
        size: 0,
        tags: "",
        text: "",
        visibility: Visibility::Private,
    };
    let record =
        Record { author: NodeKey([0; 32]), version: 1, made: TODAY, expires: TODAY.plus(9), body: share };
    let mut buf = [0; MAX_RECORD];
    let bytes = record.sign(&SigningKey::from_bytes(&[1; 32]), &mut buf).unwrap().to_vec();
    assert_eq!(put(&mut store(8, 8, 4096), &bytes, 0), Err(Refused::Private));
    let memory = Parts { slots: [Slot::EMPTY; 2], nodes: [Node::EMPTY; 2], bytes: [0; 2048] };
    let mut private = Store::new(memory, Visibility::Private, 1).unwrap();
    assert_eq!(private.insert(&Signed::check(&bytes, TODAY).unwrap(), Rank::OWN), Ok(Outcome::New));
}

#[test]
fn bytes_are_moved_together_and_never_mixed_up() {
    let mut random = Random::new(5);
    let mut store = store(64, 16, 6_000);
    let mut longest = 0;
    for round in 0..3_000_u64 {
        let bytes =
            signed(random.between(1, 4) as u8, random.between(0, 30), round, random.between(1, 500), false);
        _ = put(&mut store, &bytes, random.between(0, 255).max(1) as u8);
        longest = longest.max(store.len());
        if round % 100 == 0 {
            check(&store);
            store.expire(TODAY.plus(random.between(0, 60)));
        }
    }
    assert!(longest >= 25, "{longest} records of 200 bytes fit");
}

#[test]
fn wrong_memory_is_refused() {
    let with = |slots, nodes| {
        let memory =
            Parts { slots: vec![Slot::EMPTY; slots], nodes: vec![Node::EMPTY; nodes], bytes: vec![0; 9] };
        Store::new(memory, Visibility::Public, 1).err()
    };
    assert_eq!([with(0, 8), with(8, 0), with(8, 1), with(8, 12)], [Some(WrongMemory); 4]);
    assert_eq!(with(1, 2), None);
}
