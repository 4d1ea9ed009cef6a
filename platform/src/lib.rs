#![doc = include_str!("../README.md")]

pub mod config;
pub mod net;
pub mod node;
pub mod status;
pub mod store;
pub mod sys;
