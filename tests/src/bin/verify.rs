//! `cargo verify [-- --quick]`

use std::process::ExitCode;

fn main() -> ExitCode {
    // The alias ends with `--`, so that flags need none; those who write it anyway mean the same.
    bulbil_tests::verify::main(std::env::args().skip(1).skip_while(|argument| argument == "--"))
}
