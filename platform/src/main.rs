//! The `bulbil` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    if bulbil::init::is_init() {
        bulbil::init::main();
    }
    bulbil::cli::main()
}
