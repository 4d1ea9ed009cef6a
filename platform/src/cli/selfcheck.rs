//! `bulbil selfcheck`: whether this machine can be a node.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::LocalSet;
use tokio::time::timeout;

use super::client::Client;
use super::{Failure, print, print_json};
use crate::config::{self, Config};
use crate::net::Network;
use crate::selfcheck::{self, Report};
use crate::state::{State, StateDir};

#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct Args {
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    /// Start a Tor of its own also where a node runs: takes longer, and shows what a new node would meet
    #[arg(long)]
    fresh: bool,
}

/// What the folder of a check is called, before the number of its process.
const FOLDER: &str = "selfcheck-";

/// How much longer than a check a node may take to answer, beside the time of one that is under way.
const MARGIN: Duration = Duration::from_secs(30);

/// Has the node take all steps that runs on this state directory; without one, takes them with a Tor of its own.
pub(super) fn run(config: &Config, runtime: &Runtime, args: &Args) -> Result<(), Failure> {
    crate::logger::start(config.log);
    sweep(&config.state_dir());
    let told = if args.fresh { None } else { runtime.block_on(ask(config))? };
    let report = match told {
        Some(report) => report,
        None => start(&with_bridges(config)?, runtime)?,
    };
    if args.json {
        print_json(&report)?;
    } else {
        for check in &report.checks {
            let word = if check.ok { "ok" } else { "FAILED" };
            let why = check.why.as_ref().map_or_else(String::new, |why| format!("  {why}"));
            print(format_args!("{word:<7} {:<10} {:>6.2} s{why}", check.name, check.seconds))?;
        }
    }
    let failed: Vec<&str> =
        report.checks.iter().filter(|check| !check.ok).map(|check| check.name.as_str()).collect();
    if failed.is_empty() {
        Ok(())
    } else {
        let why = format!("selfcheck: {} failed", failed.join(", "));
        Err(if args.json { Failure::Told(why) } else { Failure::Failed(why) })
    }
}

/// The report of the node that runs, if one does.
async fn ask(config: &Config) -> Result<Option<Report>, Failure> {
    let client = Client::new(config.socket());
    if !client.is_answered().await? {
        return Ok(None);
    }
    // Who says nothing of his own has the node look for what its configuration says.
    let settings = (config.selfcheck != config::Selfcheck::default()).then_some(&config.selfcheck);
    // Another check may be under way, which comes first.
    let limit = Duration::from_secs(config.selfcheck.timeout.0).saturating_mul(2).saturating_add(MARGIN);
    let answer = timeout(limit, client.post("/selfcheck", &settings)).await.map_err(|_| {
        Failure::Failed(
            "selfcheck: the node did not answer in time; look at its log, and start it again".into(),
        )
    })??;
    serde_json::from_slice(&answer).map(Some).map_err(|_| {
        Failure::Failed("selfcheck: a node of another version runs here; start it again with this one".into())
    })
}

/// With the bridges of the node that this state directory is of. Those entered on its page count instead of configured ones. Fails
/// where they cannot be known: who needs bridges must not be seen at a public relay.
fn with_bridges(config: &Config) -> Result<Config, Failure> {
    let unknown = |why: String| {
        Failure::Failed(format!("selfcheck: it cannot be known by which bridges this node enters Tor: {why}"))
    };
    let folder = config.state_dir();
    let state = State::read(&folder).map_err(|why| unknown(why.to_string()))?;
    let mut config = config.clone();
    let is_sealed = |file: &PathBuf| file.try_exists().unwrap_or(true);
    if !State::exists(&folder)
        && config.net.tor.bridges.is_empty()
        && config.keep.file.as_ref().is_some_and(is_sealed)
    {
        let why = "they are in its keep file; start the node first, or name bridges in [net.tor]";
        return Err(unknown(why.to_owned()));
    }
    if let Some(bridges) = state.page.bridges {
        config.net.tor.bridges = bridges;
    }
    Ok(config)
}

/// Takes all steps with a Tor of its own, in a folder of its own.
fn start(config: &Config, runtime: &Runtime) -> Result<Report, Failure> {
    let folder = config.state_dir().join(format!("{FOLDER}{}", std::process::id()));
    let outcome = check(config, runtime, &folder);
    // In RAM, and of no use to anybody now.
    let _ = std::fs::remove_dir_all(&folder);
    outcome
}

