//! The operating system: maps, limits, folders, file systems. The only unsafe code, and the only user of nix and memmap2.

#![allow(unsafe_code, reason = "this folder is where it is allowed; each use says why it is sound")]

pub mod board;
pub mod datagrams;
pub mod disks;
pub mod folder;
pub mod keep_alive;
pub mod map;
pub mod mount;
pub mod process;
pub mod sandbox;
#[cfg(test)]
pub(crate) mod scratch;
pub mod swap;
pub mod terminal;
pub mod thermal;
