//! `bulbil selfcheck`: whether this machine can be a node.

use std::path::Path;

use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::LocalSet;

use super::{Failure, print, print_json};
use crate::config::Config;
use crate::net::Network;
use crate::selfcheck;
use crate::state::StateDir;

#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct Args {
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// What the folder of a check is called, before the number of its process.
const FOLDER: &str = "selfcheck-";

/// Takes all steps with a Tor of its own, beside a node that may be running.
pub(super) fn run(config: &Config, runtime: &Runtime, args: &Args) -> Result<(), Failure> {
    crate::logger::start(config.log);
    sweep(&config.state_dir());
    let folder = config.state_dir().join(format!("{FOLDER}{}", std::process::id()));
    let outcome = check(config, runtime, &folder);
    // In RAM, and of no use to anybody now.
    let _ = std::fs::remove_dir_all(&folder);
    let report = outcome?;
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

fn check(config: &Config, runtime: &Runtime, folder: &Path) -> Result<selfcheck::Report, Failure> {
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
}
