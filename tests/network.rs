//! The private network itself: it comes up, several at once, and leaves nothing behind.

use std::time::Instant;

use bulbil_tests::net::{Network, Shape};

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
