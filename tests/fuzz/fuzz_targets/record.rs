//! A record that passed keeps its meaning in any store, and no store grows past its memory.
#![no_main]

use bulbil_core::time::Date;
use bulbil_core::tracker::{Node, Outcome, Parts, Range, Rank, Record, Signed, Slot, Store, Visibility};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    // Whoever knows no key gets no further than the decoder, so that is tried on its own.
    let Ok(record) = Record::decode(data) else { return };
    assert!(data.len() <= 1024 && data.starts_with(&record.author.0));
    let today = Date(record.expires.0.saturating_sub(1));
    let Ok(signed) = Signed::check(data, today) else { return };
    let memory = Parts { slots: [Slot::EMPTY; 2], nodes: [Node::EMPTY; 4], bytes: [0; 4096] };
    let mut store = Store::new(memory, Visibility::Private, 1).expect("enough memory");
    assert_eq!(store.insert(&signed, Rank::STRANGER), Ok(Outcome::New));
    assert_eq!(store.insert(&signed, Rank::OWN), Ok(Outcome::Known));
    assert_eq!(store.get(&record.id()), Some(data));
    assert_eq!(store.summary(Range::ALL).count, 1);
    assert_eq!(store.expire(record.expires), 1);
});
