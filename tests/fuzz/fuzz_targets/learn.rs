//! Whatever a peer answers about metadata: nothing panics, and nothing is handed on that was not asked for.
#![no_main]

use bulbil_core::learn::{Event, Learn};
use bulbil_core::limits::{BLOCK_LEN, MAX_FRAME, MAX_INFO};
use bulbil_core::time::Millis;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|frames: Vec<Vec<u8>>| {
    let mut learn = Learn::new(Millis(0), None);
    let mut buf = [0; MAX_FRAME];
    let mut next = 0;
    for (now, frame) in (1..).zip(&frames) {
        while learn.poll_transmit(&mut buf).expect("room for any frame").is_some() {}
        if learn.is_ready() {
            learn.want(0, 600);
        }
        match learn.handle_frame(Millis(now), frame) {
            Ok(Event::Info { total, offset, bytes, .. }) => {
                assert_eq!(offset, next, "parts come in order");
                assert!(!bytes.is_empty() && bytes.len() <= BLOCK_LEN && total <= MAX_INFO);
                next += u32::try_from(bytes.len()).expect("a block fits");
                assert!(next <= total);
            }
            Ok(_) => {}
            Err(_) => return,
        }
    }
});
