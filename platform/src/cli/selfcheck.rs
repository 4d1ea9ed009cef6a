//! `bulbil selfcheck`: whether this machine can be a node.

use tokio::runtime::Runtime;
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

/// Takes all steps with a Tor of its own, beside a node that may be running.
pub(super) fn run(config: &Config, runtime: &Runtime, args: &Args) -> Result<(), Failure> {
    crate::logger::start(config.log);
    let folder = config.state_dir().join(format!("selfcheck-{}", std::process::id()));
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

fn check(config: &Config, runtime: &Runtime, folder: &std::path::Path) -> Result<selfcheck::Report, Failure> {
    let state = StateDir::open(folder, config.allow_disk_state).map_err(Failure::failed)?;
    LocalSet::new().block_on(runtime, async {
        let network = Network::start(config, state.path()).await.map_err(Failure::failed)?;
        let report = selfcheck::run(&network, &config.selfcheck).await;
        network.shutdown().await;
        Ok(report)
    })
}
