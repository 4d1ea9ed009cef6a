//! A frame of mail that was read is written back to the same bytes' meaning, and a letter in it is taken in once.
#![no_main]

use bulbil_core::id::NodeKey;
use bulbil_core::limits::{MAX_FRAME, MAX_MAIL};
use bulbil_core::mail::{Arrival, Inbox};
use bulbil_core::time::Millis;
use bulbil_core::wire::mail::Mail;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(mail) = Mail::decode(data) else { return };
    let mut buf = vec![0; data.len().max(MAX_FRAME)];
    let frame = mail.encode(&mut buf).expect("room for it").to_vec();
    assert_eq!(Mail::decode(&frame), Ok(mail));
    let Mail::Letter { id, text } = mail else { return };
    assert!(text.len() <= MAX_MAIL);
    let mut inbox: Inbox<2, 2> = Inbox::new();
    let arrivals = [0, 1].map(|now| inbox.arrive(Millis(now), NodeKey([1; 32]), id, text));
    assert_eq!(arrivals, [Arrival::Taken, Arrival::Repeated]);
});
