//! Whole swarms in one process: virtual time, a seeded network, stores that lose power, peers that misbehave.
//!
//! Everything that decides is the real thing: [`Hello`](crate::hello::Hello), [`Swarm`](crate::swarm::Swarm), their frames
//! and their timers. Only the network, the clock, the disk and the fates of nodes are played, and all of them by one seed:
//! the same seed gives the same [`trace`](World::trace).

#![allow(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::expect_used,
    clippy::should_implement_trait,
    clippy::single_match,
    clippy::single_match_else,
    reason = "a tool of tests with an allocator: a mistake in it should stop it"
)]

mod link;
mod node;
mod random;
mod shaper;
mod share;
mod store;
mod tracker;
mod vice;
mod world;

pub use link::Net;
pub use node::{NodeId, Spec, Tally};
pub use random::Random;
pub use shaper::Shaper;
pub use share::Share;
pub use store::{MemoryStore, Trouble};
pub use tracker::{Found, Spread, spread};
pub use vice::Vice;
pub use world::{Dropped, World};
