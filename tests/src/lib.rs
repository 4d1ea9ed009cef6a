#![doc = include_str!("../README.md")]

pub mod alias;
pub mod baseline;
pub mod browser;
pub mod content;
pub mod demo;
pub mod machine;
pub mod measure;
pub mod namespace;
pub mod net;
pub mod node;
pub mod owner;
pub mod packages;
pub mod ports;
pub mod process;
pub mod program;
pub mod python;
pub mod scratch;
pub mod story;
pub mod talk;
pub mod usage;
pub mod verify;
pub mod visitor;
pub mod wait;
mod warden;
