//! The command line. Stable: a script written against it today works with any later version.
//!
//! `--json` prints one JSON document on stdout; progress and logs go to stderr. Exit 0: done, 1: failed, 2: usage.

mod cat;
mod check;
mod client;
mod fetch;
mod forget;
mod friends;
mod hash;
mod keep;
mod list;
mod mail;
mod mirror;
mod page;
mod passphrase;
mod progress;
mod proxy;
mod publish;
mod run;
mod search;
mod selfcheck;
mod service;
mod share;
mod trust;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::config::{Config, ConfigError};
use client::Client;

/// Shares and fetches files inside Tor.
#[derive(Debug, Parser)]
#[command(name = "bulbil", version, max_term_width = 100)]
struct Args {
    /// Control socket of the node [default: as configured]
    #[arg(long, global = true, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Configuration file [default: none, every default works]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The same as the command of that name
    #[arg(long)]
    selfcheck: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the node in the foreground; so does no command at all
    Run,
    /// Tell whether this machine can be a node: network, exits, onion services, leaks
    Selfcheck(selfcheck::Args),
    /// Offer files or folders; prints the link
    Share(share::Args),
    /// Fetch what a link offers
    Fetch(fetch::Args),
    /// End a fetch, running or over, and serve its copy no longer; what it wrote stays
    Forget(forget::Args),
    /// List shares and fetches
    List(list::Args),
    /// Tell how the node is
    Status(list::Args),
    /// List the peers it talks to
    Peers(list::Args),
    /// Withdraw a share, at once
    Unshare {
        /// Its info-hash, as `bulbil list` shows it
        info_hash: String,
    },
    /// Send a message to another node
    Send(mail::SendArgs),
    /// Read what other nodes sent, and fetch what they link to
    Inbox(mail::InboxArgs),
    /// List messages that wait to be sent
    Outbox(list::Args),
    /// Make a friend code: prints eight words to read to a friend, and waits until they were used
    Invite(friends::Invite),
    /// Meet a friend who read eight words to you
    Accept(friends::Accept),
    /// Save the node to a sealed file that survives a reboot, show such a file, or restore it
    #[command(subcommand)]
    Keep(keep::Command),
    /// List the onion services in front of other programs, and how they are
    Published(list::Args),
    /// Say who may find a published service
    #[command(subcommand)]
    ClientKey(service::ClientKey),
    /// Back up and restore the keys of a published service
    #[command(subcommand)]
    Key(service::Key),
    /// Move a share into the public catalogue, at once; prints its new link
    Publish(publish::PublishArgs),
    /// Take a share out of the public catalogue, at once; prints its new link
    Unpublish(publish::Args),
    /// Print this node's own address, for others to trust and mirror
    Address,
    /// Say whom to trust, and see through whom
    #[command(subcommand)]
    Trust(trust::Command),
    /// Copy another node's records and serve them from here
    Mirror(mirror::Args),
    /// Find shares by words
    Search(search::Args),
    /// Close the streams of other programs and share no circuit with what was before
    NewIdentity(list::Args),
    /// Stop the node
    Stop,
    /// Hash files as a share; needs no node
    Hash(hash::Args),
    /// Check a .torrent file, and data against it; needs no node
    Check(check::Args),
    /// The page: forget its password
    #[command(subcommand)]
    Page(page::Action),
    /// Print a configuration file with every default
    Config,
}

/// Why a command failed: what is told, and the exit code.
#[derive(Debug)]
enum Failure {
    /// 1.
    Failed(String),
    /// 2.
    Usage(String),
    /// 1, and the document on stdout says so already.
    Told(String),
    /// No failure: whoever started the node reads what to do next from the exit code.
    Power(u8),
}

impl Failure {
    fn failed(error: impl std::fmt::Display) -> Self {
        Self::Failed(error.to_string())
    }
}

