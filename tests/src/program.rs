//! Where the program under test is.

use std::env;
use std::io;
use std::path::PathBuf;

/// The `bulbil` to run: the file that the variable `BULBIL_BIN` names, or else the one built beside the running test.
pub fn bulbil() -> io::Result<PathBuf> {
    if let Some(path) = env::var_os("BULBIL_BIN").map(PathBuf::from) {
        return if path.is_file() {
            path.canonicalize()
        } else {
            Err(io::Error::other(format!("BULBIL_BIN names no file: {}", path.display())))
        };
    }
    let own = env::current_exe()?;
    // Tests lie in `deps` within the folder that programs lie in.
    let beside = own.ancestors().skip(1).take(2).map(|folder| folder.join("bulbil"));
    beside.into_iter().find(|path| path.is_file()).ok_or_else(|| {
        io::Error::other(
            "bulbil is not built: run `cargo build -p bulbil`, or name the program in BULBIL_BIN",
        )
    })
}
