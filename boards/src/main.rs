#![doc = include_str!("../README.md")]

mod bare_metal;
mod elf;
mod program;
mod tool;
mod workspace;
mod zig;

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
    /// What core needs on a microcontroller: proves that it links without an allocator, and measures it
    BareMetal,
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
        Command::BareMetal => bare_metal::build(&workspace),
    }
}
