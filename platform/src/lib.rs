#![doc = include_str!("../README.md")]

pub mod check;
pub mod cli;
pub mod clock;
pub mod config;
pub mod control;
pub mod exit;
pub mod friend;
mod harden;
pub mod hash;
pub mod http;
pub mod init;
pub mod keep;
mod landing;
pub mod link;
mod logger;
#[cfg(test)]
mod mangle;
pub mod metrics;
pub mod net;
pub mod node;
pub mod power;
pub mod proxy;
pub mod publish;
pub mod selfcheck;
pub mod state;
pub mod status;
pub mod store;
pub mod sys;
mod tidings;
pub mod traces;
mod upload;
pub mod web;
mod words;

pub use http::{Config, SocksClient, TorHttpClient};