/// Runs the command that the arguments name.
pub fn main() -> ExitCode {
    if let Some(ended) = cat::by_that_name() {
        return ended;
    }
    let parsed = Args::command().try_get_matches();
    let parsed = parsed.and_then(|matches| Ok((Args::from_arg_matches(&matches)?, wants_json(&matches))));
    let (args, json) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => return not_understood(&error),
    };
    let (why, code) = match dispatch(args) {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::Power(code)) => return ExitCode::from(code),
        Err(Failure::Told(why)) => {
            eprintln!("bulbil: {why}");
            return ExitCode::from(1);
        }
        Err(Failure::Failed(why)) => (why, 1),
        Err(Failure::Usage(why)) => (why, 2),
    };
    if json {
        tell_failure(&why);
    }
    eprintln!("bulbil: {why}");
    ExitCode::from(code)
}

/// Whether the command was asked for a JSON document.
fn wants_json(matches: &ArgMatches) -> bool {
    let asked = matches.try_get_one::<bool>("json").ok().flatten().copied().unwrap_or(false);
    asked || matches.subcommand().is_some_and(|(_, matches)| wants_json(matches))
}

/// A line that is no command, or a question about commands.
fn not_understood(error: &clap::Error) -> ExitCode {
    let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    let mut words = std::env::args_os().take_while(|word| word != "--");
    if !asked && words.any(|word| word == "--json") {
        let text = error.render().to_string();
        let lines: Vec<&str> = text.lines().map(str::trim).take_while(|line| !line.is_empty()).collect();
        let line = lines.join(" ");
        tell_failure(line.strip_prefix("error: ").unwrap_or(&line));
    }
    error.exit()
}

/// The document of a command that failed. If nobody reads it, there is the exit code.
fn tell_failure(why: &str) {
    _ = print_json(&serde_json::json!({ "error": why }));
}

fn dispatch(args: Args) -> Result<(), Failure> {
    let command = match args.command {
        Some(_) if args.selfcheck => {
            return Err(Failure::Usage("--selfcheck goes alone; leave the command out".to_owned()));
        }
        None if args.selfcheck => Command::Selfcheck(selfcheck::Args::default()),
        None => Command::Run,
        Some(command) => command,
    };
    match command {
        Command::Hash(args) => return hash::run(&args),
        Command::Check(args) => return check::run(&args),
        Command::Config => return print(crate::config::default_toml().trim_end()),
        _ => {}
    }
    let config = settings(args.config.as_deref(), args.socket.as_deref())?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::failed)?;
    match command {
        Command::Run => return run::run(config, args.config.as_deref(), &runtime),
        Command::Keep(command) => return keep::run(&command, &config, &runtime),
        Command::Selfcheck(args) => return selfcheck::run(&config, &runtime, &args),
        _ => {}
    }
    let client = Client::new(config.socket());
    runtime.block_on(say(command, &client))
}

/// The commands that a running node carries out.
async fn say(command: Command, client: &Client) -> Result<(), Failure> {
    match command {
        Command::Share(args) => share::run(client, &args).await,
        Command::Fetch(args) => fetch::run(client, &args).await,
        Command::Forget(args) => forget::run(client, &args).await,
        Command::List(args) => list::list(client, &args).await,
        Command::Status(args) => list::status(client, &args).await,
        Command::Peers(args) => list::peers(client, &args).await,
        Command::Invite(args) => friends::invite(client, &args).await,
        Command::Accept(args) => friends::accept(client, &args).await,
        Command::Unshare { info_hash } => client.delete(&format!("/shares/{info_hash}")).await,
        Command::Send(args) => mail::send(client, &args).await,
        Command::Inbox(args) => mail::inbox(client, &args).await,
        Command::Outbox(args) => mail::outbox(client, &args).await,
        Command::Published(args) => service::published(client, &args).await,
        Command::ClientKey(command) => service::client_key(client, command).await,
        Command::Key(command) => service::key(client, command).await,
        Command::Page(action) => page::run(client, &action).await,
        Command::Publish(args) => publish::publish(client, args).await,
        Command::Unpublish(args) => publish::unpublish(client, &args).await,
        Command::Address => list::address(client).await,
        Command::Trust(command) => trust::run(client, &command).await,
        Command::Mirror(args) => mirror::run(client, &args).await,
        Command::Search(args) => search::run(client, &args).await,
        Command::NewIdentity(args) => proxy::new_identity(client, &args).await,
        Command::Stop => client.post("/stop", &()).await.map(drop),
        Command::Run
        | Command::Keep(_)
        | Command::Selfcheck(_)
        | Command::Hash(_)
        | Command::Check(_)
        | Command::Config => Ok(()),
    }
}

