//! Whatever a peer says, the swarm does not panic, and writes nothing that is not the share's.
#![no_main]

use bulbil_core::bits::{Bits, words_for};
use bulbil_core::id::PeerKey;
use bulbil_core::limits::MAX_FRAME;
use bulbil_core::sim::{MemoryStore, Share};
use bulbil_core::swarm::{Settings, Swarm, block_slots};
use bulbil_core::time::Millis;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((first, data)) = data.split_first() else { return };
    let share = Share::new(1, 32 * 1024, &[100_000, 5]);
    let mut store = MemoryStore::new(share.clone(), first & 1 == 1, 1);
    let layout = share.layout();
    let bits = |len| Bits::new(vec![0_u64; words_for(len)], len).expect("enough words");
    let slots = block_slots(&layout).expect("a small share");
    let all = (bits(layout.pieces()), store.survivors(), bits(slots));
    let mut swarm: Swarm<_, _, 2, 2> =
        Swarm::new(layout, all, PeerKey([1; 32]), Settings::default(), 7, Millis(0)).expect("bits of the right size");
    let name = (first & 2 == 2).then_some(&b"peer"[..]);
    let lane = swarm.lane_open(Millis(0), PeerKey([2; 32]), name, |len| Some(bits(len))).expect("an empty swarm");
    let (mut data, mut now, mut tx) = (data, 0, [0; MAX_FRAME]);
    // Each frame: its length, how long it took, its bytes.
    while let [len, wait, rest @ ..] = data {
        let (frame, rest) = rest.split_at(usize::from(*len).min(rest.len()));
        (data, now) = (rest, now + u64::from(*wait) * 50);
        while swarm.poll_timeout().is_some_and(|due| due <= Millis(now)) {
            if swarm.handle_timeout(Millis(now)).is_none() {
                break;
            }
        }
        while swarm.say(Millis(now), lane, &mut tx, &mut store).is_ok_and(|len| len > 0) {}
        if swarm.hear(Millis(now), lane, frame, &mut store).is_err() {
            break;
        }
    }
    swarm.lane_closed(Millis(now), lane);
    assert_eq!(store.bad_writes, 0);
});
