//! No bytes make a friend without the code: neither side meets anybody, and a wrong guess is the last thing it hears.
//! The data is frames, each after two bytes of length, most significant first.
#![no_main]

use bulbil_core::friend::{Event, Meeting, Pake};
use libfuzzer_sys::fuzz_target;

/// A key exchange that gives a key nobody knows for every other element.
struct Sham(u8);

impl Pake for Sham {
    fn element(&self) -> [u8; 32] {
        [self.0; 32]
    }

    fn finish(self, theirs: &[u8; 32]) -> Option<[u8; 32]> {
        (theirs[0] % 2 == 0).then_some([self.0 ^ 0x5a; 32])
    }
}

fuzz_target!(|data: &[u8]| {
    let name = [7; 34];
    let sides =
        [Meeting::host(Sham(1), b"place", &[2; 32], &name), Meeting::guest(Sham(3), b"place", &[4; 32], &name)];
    let mut buf = [0; 256];
    for mut side in sides {
        let (mut rest, mut guessed) = (data, false);
        while let Some((len, after)) = rest.split_first_chunk() {
            let (frame, after) = after.split_at(usize::from(u16::from_be_bytes(*len)).min(after.len()));
            rest = after;
            while side.poll_transmit(&mut buf).expect("room for a frame").is_some() {}
            match side.handle_frame(frame) {
                Ok(Event::Met(_) | Event::Done) => panic!("met somebody who does not know the code"),
                Ok(_) if guessed => panic!("a second guess"),
                Ok(Event::WrongGuess | Event::Refused) => guessed = true,
                Ok(Event::Progress) => {}
                Err(_) => break,
            }
        }
    }
});
