#![doc = include_str!("../README.md")]

pub mod net;
pub mod node;
pub mod status;
