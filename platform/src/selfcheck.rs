//! Looks whether this machine can do what a node does, and whether anything leaks while it does it.
//!
//! Opens no port. Each step says what failed and what to do; later steps are skipped where they cannot work.

mod desk;
mod sockets;

use std::future::Future;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};

use crate::config;
use crate::exit::{Exit, Isolation, Name};
use crate::http::{Config, HttpError, TorHttpClient};
use crate::net::{Circuit, Network, ServiceKey};
pub(crate) use desk::Desk;
use sockets::{Process, Watch};

/// Bytes that go to our own onion service and back.
const WORD: [u8; 32] = *b"an onion service of one's own...";

/// The port of that service.
const PORT: u16 = 80;

/// All steps of one check.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Report {
    /// Whether none failed.
    pub ok: bool,
    /// In the order in which they were taken.
    pub checks: Vec<Check>,
}

/// One step.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Check {
    /// `bootstrap`, `resolve`, `fetch`, `onion` or `leaks`.
    pub name: String,
    /// Whether it went well.
    pub ok: bool,
    /// How long it took.
    pub seconds: f64,
    /// What went wrong and what to do, or what was left out. Names no target.
    pub why: Option<String>,
}

/// Takes all steps, with a network that was started for it. Ends within the configured time.
pub async fn run(network: &Network, config: &config::Selfcheck) -> Report {
    take_all(network, config, Process::Own, async { onion(network).await.map(|()| None) }).await
}

/// The same; what is special of onion services comes from the caller.
async fn take_all(
    network: &Network,
    config: &config::Selfcheck,
    process: Process,
    onion: impl Future<Output = Result<Option<String>, String>>,
) -> Report {
    let deadline = Instant::now() + Duration::from_secs(config.timeout.0);
    let watch = Watch::start(process);
    let mut report = Report { ok: true, checks: Vec::new() };
    let up = report.take("bootstrap", deadline, bootstrap(network)).await;
    if up {
        let exit = Exit::new(network.clone());
        if !config.resolve.is_empty() {
            report.take("resolve", deadline, resolve(&exit, &config.resolve)).await;
        }
        if !config.fetch.is_empty() {
            report.take("fetch", deadline, Box::pin(fetch(exit, &config.fetch))).await;
        }
        if config.onion {
            report.take_or_leave("onion", deadline, onion).await;
        }
    }
    // Last, so that it has seen all of it.
    let leaks = watch.verdict(|address| network.knows(address));
    report.take("leaks", Instant::now() + Duration::from_secs(1), async { leaks }).await;
    report
}

impl Report {
    async fn take(
        &mut self,
        name: &str,
        deadline: Instant,
        step: impl Future<Output = Result<(), String>>,
    ) -> bool {
        self.take_or_leave(name, deadline, async { step.await.map(|()| None) }).await
    }

    /// A step that may say of itself that it was left out, and why.
    async fn take_or_leave(
        &mut self,
        name: &str,
        deadline: Instant,
        step: impl Future<Output = Result<Option<String>, String>>,
    ) -> bool {
        let begun = Instant::now();
        let late = || Err("took too long; try again, or set a longer selfcheck.timeout".to_owned());
        let (ok, why) = match timeout_at(deadline, step).await.unwrap_or_else(|_| late()) {
            Ok(why) => (true, why),
            Err(why) => (false, Some(why)),
        };
        let seconds = (begun.elapsed().as_secs_f64() * 100.0).round() / 100.0;
        self.checks.push(Check { name: name.to_owned(), ok, seconds, why });
        self.ok &= ok;
        ok
    }
}

/// Waits for the network. Where it is stuck, what it says about that is the answer.
async fn bootstrap(network: &Network) -> Result<(), String> {
    let mut status = network.status();
    let mut stuck = None;
    loop {
        {
            let now = status.borrow_and_update();
            if now.ready {
                return Ok(());
            }
            if now.blocked.is_some() && stuck.is_none() {
                stuck = Some(Instant::now());
            } else if now.blocked.is_none() {
                stuck = None;
            }
            if let (Some(since), Some(why)) = (stuck, &now.blocked)
                && since.elapsed() >= STUCK
            {
                return Err(why.clone());
            }
        }
        if let Ok(Err(_)) = tokio::time::timeout(Duration::from_secs(1), status.changed()).await {
            return Err("the network ended; start it again".to_owned());
        }
    }
}

