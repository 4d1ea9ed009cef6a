//! Core on a microcontroller: linked without an operating system and without an allocator, and measured.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::{fs, io};

use crate::elf::Firmware;
use crate::tool;
use crate::workspace::Workspace;

/// The smallest ARM core there is (no compare-and-swap) and a common one with a floating point unit.
const TARGETS: [&str; 2] = ["thumbv6m-none-eabi", "thumbv7em-none-eabihf"];

/// What the linker starts from, and what it is called: see `boards/bare-metal/src/lib.rs`.
const ROOTS: [(&str, &str); 7] = [
    ("HELLO", "Hello"),
    ("LEARN", "Learn"),
    ("SWARM", "Swarm and the Peers in it"),
    ("SYNC", "Sync and Store"),
    ("TRUST", "Trust"),
    ("MAIL", "Outbox and Inbox"),
    ("TORRENT", "Torrent and Info"),
];

/// The table of memory.
const SIZES: &str = "SIZES";

/// Builds and links for each target; prints flash and RAM of the whole, flash of its parts, and flash and memory of each machine.
pub(crate) fn build(workspace: &Workspace) -> io::Result<()> {
    lock(workspace, "")?;
    let mut report = String::new();
    for target in TARGETS {
        workspace.ensure_target(target)?;
        let archive = compile(workspace, target)?;
        let whole = Firmware::read(&fs::read(link(workspace, target, &archive, &ROOTS)?)?)?;
        section(&mut report, target, &whole);
        for root in ROOTS {
            let alone = Firmware::read(&fs::read(link(workspace, target, &archive, &[root])?)?)?;
            let _ = writeln!(report, "  alone {:>8}  {}", alone.flash, root.1);
        }
        for (machine, bytes) in &whole.sizes {
            let _ = writeln!(report, "  RAM   {bytes:>8}  {machine}");
        }
    }
    print!("{report}");
    Ok(())
}

/// Gives the package in this folder of `bare-metal` the versions that the workspace has locked; cargo drops the entries that are not needed there.
pub(crate) fn lock(workspace: &Workspace, folder: &str) -> io::Result<()> {
    let to = workspace.root.join("boards/bare-metal").join(folder).join("Cargo.lock");
    fs::copy(workspace.root.join("Cargo.lock"), to).map(drop)
}

/// Returns the archive with core and everything it depends on.
fn compile(workspace: &Workspace, target: &str) -> io::Result<PathBuf> {
    let folder = workspace.target.join("bare-metal");
    let mut cargo = tool::cargo(&workspace.root.join("boards/bare-metal"));
    cargo.args(["build", "--release", "--target", target, "--target-dir"]).arg(&folder);
    // Flags meant for the host have no place here.
    tool::run(cargo.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS"))?;
    Ok(folder.join(target).join("release/libbulbil_bare_metal.a"))
}

/// Links what the roots reach; fails when anything is missing, such as an allocator or an operating system's function.
fn link(
    workspace: &Workspace,
    target: &str,
    archive: &PathBuf,
    roots: &[(&str, &str)],
) -> io::Result<PathBuf> {
    let linked = workspace.target.join("bare-metal").join(target).join("bulbil.elf");
    let mut linker = Command::new(workspace.linker()?);
    linker.args(["-flavor", "gnu", "--gc-sections", "--entry=0"]);
    linker.args(["--undefined", SIZES]).args(roots.iter().flat_map(|(root, _)| ["--undefined", *root]));
    tool::run(linker.arg(archive).arg("-o").arg(&linked))?;
    Ok(linked)
}

fn section(report: &mut String, target: &str, firmware: &Firmware) {
    let _ =
        writeln!(report, "{target}: {} bytes of flash, {} of RAM for statics", firmware.flash, firmware.ram);
    for (part, bytes) in &firmware.parts {
        let _ = writeln!(report, "  flash {bytes:>8}  {part}");
    }
}
