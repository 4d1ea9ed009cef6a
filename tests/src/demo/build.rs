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
        let status = Command::new(cargo).args(["build", "--release", "--locked", "-p", "bulbil"]).status()?;
        if !status.success() {
            return Err(io::Error::other("bulbil does not build: see above"));
        }
    }
    program::bulbil()
}
