//! `cargo verify [-- --quick]`

use std::process::ExitCode;

fn main() -> ExitCode {
    bulbil_tests::verify::main(std::env::args().skip(1))
}
