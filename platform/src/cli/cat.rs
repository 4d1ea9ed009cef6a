//! `cat`, when the program is called by that name: the container image holds nothing else, and people read their onion
//! address with `docker exec … cat /var/lib/tor/hidden_service/hostname`.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, stdout};
use std::path::Path;
use std::process::ExitCode;

/// Bytes of a file that are printed at most: it is for files of one line.
const MOST: u64 = 1024 * 1024;

/// Prints the files named, if the program was called `cat`.
pub(super) fn by_that_name() -> Option<ExitCode> {
    let mut words = std::env::args_os();
    let name = words.next()?;
    (Path::new(&name).file_name()? == "cat").then(|| all(words))
}

fn all(names: impl Iterator<Item = OsString>) -> ExitCode {
    let mut ended = ExitCode::SUCCESS;
    for name in names {
        if let Err(error) = print(Path::new(&name)) {
            eprintln!("cat: {}: {error}", name.display());
            ended = ExitCode::FAILURE;
        }
    }
    ended
}

fn print(path: &Path) -> io::Result<u64> {
    io::copy(&mut File::open(path)?.take(MOST), &mut stdout().lock())
}
