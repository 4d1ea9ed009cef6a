//! Frames nobody meant, to a store in the middle of a reconciliation: it answers or hangs up, and takes in nothing unsigned.
//! The data is frames, each after two bytes of length, most significant first.
#![no_main]

use bulbil_core::time::{Date, Millis};
use bulbil_core::tracker::{Node, Parts, Rank, Slot, Store, Sync, Visibility};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let memory = Parts { slots: vec![Slot::EMPTY; 64], nodes: vec![Node::EMPTY; 16], bytes: vec![0; 16_384] };
    let mut store = Store::new(memory, Visibility::Public, 1).expect("enough memory");
    let mut sync = Sync::new(Millis(0), true);
    sync.start();
    let (mut rest, mut buf, mut now) = (data, vec![0; 20_000], Millis(0));
    while let Some((len, after)) = rest.split_first_chunk() {
        let (frame, after) = after.split_at(usize::from(u16::from_be_bytes(*len)).min(after.len()));
        rest = after;
        now = now.plus(1);
        if sync.handle_frame((now, Date(1_800_000_000)), &mut store, frame, |_| Some(Rank::STRANGER)).is_err()
        {
            return;
        }
        for _ in 0..4 {
            let said = sync.poll_transmit(now, &store, &mut buf).expect("room for a frame");
            if said.is_none() {
                break;
            }
        }
        assert!(store.len() <= 64 && sync.poll_timeout() >= now);
    }
});
