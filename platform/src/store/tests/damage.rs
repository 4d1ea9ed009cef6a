//! A swarm over a fetch whose ledger is damaged while it is written.

use bulbil_core::bits::{Bits, words_for};
use bulbil_core::content::Span;
use bulbil_core::id::PeerKey;
use bulbil_core::limits::MAX_FRAME;
use bulbil_core::swarm::{Event, LaneId, Settings, Swarm, block_slot, block_slots};
use bulbil_core::time::Millis;

use super::*;

type Small = Swarm<Box<[u64]>, Vec<Span>, 2, 2>;

/// Rounds of frames after which the fetch should long be whole.
const ROUNDS: u64 = 1_000;

/// One end of the only conversation.
struct Side<S> {
    swarm: Small,
    store: S,
    lane: LaneId,
}

fn bits(len: u32) -> Bits<Box<[u64]>> {
    Bits::new(vec![0; words_for(len)].into_boxed_slice(), len).unwrap()
}

impl<S: Store> Side<S> {
    fn new(content: &Content, store: S, seed: bool) -> Self {
        let layout = content.layout().clone();
        let slots = block_slots(&layout).unwrap();
        let mut blocks = bits(slots);
        (0..slots).filter(|_| seed).for_each(|slot| _ = blocks.set(slot));
        let all = (bits(layout.pieces()), blocks, bits(slots));
        let (us, them) = (PeerKey([u8::from(seed); 32]), PeerKey([u8::from(!seed); 32]));
        let mut swarm = Small::new(layout, all, us, Settings::default(), 7, Millis(0)).unwrap();
        let name = (!seed).then_some(&b"peer"[..]);
        let lane = swarm.lane_open(Millis(0), them, name, |len| Some(bits(len))).unwrap();
        Self { swarm, store, lane }
    }

    fn say(&mut self, now: Millis) -> Vec<Vec<u8>> {
        while self.swarm.handle_timeout(now).is_some() {}
        let (mut frames, mut buf) = (Vec::new(), [0; MAX_FRAME]);
        while let Ok(len @ 1..) = self.swarm.say(now, self.lane, &mut buf, &mut self.store) {
            frames.push(buf[..len].to_vec());
        }
        frames
    }

    fn hear(&mut self, now: Millis, frame: &[u8]) -> Event {
        self.swarm.hear(now, self.lane, frame, &mut self.store).unwrap()
    }
}

#[test]
fn a_leaf_damaged_in_mid_fetch_costs_its_piece_once() {
    let Source { content, served, scratch: _scratch } = source(&[("file", 16 * BLOCK)]);
    let out = Scratch::new("store");
    let target = Fetched::open(Arc::clone(&content), out.path(), Fsync::Never).unwrap();
    let (mut seed, mut fetcher) = (Side::new(&content, served, true), Side::new(&content, target, false));
    let mut faults = Vec::new();
    let mut damaged = None;
    for now in (0..ROUNDS).map(|round| Millis(round * 100)) {
        for frame in seed.say(now) {
            if fetcher.swarm.is_whole() {
                break; // two who have everything part
            }
            match fetcher.hear(now, &frame) {
                Event::Block(id) if damaged.is_none() => {
                    let path = out.path().join(".share.bulbil/leaves");
                    let leaves = OpenOptions::new().write(true).open(path).unwrap();
                    let slot = u64::from(block_slot(content.layout(), id));
                    leaves.write_all_at(&[7; 32], slot * 32).unwrap();
                    damaged = Some(id.piece);
                }
                Event::Fault(fault) => {
                    faults.push(fault);
                    assert_eq!(fetcher.swarm.verified(), fetcher.store.done(), "both lost the piece");
                    fetcher.swarm.resume();
                }
                _ => {}
            }
        }
        if fetcher.swarm.is_whole() {
            break;
        }
        for frame in fetcher.say(now) {
            seed.hear(now, &frame);
        }
    }
    assert!(damaged.is_some());
    assert_eq!(faults, [StoreError::Changed]);
    assert!(fetcher.swarm.is_whole());
    let total = content.layout().total();
    assert_eq!((fetcher.swarm.verified(), fetcher.store.done()), (total, total));
    assert_eq!(fetcher.swarm.received(), total + 2 * BLOCK as u64, "one piece came twice");
    finish(&mut fetcher.store);
    assert_eq!(fs::read(out.path().join("share/file")).unwrap(), bytes(0, 16 * BLOCK));
}

#[test]
fn leaves_that_cannot_be_read_cost_one_block_and_are_the_disks_fault() {
    let mut source = source(&[("file", 4 * BLOCK)]);
    let out = Scratch::new("store");
    let mut target = fetched(&source, out.path());
    let id = |block| BlockId { piece: 0, block };
    copy(&mut source, &mut target, id(0)).unwrap();
    let path = out.path().join(".share.bulbil/leaves");
    let blind = OpenOptions::new().write(true).open(path).unwrap();
    let leaves = target.swap_leaves(blind);
    for _ in 0..2 {
        assert_eq!(copy(&mut source, &mut target, id(1)), Err(StoreError::Failed));
        assert!(target.has(id(0)) && !target.has(id(1)));
        assert_eq!(target.done(), BLOCK as u64);
    }
    target.swap_leaves(leaves);
    copy(&mut source, &mut target, id(1)).unwrap();
    assert!(target.has_piece(0));
}
