#![doc = include_str!("../README.md")]

pub mod check;
pub mod clock;
pub mod config;
pub mod hash;
pub mod net;
pub mod node;
pub mod status;
pub mod store;
pub mod sys;
