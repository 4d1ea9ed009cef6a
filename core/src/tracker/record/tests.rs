#![allow(clippy::cast_possible_truncation, reason = "numbers drawn below the limits of their types")]

use std::vec::Vec;

use super::*;
use crate::sim::Random;

const TODAY: Date = Date(1_800_000_000);

fn share(version: u64) -> Record<'static> {
    let info_hash = InfoHash([7; 32]);
    let body =
        Body::Share { info_hash, name: "a", size: 300, tags: "t", text: "", visibility: Visibility::Public };
    Record { author: NodeKey([0; 32]), version, made: TODAY, expires: TODAY.plus(3600), body }
}

fn signed(record: Record<'_>, seed: u8) -> Vec<u8> {
    let mut buf = [0; MAX_RECORD];
    record.sign(&SigningKey::from_bytes(&[seed; 32]), &mut buf).unwrap().to_vec()
}

fn check(bytes: &[u8]) -> Result<(), RecordError> {
    Signed::check(bytes, TODAY).map(|_| ())
}

#[test]
fn every_body_keeps_its_bytes() {
    let golden = |body: Body<'_>, parts: &[&[u8]]| {
        let bytes: Vec<u8> = parts.concat();
        let mut buf = [0; MAX_RECORD];
        assert_eq!(postcard::to_slice(&body, &mut buf).unwrap(), bytes, "{body:?}");
        assert_eq!(postcard::from_bytes::<Body<'_>>(&bytes).unwrap(), body);
    };
    let info_hash = InfoHash([7; 32]);
    golden(share(1).body, &[&[0], &[7; 32], &[1, b'a', 0xac, 2, 1, b't', 0, 1]]);
    golden(Body::Peer { info_hash, name: b"n", token: [8; 16] }, &[&[1], &[7; 32], &[1, b'n'], &[8; 16]]);
    golden(Body::Trust { node: NodeKey([9; 32]), name: b"" }, &[&[2], &[9; 32], &[0]]);
    golden(Body::Tombstone { kind: Kind::Trust, subject: [9; 32] }, &[&[3, 2], &[9; 32]]);
}

#[test]
fn a_signed_record_keeps_its_bytes() {
    let bytes = signed(share(1), 5);
    let author = SigningKey::from_bytes(&[5; 32]).verifying_key().to_bytes();
    let date = [0x80, 0xa4, 0xa7, 0xda, 6];
    let later = [0x90, 0xc0, 0xa7, 0xda, 6];
    let body =
        [&author[..], &[1], &date, &later, &[0], &[7; 32], &[1, b'a', 0xac, 2, 1, b't', 0, 1]].concat();
    assert_eq!(bytes.len(), body.len() + 64);
    assert_eq!(bytes[..body.len()], body);
    let fingerprint = Sha256::digest(&bytes);
    assert_eq!(
        fingerprint[..4],
        [0x07, 0xdf, 0x69, 0x18],
        "ed25519 signatures are deterministic: {fingerprint:02x?}"
    );
    assert_eq!(Signed::check(&bytes, TODAY).unwrap().record().body, share(1).body);
}