/// What the file says, then the environment, then the arguments.
fn settings(file: Option<&Path>, socket: Option<&Path>) -> Result<Config, Failure> {
    let usage = |error: ConfigError| Failure::Usage(error.to_string());
    let config = file.map_or_else(|| Ok(Config::default()), Config::load).map_err(usage)?;
    let mut config = config.with_environment(std::env::vars_os()).map_err(usage)?;
    if let Some(socket) = socket {
        config.control.socket = Some(std::path::absolute(socket).map_err(Failure::failed)?);
    }
    Ok(config)
}

/// One line, or one document, on stdout.
fn print(text: impl std::fmt::Display) -> Result<(), Failure> {
    use std::io::Write;
    writeln!(std::io::stdout().lock(), "{text}").map_err(Failure::failed)
}

/// A value as one JSON document on stdout.
fn print_json(value: &impl serde::Serialize) -> Result<(), Failure> {
    print(serde_json::to_string(value).map_err(Failure::failed)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn the_stable_lines_are_understood() {
        for line in [
            "",
            "--selfcheck",
            "selfcheck --json",
            "selfcheck --fresh --json",
            "run",
            "run --config f",
            "share a b --name n --piece-length 65536 --public --browser --json",
            "fetch http://x --out d --json",
            "forget 3 --json",
            "list --json",
            "status --json",
            "peers --json",
            "unshare 00",
            "send bob text --no-wait --json",
            "inbox --json",
            "inbox fetch 3 --out d --json",
            "inbox discard 3",
            "outbox --json",
            "published --json",
            "client-key add shop ann --key k --json",
            "client-key list shop --json",
            "client-key revoke shop ann",
            "client-key open shop",
            "key export shop d",
            "key import shop d --replace",
            "publish 00 --json",
            "publish 00 --tags a,b --text line",
            "unpublish 00",
            "address",
            "trust add a --name n --untold --degree 2 --yes",
            "trust add a b c d e f g h --name n",
            "trust list --json",
            "trust remove n",
            "trust block n",
            "trust unblock a",
            "trust degree 3 --yes --json",
            "mirror a",
            "mirror a --once",
            "mirror a --follow",
            "mirror list --json",
            "mirror remove a",
            "search two words --json",
            "new-identity --json",
            "stop",
            "page reset",
            "hash p --piece-length 16384 --torrent t --json",
            "check f.torrent p --json",
            "check f.torrent",
            "--socket s status",
            "invite --name n --json",
            "accept a b c d e f g h --name n --wait 60 --json",
            "keep save f --passphrase-file p",
            "keep show f --passphrase-file p --json",
            "keep restore f --passphrase-file p --old-board-is-off --replace",
        ] {
            let words = std::iter::once("bulbil").chain(line.split(' ').filter(|word| !word.is_empty()));
            Args::try_parse_from(words).unwrap_or_else(|error| panic!("{line}: {error}"));
        }
    }

    #[test]
    fn wrong_lines_exit_with_2() {
        for line in [
            "share",
            "fetch http://x",
            "frobnicate",
            "run --fast",
            "keep",
            "keep save",
            "keep save f --passphrase secret",
            "mirror",
            "mirror a --once --follow",
            "trust",
            "trust add",
            "search",
            "hash p --piece-length many",
        ] {
            let words = std::iter::once("bulbil").chain(line.split(' ').filter(|word| !word.is_empty()));
            assert_eq!(Args::try_parse_from(words).unwrap_err().exit_code(), 2, "{line}");
        }
    }
}
