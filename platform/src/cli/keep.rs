//! `bulbil keep`: saves, shows and restores the keep file.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use serde_json::json;
use tokio::runtime::Runtime;

use super::client::Client;
use super::passphrase;
use super::{Failure, print, print_json};
use crate::config::Config;
use crate::control::keep::SealRequest;
use crate::keep::{self, Inventory, KeepError, Kept, Passphrase};
use crate::state::{State, StateDir, StateError};
use crate::sys::{process, terminal};
use crate::words::span;

/// What to do with a keep file.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Save the node, running or stopped, to FILE; an older one of this node is replaced, whole or not at all
    Save {
        /// The keep file
        file: PathBuf,
        #[command(flatten)]
        passphrase: passphrase::Args,
        /// Replace the keep file of another node too, or one with another passphrase
        #[arg(long)]
        replace: bool,
    },
    /// Tell what FILE holds; no secrets
    Show {
        /// The keep file
        file: PathBuf,
        #[command(flatten)]
        passphrase: passphrase::Args,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Make this machine the node that FILE was saved on; the node here must be stopped
    Restore {
        /// The keep file
        file: PathBuf,
        #[command(flatten)]
        passphrase: passphrase::Args,
        /// The machine that it was saved on is off, and stays off
        #[arg(long)]
        old_board_is_off: bool,
        /// Throw away what this node has
        #[arg(long)]
        replace: bool,
    },
}

pub(super) fn run(command: &Command, config: &Config, runtime: &Runtime) -> Result<(), Failure> {
    // Secrets pass through this process too: no core dump may hold them.
    process::harden().map_err(Failure::failed)?;
    match command {
        Command::Save { file, passphrase, replace } => save(file, passphrase, *replace, config, runtime),
        Command::Show { file, passphrase, json } => show(file, &passphrase.to_open()?, *json),
        Command::Restore { file, passphrase, old_board_is_off, replace } => {
            restore(file, passphrase, config, *old_board_is_off, *replace)
        }
    }
}

fn save(
    file: &Path,
    passphrase: &passphrase::Args,
    replace: bool,
    config: &Config,
    runtime: &Runtime,
) -> Result<(), Failure> {
    let passphrase = passphrase.to_seal()?;
    let folder = config.state_dir();
    let stopped = UnixStream::connect(config.socket()).is_err() && State::exists(&folder);
    let sealed = if stopped {
        Kept::collect(&folder).and_then(|kept| kept.seal(&passphrase)).map_err(Failure::failed)?
    } else {
        // The node seals; nothing plain crosses the socket.
        let request = SealRequest { passphrase: passphrase.reveal().to_owned() };
        let client = Client::new(config.socket());
        runtime.block_on(client.post("/keep", &request))?.into()
    };
    let whole = std::path::absolute(file).map_err(Failure::failed)?;
    // Opened again, because a keep file that does not open is worse than none.
    let kept = Kept::open(&sealed, &passphrase).map_err(Failure::failed)?;
    let written = if replace { keep::write(&whole, &sealed) } else { kept.put(&whole, &sealed, &passphrase) };
    written.map_err(|why| match why {
        KeepError::Another(_) | KeepError::Passphrase => {
            Failure::Failed(format!("{why}; --replace puts this node in its place"))
        }
        why => Failure::failed(why),
    })?;
    print(format_args!("saved to {}: {}", file.display(), Inventory::of(&kept.state)))
}

fn show(file: &Path, passphrase: &Passphrase, json: bool) -> Result<(), Failure> {
    let kept = Kept::load(file, passphrase).map_err(Failure::failed)?;
    let holds = Inventory::of(&kept.state).losses();
    if json {
        return print_json(&json!({
            "saved_at": kept.saved_at,
            "holds": holds,
            "guards": kept.has_guards(),
            "shares": kept.state.shares.iter().map(|share| &share.info_hash).collect::<Vec<_>>(),
        }));
    }
    print(format_args!("saved   {}", ago(kept.age_s())))?;
    print(format_args!("holds   {holds}"))?;
    print(format_args!("guards  {}", if kept.has_guards() { "yes" } else { "no" }))
}

fn ago(seconds: Option<u64>) -> String {
    seconds.map_or_else(
        || "in the future, by this machine's clock".to_owned(),
        |age| format!("{} ago", span(age)),
    )
}

fn restore(
    file: &Path,
    passphrase: &passphrase::Args,
    config: &Config,
    off: bool,
    replace: bool,
) -> Result<(), Failure> {
    let state = StateDir::open(&config.state_dir(), config.allow_disk_state).map_err(|why| match why {
        StateError::Busy(_) => Failure::Failed(
            "the node here is running; stop it with `bulbil stop`, restore, then start it again".to_owned(),
        ),
        why => Failure::failed(why),
    })?;
    let kept = Kept::load(file, &passphrase.to_open()?).map_err(Failure::failed)?;
    if !off && !is_off(&kept)? {
        return Err(Failure::Failed("nothing was restored; switch the old board off first".to_owned()));
    }
    kept.restore(&state, replace).map_err(Failure::failed)?;
    print(format_args!("restored: {}; start the node with `bulbil run`", Inventory::of(&kept.state)))
}

/// Asks a person whether the machine of before is off.
fn is_off(kept: &Kept) -> Result<bool, Failure> {
    if !terminal::is_there() {
        return Err(Failure::Usage(
            "is the machine that this was saved on switched off? While two have one address, neither can be \
             reached for hours. If it is off, add --old-board-is-off"
                .to_owned(),
        ));
    }
    let question = format!(
        "This file was saved {} and holds {}.\nIs the machine it was saved on switched off, and will it stay off? \
         While two have one address, neither can be reached for hours.\nyes or no: ",
        ago(kept.age_s()),
        Inventory::of(&kept.state)
    );
    terminal::confirm(&question).map_err(Failure::failed)
}
