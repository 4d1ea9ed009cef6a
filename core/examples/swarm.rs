//! Plays some swarms in virtual time and prints what became of them; then the bytes of the machines.
//!
//! `cargo run -p bulbil-core --example swarm --features sim`

#![allow(clippy::cast_precision_loss, reason = "figures to look at")]

use std::process::ExitCode;

use bulbil_core::content::Span;
use bulbil_core::sim::{Net, Share, Spec, Vice, World};
use bulbil_core::swarm::Swarm;

const MIB: u64 = 1024 * 1024;

/// Plays one seed, `fetchers` and `hostile` peers; prints one line. Says whether every fetcher finished.
fn play(fetchers: usize, hostile: usize, size: u64, breaks: u64) -> bool {
    let net = Net { breaks, half_open: 100_000, ..Net::default() };
    let share = Share::new(1, 64 * 1024, &[size]);
    let mut world: World<16, 4> = World::new(1, share, net);
    let seed = world.add(Spec { seed: true, ..Spec::default() }, &[]);
    let honest: Vec<_> = (0..fetchers).map(|_| world.add(Spec::default(), &[seed])).collect();
    for number in 0..hostile {
        let vice = Vice::ALL.get(number % Vice::ALL.len()).copied();
        world.add(Spec { seed: vice == Some(Vice::Corrupts), vice, ..Spec::default() }, &[seed]);
    }
    for (at, node) in (0..world.nodes()).enumerate() {
        world.on(node, at as u64 * 100);
    }
    let done = world.run(3_600_000, |world| honest.iter().all(|node| world.is_whole(*node)));
    let wasted: u64 = honest.iter().map(|node| world.tally(*node).wasted).sum();
    let ratio = world.tally(seed).sent as f64 / size as f64;
    let end = if done { format!("{:>9}", world.now().0 / 1000) } else { "  not whole".into() };
    println!(
        "{:>5} {hostile:>8} {:>6} {end} {:>9} {ratio:>11.2} {:>7}",
        world.nodes(),
        size / MIB,
        wasted / 1024,
        world.dropped().len()
    );
    done
}

fn main() -> ExitCode {
    println!("nodes  hostile    MiB   seconds  waste/KiB  seed ratio  dropped");
    let done = [
        play(1, 0, 16 * MIB, 0),
        play(4, 0, 16 * MIB, 0),
        play(20, 0, 8 * MIB, 200),
        play(60, 6, 2 * MIB, 200),
        play(180, 20, 2 * MIB, 200),
    ];
    println!();
    println!("bytes of a Swarm: bits and spans inside");
    sized::<[u64; 16], [Span; 1], 2, 1>("2 peers, 1 lane, 1024 pieces, 1 file");
    sized::<[u64; 16], [Span; 8], 4, 2>("4 peers, 2 lanes, 1024 pieces, 8 files");
    sized::<[u64; 64], [Span; 16], 8, 4>("8 peers, 4 lanes, 4096 pieces, 16 files");
    sized::<Vec<u64>, Vec<Span>, 32, 8>("32 peers, 8 lanes, bits and spans elsewhere");
    if done.contains(&false) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn sized<B, S, const PEERS: usize, const LANES: usize>(what: &str) {
    println!("{:>8}  {what}", size_of::<Swarm<B, S, PEERS, LANES>>());
}
