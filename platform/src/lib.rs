#![doc = include_str!("../README.md")]

pub mod check;
pub mod cli;
pub mod clock;
pub mod config;
pub mod control;
pub mod exit;
pub mod friend;
pub mod hash;
pub mod keep;
mod landing;
pub mod link;
mod logger;
pub mod net;
pub mod node;
pub mod proxy;
pub mod state;
pub mod status;
pub mod store;
pub mod sys;
pub mod traces;
pub mod web;
mod words;
