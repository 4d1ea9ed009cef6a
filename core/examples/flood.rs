//! A node that signs without end, against a store in which others have records too: prints what it gets, and fails unless that is
//! its own newest ones in the store's own memory.
//!
//! `cargo run -p bulbil-core --example flood --features sim [RECORDS]`, a million without. Most of the time is its own, for signing.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use bulbil_core::id::{InfoHash, NodeKey};
use bulbil_core::limits::{AUTHOR_QUOTA, MAX_RECORD, RECORD_LIFE_S};
use bulbil_core::time::Date;
use bulbil_core::tracker::{Body, Node, Parts, Rank, Record, Signed, Slot, Store, Visibility};
use ed25519_dalek::SigningKey;

const TODAY: Date = Date(1_800_000_000);

/// Places of the store, as a node with 96 MiB has them.
const PLACES: usize = 4096;

/// Records that others have there.
const OTHERS: u32 = 512;

type Memory = Parts<Box<[Slot]>, Box<[Node]>, Box<[u8]>>;

fn share(key: &SigningKey, number: u32, made: Date) -> Option<Vec<u8>> {
    let mut info_hash = [0; 32];
    info_hash.first_chunk_mut::<4>()?.copy_from_slice(&number.to_be_bytes());
    let body = Body::Share {
        info_hash: InfoHash(info_hash),
        name: "junk",
        size: 1,
        tags: "",
        text: "",
        visibility: Visibility::Public,
    };
    let expires = made.plus(RECORD_LIFE_S / 2);
    let record = Record { author: NodeKey([0; 32]), version: 1, made, expires, body };
    record.sign(key, &mut [0; MAX_RECORD]).ok().map(<[u8]>::to_vec)
}

/// Records of this author, and the number of the oldest.
fn kept(store: &Store<Memory>, key: &SigningKey) -> (usize, u32) {
    let author = key.verifying_key().to_bytes();
    let records = store.iter().filter_map(|(bytes, _)| Record::decode(bytes).ok());
    let numbers = records.filter(|record| record.author.0 == author).map(|record| {
        let (_, subject) = record.body.about();
        u32::from_be_bytes(subject.first_chunk().copied().unwrap_or_default())
    });
    numbers.fold((0, u32::MAX), |(count, oldest), number| (count + 1, oldest.min(number)))
}

fn play(records: u32) -> Option<bool> {
    let memory: Memory = Parts {
        slots: vec![Slot::EMPTY; PLACES].into(),
        nodes: vec![Node::EMPTY; PLACES / 4].into(),
        bytes: vec![0; PLACES * 256].into(),
    };
    let mut store = Store::new(memory, Visibility::Public, 7).ok()?;
    let (honest, flooder) = (SigningKey::from_bytes(&[1; 32]), SigningKey::from_bytes(&[2; 32]));
    for number in 0..OTHERS {
        let bytes = share(&honest, number, TODAY)?;
        store.insert(&Signed::check(&bytes, TODAY).ok()?, Rank::STRANGER).ok()?;
    }
    let (mut checking, mut most) = (Duration::ZERO, 0);
    for number in 0..records {
        // Newer and newer, so that it always has a claim to room.
        let bytes = share(&flooder, number, Date(TODAY.0 + u64::from(number) / 1000))?;
        let begun = Instant::now();
        _ = store.insert(&Signed::check(&bytes, TODAY).ok()?, Rank::STRANGER);
        checking += begun.elapsed();
        most = most.max(store.len());
    }
    let ((others, _), (own, oldest)) = (kept(&store, &honest), kept(&store, &flooder));
    let each = checking.as_micros() / u128::from(records.max(1));
    println!(
        "signed {records}: {own} of them are kept, the oldest is number {oldest}; {each} us to take one in"
    );
    println!("others have {others} of {OTHERS}; {most} records at most, in memory for {PLACES}");
    let quota = AUTHOR_QUOTA.min(usize::try_from(records).ok()?);
    let newest = u64::from(oldest) + 3000 >= u64::from(records);
    Some(own == quota && others == usize::try_from(OTHERS).ok()? && most <= quota + others && newest)
}

fn main() -> ExitCode {
    let records = std::env::args().nth(1).map_or(Ok(1_000_000), |count| count.parse());
    match records.ok().and_then(play) {
        Some(true) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}
