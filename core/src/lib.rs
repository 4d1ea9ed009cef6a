#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    warn(clippy::arithmetic_side_effects, clippy::as_conversions, clippy::cast_possible_truncation)
)]

#[cfg(any(test, feature = "sim"))]
extern crate std;

pub mod bits;
pub mod content;
pub mod friend;
pub mod hello;
pub mod id;
pub mod lanes;
pub mod learn;
pub mod limits;
pub mod mail;
pub mod pace;
pub mod peer;
pub mod pump;
pub mod rate;
#[cfg(any(test, feature = "sim"))]
pub mod sim;
pub mod store;
pub mod swarm;
pub mod time;
pub mod tracker;
pub mod transport;
pub mod trust;
pub mod wire;
