//! The private network itself: it comes up, several at once, and leaves nothing behind.

use std::time::Instant;

use bulbil_tests::baseline::Baseline;
use bulbil_tests::content;
use bulbil_tests::net::{Network, Shape};
use bulbil_tests::scratch::Scratch;

#[test]
fn comes_up_and_goes() {
    let start = Instant::now();
    let network = Network::start(Shape::default()).unwrap();
    println!("usable after {:.1} s", start.elapsed().as_secs_f64());
    assert_eq!(network.relays().len(), 9);
    let pids: Vec<u32> = network.pids().collect();
    let folder = network.relays()[0].folder.clone();
    assert_eq!(pids.len(), 9);
    assert!(folder.exists());
    drop(network);
    assert!(pids.iter().all(|pid| bulbil_tests::usage::Usage::of(*pid).is_err()));
    assert!(!folder.exists());
}

#[test]
fn c_tor_serves_a_file() {
    let network = Network::start(Shape::default()).unwrap();
    let folder = Scratch::new("served").unwrap();
    let sha256 = content::write_file(&folder.join("file.bin"), 8 << 20, 3).unwrap();
    let mut baseline = Baseline::start(&network, folder.path()).unwrap();
    let measured = baseline.fetch("file.bin", &sha256).unwrap();
    println!("{measured:?} {:.1} MiB/s", measured.mib_s());
    assert!(measured.verified);
    assert_eq!(measured.bytes, 8 << 20);
    assert!(measured.serve_cpu_s > 0.0 && measured.fetch_cpu_s > 0.0);
    assert!(baseline.fetch("missing.bin", &sha256).is_err());
}
