//! What must come out the same on every machine: run here, and on an emulated Cortex-M4 by `cargo image vectors`.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test")]

#[path = "vectors/all.rs"]
mod all;

#[test]
fn every_vector_holds_on_this_machine() {
    for (name, check) in all::VECTORS {
        println!("{name}");
        check();
    }
}
