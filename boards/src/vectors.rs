//! Core's vectors on a microcontroller that QEMU plays.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::workspace::Workspace;
use crate::{bare_metal, tool};

/// A core with a floating point unit, as the emulated machine has it.
const TARGET: &str = "thumbv7em-none-eabihf";

/// The emulator, and what brings it on Debian.
const EMULATOR: (&str, &str) = ("qemu-system-arm", "qemu-system-arm");

/// QEMU's `mps2-an386`: a Cortex-M4. Its output and its end are ours, by semihosting.
const MACHINE: [&str; 9] = [
    "-M",
    "mps2-an386",
    "-display",
    "none",
    "-monitor",
    "none",
    "-semihosting-config",
    "enable=on,target=native",
    "-kernel",
];

/// Seconds until it is ended from outside: the vectors take about one.
const LIMIT: &str = "120";

/// Builds the program and runs it. Fails if one vector does not hold, or if there is no end to it.
pub(crate) fn run(workspace: &Workspace) -> io::Result<()> {
    let program = compile(workspace)?;
    if tool::probe(Command::new(EMULATOR.0).arg("--version")).is_none() {
        return Err(io::Error::other(format!(
            "{} does not start: install the package {}",
            EMULATOR.0, EMULATOR.1
        )));
    }
    tool::run(&mut emulate(&program)).map_err(|error| {
        io::Error::other(format!("a vector does not hold on {TARGET}, see above; the emulator said: {error}"))
    })
}

fn compile(workspace: &Workspace) -> io::Result<PathBuf> {
    workspace.ensure_target(TARGET)?;
    bare_metal::lock(workspace, "vectors")?;
    let folder = workspace.target.join("bare-metal");
    let mut cargo = tool::cargo(&workspace.root.join("boards/bare-metal/vectors"));
    cargo.args(["build", "--release", "--target", TARGET, "--target-dir"]).arg(&folder);
    // Flags meant for the host have no place here.
    tool::run(cargo.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS"))?;
    Ok(folder.join(TARGET).join("release/vectors"))
}

fn emulate(program: &Path) -> Command {
    let mut command = Command::new("timeout");
    command.args([LIMIT, EMULATOR.0]).args(MACHINE).arg(program);
    command
}
