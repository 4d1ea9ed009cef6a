//! The `bulbil` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    bulbil::cli::main()
}
