//! Starting Arti, and keeping the status true while it bootstraps.

use std::fs::{File, TryLockError};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use arti_client::{BootstrapBehavior, ErrorKind, HasKind};
use futures::StreamExt;
use tokio::sync::{Semaphore, watch};
use tor_rtcompat::tokio::TokioRustlsRuntime;

use super::budget::{Budget, Side};
use super::service::{Ground, MAX_CIRCUITS};
use super::steady::Steady;
use super::{BadTorConfig, Client, Shared, Tor, TorConfig, relays, status};
use crate::status::NetStatus;

/// Between two tries when Arti gives up on bootstrap altogether.
const RETRY: Duration = Duration::from_secs(10);

/// Between two looks at Arti's status, which also changes by mere passing of time (a directory expires).
const LOOK: Duration = Duration::from_secs(5);

/// Why Tor could not be started. Goes to the owner, who knows the paths.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] BadTorConfig),
    /// A directory cannot be made or used.
    #[error("the Tor directory cannot be used ({0}); check its path, its owner and free space")]
    Directory(std::io::Error),
    /// Another process uses the state.
    #[error("another node uses this Tor state directory; stop it, or name another directory")]
    InUse,
    /// Arti refused.
    #[error("Tor did not start ({0}); check the Tor directories and the configuration")]
    Arti(String),
}

/// See [`Tor::start`].
pub(super) async fn start(config: &TorConfig) -> Result<Tor, StartError> {
    let arti = config.to_arti()?;
    let lock = claim(&config.state_dir, &config.cache_dir)?;
    // Fails only when somebody installed one before, which serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let refused = |error: &dyn std::fmt::Display| StartError::Arti(error.to_string());
    let runtime = TokioRustlsRuntime::current().map_err(|error| refused(&error))?;
    let services = Ground::new(&config.state_dir, arti.fs_mistrust(), lock).map_err(StartError::Directory)?;
    let caches = relays::caches(&arti);
    let client = Client::with_runtime(runtime)
        .config(arti)
        .bootstrap_behavior(BootstrapBehavior::Manual)
        .create_unbootstrapped_async()
        .await
        .map_err(|error| refused(&error))?;
    let status = NetStatus { kind: "tor".into(), doing: "starting".into(), ..NetStatus::default() };
    let budget = Budget::new(config.wear);
    let shared = Arc::new(Shared {
        client: Mutex::new(Some(Arc::clone(&client))),
        status: watch::Sender::new(status),
        access: Arc::default(),
        circuits: Arc::new(Semaphore::new(MAX_CIRCUITS)),
        lasting: budget.of(Side::Programs),
        budget,
        steady: Steady::new(&config.upload_ports, config.allows_local()),
        services,
        caches,
        config: config.clone(),
        bridges: Mutex::default(),
        tasks: Mutex::default(),
    });
    let watcher = tokio::spawn(watch_status(Arc::clone(&client), Arc::downgrade(&shared)));
    let bootstrapper = tokio::spawn(bootstrap(client, Arc::downgrade(&shared)));
    if let Ok(mut tasks) = shared.tasks.lock() {
        tasks.extend([watcher.abort_handle(), bootstrapper.abort_handle()]);
    }
    let tor = Tor(shared);
    tor.note_bridges(&config.bridges);
    Ok(tor)
}

/// Makes both directories with mode 0700, and takes the state for this process alone.
fn claim(state: &Path, cache: &Path) -> Result<File, StartError> {
    for folder in [state, cache] {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(StartError::Directory)?;
        std::fs::set_permissions(folder, PermissionsExt::from_mode(0o700)).map_err(StartError::Directory)?;
    }
    let path = state.join("bulbil.lock");
    let lock = File::options().create(true).truncate(false).write(true).open(path);
    let lock = lock.map_err(StartError::Directory)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(StartError::InUse),
        Err(TryLockError::Error(error)) => Err(StartError::Directory(error)),
    }
}

/// Bootstraps until it has worked once; Arti keeps its directory fresh from then on.
async fn bootstrap(client: Arc<Client>, shared: Weak<Shared>) {
    while let Err(error) = client.bootstrap().await {
        log::warn!("Tor gave up on its start: {:?}", error.kind());
        let Some(shared) = shared.upgrade() else { return };
        shared.status.send_modify(|status| {
            status.blocked = Some(gave_up(error.kind()).into());
        });
        drop(shared);
        if error.kind() == ErrorKind::SoftwareDeprecated {
            return;
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// What to do when Arti gave up.
const fn gave_up(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::SoftwareDeprecated => {
            "the Tor network requires a newer version than this one; update Bulbil, the rest of the node keeps working"
        }
        ErrorKind::ClockSkew => "the clock of this machine is wrong; set it to the right time",
        ErrorKind::LocalNetworkError => {
            "no connection to the internet; check the cable, the Wi-Fi and the router"
        }
        ErrorKind::CacheAccessFailed | ErrorKind::CacheCorrupted => {
            "the Tor cache directory cannot be used; check free space, or empty it"
        }
        _ => "Tor could not start and tries again; check the connection and the clock",
    }
}

/// Without progress for so long, the owner is told what to look at. Arti itself says nothing of guards that refuse the
/// connection, because it soon has none left to try.
const STUCK: Duration = Duration::from_secs(20);

/// Follows Arti's own status for as long as anybody holds the client.
async fn watch_status(client: Arc<Client>, shared: Weak<Shared>) {
    let mut events = client.bootstrap_events();
    let client = {
        let weak = Arc::downgrade(&client);
        drop(client);
        weak
    };
    let mut moved = (0, Instant::now());
    loop {
        {
            let (Some(client), Some(shared)) = (client.upgrade(), shared.upgrade()) else { return };
            let skew = client.circmgr().ok().and_then(|manager| manager.skew_events().get());
            let arti = client.bootstrap_status();
            shared.status.send_if_modified(|now| {
                let before = now.clone();
                if let Some(skew) = skew {
                    now.clock_skew_s = status::skew_seconds(skew.skew());
                }
                status::apply(now, &arti);
                if now.percent != moved.0 {
                    moved = (now.percent, Instant::now());
                }
                if !now.ready && now.blocked.is_none() && moved.1.elapsed() >= STUCK {
                    now.blocked = Some(status::standstill(now.percent).into());
                }
                before != *now
            });
            shared.steady.tidy();
        }
        if let Ok(None) = tokio::time::timeout(LOOK, events.next()).await {
            return;
        }
    }
}
