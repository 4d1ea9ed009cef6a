//! `cargo demo [-- STORY] [--once] [--json FILE]`

use std::process::ExitCode;

fn main() -> ExitCode {
    bulbil_tests::demo::main(std::env::args().skip(1))
}
