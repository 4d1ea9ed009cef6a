//! No bytes open a conversation without the key and the token.
#![no_main]

use bulbil_core::hello::{Event, Hello, Secrets};
use bulbil_core::limits::MAX_FRAME;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let secrets = |seed: u8| Secrets::new([1; 16], &[seed; 32]);
    let mut sides = [Hello::listen(secrets(2), b"name", [3; 32]), Hello::dial(secrets(4), b"name", [5; 32])];
    let mut buf = [0; MAX_FRAME];
    for side in &mut sides {
        for frame in data.chunks(129) {
            while let Ok(Some(_)) = side.poll_transmit(&mut buf) {}
            match side.handle_frame(frame) {
                Ok(Event::Topic(_)) => side.answer(Some(secrets(6))),
                Ok(Event::Ready(_)) => panic!("opened without a proof"),
                Ok(_) => {}
                Err(_) => break,
            }
        }
    }
});
