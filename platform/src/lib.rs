#![doc = include_str!("../README.md")]

pub mod check;
pub mod hash;
pub mod net;
pub mod node;
pub mod status;
