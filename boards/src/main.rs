#![doc = include_str!("../README.md")]

mod bare_metal;
mod board;
mod boot;
mod cache;
mod container;
mod credits;
mod deb;
mod debian;
mod disk;
mod elf;
mod fat;
mod image;
mod imager;
mod initramfs;
mod kernel;
mod mirror;
mod notices;
mod packages;
mod program;
mod relock;
mod tape;
mod tool;
mod vectors;
mod workspace;
mod zig;

use std::ffi::OsString;
use std::io;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Builds what people install.
#[derive(Debug, Parser)]
#[command(name = "cargo image", bin_name = "cargo image", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The node as one static program for each target
    Static(program::Request),
    /// The node as a Debian package
    Deb(debian::Request),
    /// The node as a container image, for `docker load`
    Container(container::Request),
    /// What core needs on a microcontroller: proves that it links without an allocator, and measures it
    BareMetal,
    /// Core's vectors on an emulated Cortex-M4
    Vectors,
    /// Look up today's versions of Debian's packages and write packages.lock
    Relock(mirror::Choice),
    /// The boards there are
    List,
    /// A board's image: `cargo image <board>`, or `all`; `cargo image <board> --help` tells more
    #[command(external_subcommand)]
    Board(Vec<OsString>),
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cargo image: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> io::Result<()> {
    let workspace = workspace::Workspace::find()?;
    match command {
        Command::Static(request) => program::build(&workspace, &request),
        Command::Deb(request) => debian::build(&workspace, &request),
        Command::Container(request) => container::build(&workspace, &request),
        Command::BareMetal => bare_metal::build(&workspace),
        Command::Vectors => vectors::run(&workspace),
        Command::List => board::list(&workspace.boards()),
        Command::Relock(choice) => relock::run(&workspace, &choice),
        Command::Board(words) => {
            let words = std::iter::once("cargo image".into()).chain(words);
            image::build(&workspace, &image::Request::parse_from(words))
        }
    }
}
