//! `bulbil run`: the node in the foreground.

use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::LocalSet;

use super::{Failure, passphrase};
use crate::config::Config;
use crate::control::Control;
use crate::keep::{self, Passphrase, TakenUp};
use crate::net::Network;
use crate::node::{self, Handle};
use crate::proxy::Proxies;
use crate::state::StateDir;
use crate::sys::process;
use crate::web::Web;

/// Runs until stopped by a signal or by `bulbil stop`.
pub(super) fn run(mut config: Config, runtime: &Runtime) -> Result<(), Failure> {
    crate::logger::start(config.log);
    if let Err(error) = process::raise_files() {
        log::warn!("the limit of open files could not be raised: {error}; few proxy connections will fit");
    }
    if let Err(error) = process::harden() {
        log::warn!("core dumps could not be switched off: {error}");
    }
    let state = StateDir::open(&config.state_dir(), config.allow_disk_state).map_err(Failure::failed)?;
    take_up(&mut config, &state)?;
    LocalSet::new().block_on(runtime, serve(config, state))
}

/// Opens the keep file, where the owner named one, and brings back what it holds if this machine has been off.
fn take_up(config: &mut Config, state: &StateDir) -> Result<(), Failure> {
    let Some(file) = &config.keep.file else { return Ok(()) };
    let source = config.keep.passphrase_file.as_deref();
    let (passphrase, new) = (passphrase::for_node(source)?, !file.exists());
    if new {
        Passphrase::to_seal(passphrase.reveal()).map_err(Failure::failed)?;
    }
    match keep::take_up(file, &passphrase, state).map_err(Failure::failed)? {
        TakenUp::Restored => log::info!("restored from the keep file"),
        TakenUp::Present => log::info!("the state of before is there; the keep file is older"),
        TakenUp::Nothing => log::info!("there is no keep file yet; it will be made"),
    }
    config.keep.passphrase = Some(passphrase);
    Ok(())
}

async fn serve(config: Config, state: StateDir) -> Result<(), Failure> {
    // Signals first: one that comes early must not kill.
    let (interrupt, terminate) = (catch(SignalKind::interrupt())?, catch(SignalKind::terminate())?);
    let control = Control::bind(&config.socket()).map_err(Failure::failed)?;
    let web = if config.page.enabled {
        Some(Web::bind(&config).await.map_err(|error| page_failure(&config, &error))?)
    } else {
        None
    };
    let (node, inbox) = Handle::new();
    let (stop, stopped) = watch::channel(false);
    let (arrive, arrived) = watch::channel(None);
    let mut servers = tokio::task::JoinSet::new();
    servers.spawn(control.run(node.clone(), stopped.clone()));
    if let Some(web) = web {
        log::info!("page at http://{}/", web.address());
        servers.spawn(web.run(node.clone(), arrived, stopped));
    }
    tokio::task::spawn_local(on_signal(node, interrupt, terminate));
    let network = Network::start(&config, state.path()).await.map_err(Failure::failed)?;
    arrive.send_replace(Some(network.clone()));
    let proxies = Proxies::new(network.clone(), &config);
    proxies.listen(&config, &stop.subscribe()).await;
    let ended = node::run(config, state, network, proxies, inbox).await.map_err(Failure::failed);
    stop.send_replace(true);
    servers.join_all().await;
    ended
}

fn catch(kind: SignalKind) -> Result<Signal, Failure> {
    signal(kind).map_err(Failure::failed)
}

/// The first signal stops in order; a second one stops at once.
async fn on_signal(node: Handle, mut interrupt: Signal, mut terminate: Signal) {
    tokio::select! { _ = interrupt.recv() => {} _ = terminate.recv() => {} }
    log::info!("stopping");
    tokio::select! {
        _ = node.stop() => {}
        _ = interrupt.recv() => std::process::exit(1),
        _ = terminate.recv() => std::process::exit(1),
    }
}

fn page_failure(config: &Config, error: &std::io::Error) -> Failure {
    let listen = config.page.listen;
    Failure::Failed(format!(
        "cannot open the page at {listen}: {error}; set page.listen, or page.enabled = false"
    ))
}
