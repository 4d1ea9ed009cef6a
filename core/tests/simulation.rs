//! Whole swarms in virtual time: see `bulbil_core::sim`.

use bulbil_core::sim::{Net, Share, Spec, World};

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

#[test]
fn two_nodes_move_a_share() {
    let share = Share::new(1, 64 * 1024, &[MIB + 5, 3, 100 * KIB, 64 * KIB]);
    let mut world: World<8, 8> = World::new(1, share.clone(), Net::default());
    let seed = world.add(Spec { seed: true, ..Spec::default() }, &[]);
    let fetcher = world.add(Spec::default(), &[seed]);
    world.on(seed, 0);
    world.on(fetcher, 0);
    assert!(world.run(60_000, |world| world.is_done(fetcher)), "not whole after a minute");
    assert_eq!(world.tally(seed).sent, share.size());
    let tally = world.tally(fetcher);
    assert_eq!((tally.received, tally.written, tally.wasted), (share.size(), share.size(), 0));
    assert!(world.dropped().is_empty());
}
