#![doc = include_str!("../README.md")]

pub mod net;
pub mod ports;
pub mod process;
pub mod scratch;
pub mod usage;
pub mod wait;
mod warden;
