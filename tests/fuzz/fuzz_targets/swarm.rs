//! Whatever a peer says, the swarm does not panic, and writes nothing that is not the share's.
//!
//! The first byte says who we are and how the rest is read: frames, each after two bytes of length (most significant first)
//! and one that says how long it took; or choices from which frames in the shape of messages are made, true blocks among them.
#![no_main]

use bulbil_core::bits::{Bits, words_for};
use bulbil_core::id::{BlockId, PeerKey};
use bulbil_core::limits::MAX_FRAME;
use bulbil_core::sim::{MemoryStore, Shaper, Share};
use bulbil_core::swarm::{LaneId, Settings, Swarm, block_slots};
use bulbil_core::time::Millis;
use bulbil_core::wire::Message;
use libfuzzer_sys::fuzz_target;

type Small = Swarm<Vec<u64>, std::rc::Rc<[bulbil_core::content::Span]>, 2, 2>;

/// The next frame and the milliseconds until it comes; `None` at the end.
fn next(data: &mut &[u8]) -> Option<(Vec<u8>, u64)> {
    let [high, low, wait, rest @ ..] = *data else { return None };
    let (frame, rest) = rest.split_at(usize::from(u16::from_be_bytes([*high, *low])).min(rest.len()));
    *data = rest;
    Some((frame.to_vec(), u64::from(*wait) * 50))
}

/// Lets time pass and everything be said; notes what is asked for.
fn settle(swarm: &mut Small, store: &mut MemoryStore, lanes: &[LaneId], now: Millis, asked: &mut Vec<BlockId>) {
    while swarm.poll_timeout().is_some_and(|due| due <= now) && swarm.handle_timeout(now).is_some() {}
    let mut tx = [0; MAX_FRAME];
    for lane in lanes {
        while let Ok(len @ 1..) = swarm.say(now, *lane, &mut tx, store) {
            if let Ok(Message::Request(id)) = Message::decode(&tx[..len]) {
                asked.push(id);
            }
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((first, data)) = data.split_first() else { return };
    let share = Share::new(1, 32 * 1024, &[100_000, 5]);
    let mut store = MemoryStore::new(share.clone(), first & 1 == 1, 1);
    let layout = share.layout();
    let bits = |len| Bits::new(vec![0_u64; words_for(len)], len).expect("enough words");
    let slots = block_slots(&layout).expect("a small share");
    let all = (bits(layout.pieces()), store.survivors(), bits(slots));
    let mut swarm: Small =
        Swarm::new(layout, all, PeerKey([1; 32]), Settings::default(), 7, Millis(0)).expect("bits of the right size");
    let name = (first & 2 == 2).then_some(&b"peer"[..]);
    // The endgame needs somebody else to be late.
    let lanes = [2, 3].map(|key| {
        swarm.lane_open(Millis(0), PeerKey([key; 32]), name, |len| Some(bits(len))).expect("an empty swarm")
    });
    let (mut data, mut shaper, mut now, mut asked) = (data, Shaper::new(data), Millis(0), vec![]);
    for turn in 0_usize.. {
        let lane = lanes[turn % 2];
        let (frame, wait) = if first & 4 == 0 {
            let Some(next) = next(&mut data) else { break };
            next
        } else if shaper.is_empty() {
            break;
        } else {
            let wait = u64::from(shaper.byte());
            (shaper.frame(&share, &asked), wait * wait)
        };
        now = now.plus(wait);
        settle(&mut swarm, &mut store, &lanes, now, &mut asked);
        _ = swarm.hear(now, lane, &frame, &mut store); // one that is over answers so
        if let Ok(Message::Block { id, .. } | Message::Refuse { id, .. }) = Message::decode(&frame) {
            asked.retain(|asked| *asked != id);
        }
    }
    lanes.iter().for_each(|lane| swarm.lane_closed(now, *lane));
    assert_eq!(store.bad_writes, 0);
});
