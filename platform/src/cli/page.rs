//! `bulbil page`.

use std::io;

use zeroize::Zeroizing;

use super::client::Client;
use super::passphrase::first_line;
use super::{Failure, print};
use crate::sys::terminal;
use crate::web::{self, Hasher};

/// What to do with the page.
#[derive(Clone, Copy, Debug, clap::Subcommand)]
pub(super) enum Action {
    /// Forget the password and who may look, and sign everyone out; the page starts with its first run again
    Reset,
    /// Turn a password into a line for the section [page] of a configuration; needs no node. Asks on the terminal, or reads a line of
    /// standard input
    Hash,
}

/// Has the node do it.
pub(super) async fn reset(client: &Client) -> Result<(), Failure> {
    client.delete("/page").await?;
    print("the page has no password now; open it on this machine to set one")
}

/// Prints the line of a password.
pub(super) async fn hash() -> Result<(), Failure> {
    let asked = terminal::is_there();
    let (password, again) = if asked {
        (ask("New password of the page: ")?, ask("The same again: ")?)
    } else {
        let line = read(io::stdin().lock())?;
        (line.clone(), line)
    };
    print(line(password, &again).await?)?;
    if asked {
        eprintln!("put this line below a line [page] into bulbil.toml; it counts from the next start on");
    }
    Ok(())
}

async fn line(password: Zeroizing<String>, again: &str) -> Result<String, Failure> {
    web::check_password(&password, again).map_err(Failure::failed)?;
    let hash = Hasher::new().hash(password).await;
    let hash = hash.map_err(|_| Failure::failed("the system gives no randomness, or no memory (16 MiB)"))?;
    Ok(format!("password_hash = \"{hash}\""))
}

fn ask(question: &str) -> Result<Zeroizing<String>, Failure> {
    terminal::ask(question, web::LONGEST).map_err(|error| {
        Failure::Failed(format!("the password could not be read from the terminal: {error}"))
    })
}

/// A line without its end, which is no part of a password.
fn read(from: impl io::Read) -> Result<Zeroizing<String>, Failure> {
    let line = first_line(from, web::LONGEST).map_err(Failure::failed)?;
    Ok(Zeroizing::new(line.trim_end_matches(['\n', '\r']).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn text(word: &str) -> Zeroizing<String> {
        Zeroizing::new(word.to_owned())
    }

    #[tokio::test]
    async fn the_line_is_one_that_a_configuration_takes() {
        let password = read(&b"correct horse\r\nmore"[..]).unwrap();
        assert_eq!(**password, *"correct horse");
        let line = line(password, "correct horse").await.unwrap();
        let config = Config::parse(&format!("[page]\n{line}\n")).unwrap();
        let hash = config.page.password_hash.unwrap();
        assert!(Hasher::new().fits(&hash, false, text("correct horse")).await.unwrap());
    }

    #[tokio::test]
    async fn a_password_that_will_not_do_gets_no_line() {
        for (password, again, word) in [
            ("short", "short", "at least 10"),
            ("correct horse", "correct hose", "differ"),
            (&*"x".repeat(web::LONGEST + 1), &*"x".repeat(web::LONGEST + 1), "at most"),
        ] {
            let Err(Failure::Failed(why)) = line(text(password), again).await else {
                panic!("{password} got a line");
            };
            assert!(why.contains(word), "{why}");
        }
        assert_eq!(read(io::repeat(b'x')).unwrap().len(), web::LONGEST + 2, "and no more is read");
    }
}