/// A reason for being stuck that stays for so long is believed.
const STUCK: Duration = Duration::from_secs(30);

async fn resolve(exit: &Exit, name: &str) -> Result<(), String> {
    let name: Name = name
        .parse()
        .map_err(|_| "selfcheck.resolve is no name; write one such as www.torproject.org".to_owned())?;
    exit.resolve(&name, &Isolation::of("selfcheck")).await.map(drop).map_err(|why| why.to_string())
}

async fn fetch(exit: Exit, url: &str) -> Result<(), String> {
    let told = |why: HttpError| why.to_string();
    let client = TorHttpClient::over(exit, Config { redirects: 0, ..Config::default() }).map_err(told)?;
    let answer = client.get(url).await.map_err(told)?;
    if answer.status().is_server_error() {
        return Err(format!(
            "the service answered {}; name another in selfcheck.fetch",
            answer.status().as_u16()
        ));
    }
    Ok(())
}

/// Publishes an onion service for a moment, and reaches it as a stranger would.
async fn onion(network: &Network) -> Result<(), String> {
    let mut seed = zeroize::Zeroizing::new([0; 32]);
    getrandom::fill(&mut *seed)
        .map_err(|_| "the system gives no randomness; check /dev/urandom".to_owned())?;
    let mut service =
        network.serve(&ServiceKey::from_seed(*seed), PORT, None).await.map_err(|why| why.to_string())?;
    let mut reachable = service.reachable();
    let address = service.address();
    let echo = async {
        let mut stream = service.accept().await?;
        let mut word = [0; WORD.len()];
        stream.read_exact(&mut word).await.ok()?;
        stream.write_all(&word).await.ok()?;
        stream.flush().await.ok()?;
        std::future::pending::<()>().await; // the other end hangs up first
        Some(())
    };
    let visit = async {
        let published = reachable.wait_for(|now| *now).await.is_ok();
        if !published {
            return Err("the network ended; start it again".to_owned());
        }
        let circuit = Circuit { swarm: u64::MAX, lane: 0 };
        let mut stream = network.connect(address, None, circuit).await.map_err(|why| why.to_string())?;
        let broke = |_| "the path to our own onion service broke; try again".to_owned();
        stream.write_all(&WORD).await.map_err(broke)?;
        stream.flush().await.map_err(broke)?;
        let mut word = [0; WORD.len()];
        stream.read_exact(&mut word).await.map_err(broke)?;
        if word == WORD {
            Ok(())
        } else {
            Err("our own onion service said something else; try again".to_owned())
        }
    };
    let outcome = tokio::select! {
        outcome = visit => outcome,
        _ = echo => Err("our own onion service ended; try again".to_owned()),
    };
    service.close().await;
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::memory::Memory;

    fn config() -> config::Selfcheck {
        config::Selfcheck {
            fetch: String::new(),
            timeout: config::Seconds(20),
            ..config::Selfcheck::default()
        }
    }

    #[tokio::test]
    async fn a_working_network_passes() {
        let memory = Memory::new();
        memory.name_outside(&config().resolve.parse().unwrap(), &[[192, 0, 2, 1].into()]);
        let report = run(&Network::Memory(memory), &config()).await;
        let names: Vec<&str> = report.checks.iter().map(|check| check.name.as_str()).collect();
        assert_eq!(names, ["bootstrap", "resolve", "onion", "leaks"]);
        // Other tests of this process may have sockets.
        assert!(report.checks.iter().all(|check| check.ok || check.name == "leaks"), "{report:?}");
    }

    #[tokio::test]
    async fn what_fails_is_named() {
        let settings = config::Selfcheck { fetch: "http://nowhere.org/".into(), onion: false, ..config() };
        let report = run(&Network::Memory(Memory::new()), &settings).await;
        let failed: Vec<&str> =
            report.checks.iter().filter(|check| !check.ok).map(|check| check.name.as_str()).collect();
        assert_eq!(failed.get(..2), Some(&["resolve", "fetch"][..]));
        assert!(!report.ok && report.checks[1].why.as_ref().unwrap().contains("no such name"), "{report:?}");
    }
}
