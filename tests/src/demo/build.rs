//! The program to show: built for release, unless one is named.

use std::env;
use std::io;
use std::path::PathBuf;
use std::process::Command;

use crate::program;

/// The program that `BULBIL_BIN` names, or the one that `cargo build --release` makes beside the running demo.
pub(super) fn bulbil() -> io::Result<PathBuf> {
    if env::var_os("BULBIL_BIN").is_none() {
        println!("building bulbil for release (the first time this takes some minutes)");
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let status = Command::new(cargo).args(BUILD).status()?;
        if !status.success() {
            return Err(io::Error::other("bulbil does not build: see above"));
        }
    }
    program::bulbil()
}

/// The example `stream` made like the program: what `BULBIL_STREAM` names, or built with it. `None` if the program was made elsewhere,
/// because another C library would be compared with it.
pub(super) fn stream() -> Option<PathBuf> {
    if let Some(path) = env::var_os("BULBIL_STREAM") {
        return Some(path.into());
    }
    if env::var_os("BULBIL_BIN").is_some() {
        return None;
    }
    let beside = program::bulbil().ok()?.parent()?.join("examples/stream");
    beside.is_file().then_some(beside)
}

const BUILD: [&str; 8] = ["build", "--release", "--locked", "-p", "bulbil", "--bins", "--example", "stream"];
