//! A message that was read is written back to the same meaning.
#![no_main]

use bulbil_core::limits::MAX_FRAME;
use bulbil_core::wire::Message;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(message) = Message::decode(data) else { return };
    let mut buf = vec![0; data.len().max(MAX_FRAME)];
    let frame = message.encode(&mut buf).expect("room for it").to_vec();
    assert_eq!(Message::decode(&frame), Ok(message));
});