/// Removes what checks left behind that were killed: their keys and the directory of Tor are megabytes of memory. One that
/// cannot be removed is left for the next time.
fn sweep(state: &Path) {
    let Ok(entries) = std::fs::read_dir(state) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let process = name.to_str().and_then(|name| name.strip_prefix(FOLDER)?.parse::<u32>().ok());
        if process.is_some_and(|number| !Path::new("/proc").join(number.to_string()).exists()) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

fn check(config: &Config, runtime: &Runtime, folder: &Path) -> Result<Report, Failure> {
    LocalSet::new().block_on(runtime, async {
        // Signals first: one that comes early must not leave the folder behind.
        let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::failed)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(Failure::failed)?;
        let state = StateDir::open(folder, config.allow_disk_state).map_err(Failure::failed)?;
        let checked = async {
            let network = Network::start(config, state.path()).await.map_err(Failure::failed)?;
            let report = selfcheck::run(&network, &config.selfcheck).await;
            network.shutdown().await;
            Ok(report)
        };
        tokio::select! {
            report = checked => report,
            _ = interrupt.recv() => Err(Failure::Failed("selfcheck: stopped before it was done".into())),
            _ = terminate.recv() => Err(Failure::Failed("selfcheck: stopped before it was done".into())),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::PageEntry;
    use crate::sys::scratch::Scratch;

    #[test]
    fn only_what_dead_checks_left_is_removed() {
        let scratch = Scratch::new("sweep");
        // No process has a number above the kernel's limit of 2^22 (proc(5), pid_max).
        let (dead, own) = (format!("{FOLDER}4194305"), format!("{FOLDER}{}", std::process::id()));
        for name in [dead.as_str(), &own, "selfcheck-x", "tor"] {
            std::fs::create_dir(scratch.path().join(name)).unwrap();
        }
        std::fs::write(scratch.path().join(&dead).join("key"), "secret").unwrap();
        sweep(scratch.path());
        let is_left = |name: &str| scratch.path().join(name).exists();
        assert!(!is_left(&dead) && is_left(&own) && is_left("selfcheck-x") && is_left("tor"));
    }

    #[test]
    fn bridges_from_the_page_are_used_and_unknown_ones_are_no_public_relays() {
        let scratch = Scratch::new("bridges");
        let (folder, keep) = (scratch.path().join("state"), scratch.path().join("keep.age"));
        let mut config = Config { state_dir: Some(folder.clone()), ..Config::default() };
        config.net.tor.bridges = vec!["192.0.2.1:443".into()];
        assert_eq!(with_bridges(&config).unwrap(), config, "a machine where no node ever ran");
        let dir = StateDir::open(&folder, true).unwrap();
        let enter = |bridges: Option<Vec<String>>| {
            let page = PageEntry { bridges, ..PageEntry::default() };
            dir.save(&State { page, ..State::default() }).unwrap();
        };
        enter(None);
        assert_eq!(with_bridges(&config).unwrap(), config);
        for entered in [vec!["192.0.2.7:443".to_owned()], Vec::new()] {
            enter(Some(entered.clone()));
            assert_eq!(with_bridges(&config).unwrap().net.tor.bridges, entered);
        }
        std::fs::write(folder.join("state.json"), "{\"page\": {\"bridges\": [\"192.0.").unwrap();
        let why = format!("{:?}", with_bridges(&config).unwrap_err());
        assert!(why.contains("bridges") && why.contains("state.json"), "{why}");

        // In a keep file nobody can look without its passphrase.
        std::fs::remove_file(folder.join("state.json")).unwrap();
        config.net.tor.bridges.clear();
        config.keep.file = Some(keep.clone());
        with_bridges(&config).unwrap();
        std::fs::write(&keep, "sealed").unwrap();
        let why = format!("{:?}", with_bridges(&config).unwrap_err());
        assert!(why.contains("keep file") && why.contains("[net.tor]"), "{why}");
        config.net.tor.bridges = vec!["192.0.2.1:443".into()];
        with_bridges(&config).unwrap();
    }
}