#[test]
#[cfg_attr(miri, ignore = "ten seconds for each signature")]
fn each_fault_has_its_own_error() {
    let good = signed(share(1), 5);
    assert_eq!(check(&good), Ok(()));
    let change = |change: &dyn Fn(&mut Record<'static>)| {
        let mut record = share(1);
        change(&mut record);
        check(&signed(record, 5))
    };
    assert_eq!(change(&|record| record.made = TODAY.plus(FUTURE_S)), Err(RecordError::WrongLife));
    let past = Date(TODAY.0 - 3600);
    assert_eq!(change(&|record| (record.made, record.expires) = (past, TODAY)), Err(RecordError::Expired));
    let ahead = |by: u64| (TODAY.plus(by), TODAY.plus(by + 60));
    assert_eq!(change(&|record| (record.made, record.expires) = ahead(FUTURE_S)), Ok(()));
    assert_eq!(
        change(&|record| (record.made, record.expires) = ahead(FUTURE_S + 1)),
        Err(RecordError::FutureDated)
    );
    assert_eq!(change(&|record| record.expires = record.made.plus(RECORD_LIFE_S)), Ok(()));
    assert_eq!(
        change(&|record| record.expires = record.made.plus(RECORD_LIFE_S + 1)),
        Err(RecordError::WrongLife)
    );
    let tombstone = Body::Tombstone { kind: Kind::Share, subject: [7; 32] };
    assert_eq!(change(&|record| record.body = tombstone), Err(RecordError::WrongLife), "ends early");

    let mut forged = good.clone();
    forged[..32].copy_from_slice(&SigningKey::from_bytes(&[6; 32]).verifying_key().to_bytes());
    assert_eq!(check(&forged), Err(RecordError::WrongSignature), "somebody else's name on it");
    forged[..32].copy_from_slice(&[&[1][..], &[0; 31]].concat());
    assert_eq!(check(&forged), Err(RecordError::ForgedAuthor), "a key of small order");
    forged[..32].copy_from_slice(&[2; 32]);
    assert_eq!(check(&forged), Err(RecordError::ForgedAuthor), "no point of the curve");

    assert_eq!(check(&[0; MAX_RECORD + 1]), Err(RecordError::Oversized));
    let mut long = share(1);
    let text = "x".repeat(MAX_TEXT + 1);
    long.body = Body::Share {
        info_hash: InfoHash([7; 32]),
        name: "",
        size: 0,
        tags: "",
        text: &text,
        visibility: Visibility::Public,
    };
    let mut buf = [0; MAX_RECORD];
    assert_eq!(long.sign(&SigningKey::from_bytes(&[5; 32]), &mut buf), Err(TooSmall));
    let len = postcard::to_slice(&long, &mut buf).unwrap().len();
    assert_eq!(check(&buf[..len + 64]), Err(RecordError::Oversized));
    assert_eq!(check(&[]), Err(RecordError::Malformed));
    let mut longer = good.clone();
    longer.insert(good.len() - 64, 0);
    assert_eq!(check(&longer), Err(RecordError::Malformed), "nothing may follow");
    let mut padded = good.clone();
    padded.splice(32..33, [0x81, 0]);
    assert_eq!(check(&padded), Err(RecordError::Malformed), "the version in two bytes");
}

#[test]
#[cfg_attr(miri, ignore = "ten seconds for each signature")]
fn no_bit_may_change() {
    let good = signed(share(1), 5);
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(check(&bad).is_err(), "bit {bit}");
    }
}

#[test]
#[cfg_attr(miri, ignore = "ten seconds for each signature")]
fn the_longest_record_fits() {
    let (name, tags, text) = ("n".repeat(MAX_COMPONENT), "t".repeat(MAX_TAGS), "x".repeat(MAX_TEXT));
    let mut record = share(u64::MAX);
    let (info_hash, visibility) = (InfoHash([7; 32]), Visibility::Public);
    record.body =
        Body::Share { info_hash, name: &name, size: u64::MAX, tags: &tags, text: &text, visibility };
    assert_eq!(check(&signed(record, 5)), Ok(()));
}

#[test]
#[cfg_attr(miri, ignore = "ten seconds for each signature")]
fn merging_is_commutative_associative_and_idempotent() {
    let mut random = Random::new(3);
    let all: Vec<Vec<u8>> = (0..40)
        .map(|_| {
            let mut record = share(random.between(0, 4));
            record.expires = TODAY.plus(random.between(1, 5));
            signed(record, 5)
        })
        .collect();
    let all: Vec<_> = all.iter().map(|bytes| Signed::check(bytes, TODAY).unwrap()).collect();
    for _ in 0..2_000 {
        let [a, b, c] = core::array::from_fn(|_| all[random.between(0, 39) as usize]);
        assert_eq!(merge(a, b).bytes(), merge(b, a).bytes());
        assert_eq!(merge(a, merge(b, c)).bytes(), merge(merge(a, b), c).bytes());
        assert_eq!(merge(a, a).bytes(), a.bytes());
        assert!(merge(a, b).record().version >= a.record().version.max(b.record().version));
    }
}

#[test]
fn a_tombstone_has_the_name_of_what_it_ends() {
    let mut record = share(1);
    let id = record.id();
    record.body = Body::Tombstone { kind: Kind::Share, subject: [7; 32] };
    assert_eq!(record.id(), id);
    record.body = Body::Tombstone { kind: Kind::Peer, subject: [7; 32] };
    assert_ne!(record.id(), id);
}
