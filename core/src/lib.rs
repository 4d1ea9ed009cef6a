#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    warn(clippy::arithmetic_side_effects, clippy::as_conversions, clippy::cast_possible_truncation)
)]

#[cfg(any(test, feature = "sim"))]
extern crate std;

pub mod content;
pub mod id;
pub mod limits;
pub mod store;
pub mod time;
pub mod transport;
pub mod wire;
