//! Where a passphrase comes from: a file, the terminal, or standard input. Never an argument and never a variable: both
//! show in lists of processes.

use std::fs::File;
use std::io::{self, BufRead, Read};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::Failure;
use crate::keep::{MAX_PASSPHRASE, Passphrase};
use crate::sys::terminal;

/// Where to take it from.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// File with the passphrase [default: asks on the terminal, or reads a line of standard input]
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

impl Args {
    /// One to open a file with.
    pub(super) fn to_open(&self) -> Result<Passphrase, Failure> {
        Passphrase::to_open(&read(self.passphrase_file.as_deref())?).map_err(Failure::failed)
    }

    /// One to seal a file with; a person is asked twice.
    pub(super) fn to_seal(&self) -> Result<Passphrase, Failure> {
        let asked = self.passphrase_file.is_none() && terminal::is_there();
        let text = read(self.passphrase_file.as_deref())?;
        let passphrase = Passphrase::to_seal(&text).map_err(Failure::failed)?;
        if asked {
            let again = ask("The same again: ")?;
            let again = Passphrase::to_open(&again).map_err(Failure::failed)?;
            if again != passphrase {
                return Err(Failure::Failed("the two passphrases differ; give the command again".to_owned()));
            }
        }
        Ok(passphrase)
    }
}

/// For a node that starts: from `file`, the terminal, or standard input.
pub(super) fn for_node(file: Option<&Path>) -> Result<Passphrase, Failure> {
    Passphrase::to_open(&read(file)?).map_err(|why| {
        let more =
            if file.is_none() { "; set keep.passphrase_file, or give it on standard input" } else { "" };
        Failure::Failed(format!("the keep file needs its passphrase: {why}{more}"))
    })
}

fn read(file: Option<&Path>) -> Result<Zeroizing<String>, Failure> {
    match file {
        Some(path) => first_line(File::open(path).map_err(|error| unreadable(path, &error))?, MAX_PASSPHRASE)
            .map_err(|error| unreadable(path, &error)),
        None if terminal::is_there() => ask("Passphrase of the keep file: "),
        None => first_line(io::stdin().lock(), MAX_PASSPHRASE).map_err(Failure::failed),
    }
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    Failure::Failed(format!("cannot read the passphrase file {}: {error}; check the path", path.display()))
}

/// The first line, its end included, in one piece of memory: `most` bytes of a secret and two for the end.
pub(super) fn first_line(from: impl Read, most: usize) -> io::Result<Zeroizing<String>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(most + 2));
    let most = u64::try_from(most).unwrap_or(0) + 2;
    io::BufReader::with_capacity(1, from).take(most).read_until(b'\n', &mut bytes)?;
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8 text"))?;
    Ok(Zeroizing::new(text.to_owned()))
}

fn ask(question: &str) -> Result<Zeroizing<String>, Failure> {
    terminal::ask(question, MAX_PASSPHRASE).map_err(|error| {
        Failure::Failed(format!("the passphrase could not be read from the terminal: {error}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_is_read_and_no_more_than_fits() {
        assert_eq!(**first_line(&b"secret words\nmore"[..], 64).unwrap(), *"secret words\n");
        assert_eq!(**first_line(&b"secret"[..], 64).unwrap(), *"secret");
        assert_eq!(first_line(io::repeat(b'x'), 64).unwrap().len(), 66);
        assert!(first_line(&b"\xff\n"[..], 64).is_err());
    }
}
