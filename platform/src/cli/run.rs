//! `bulbil run`: the node in the foreground.

use std::path::{Path, PathBuf};

use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::LocalSet;

use super::{Failure, passphrase};
use crate::config::Config;
use crate::config::publish::{self, Publish};
use crate::control::Control;
use crate::harden;
use crate::keep::{self, Passphrase, TakenUp};
use crate::net::Network;
use crate::node::{self, Handle};
use crate::proxy::Proxies;
use crate::state::StateDir;
use crate::status::hardening::State;
use crate::sys::{mount, process};
use crate::web::{self, Web};

/// Runs until stopped by a signal or by `bulbil stop`.
pub(super) fn run(mut config: Config, file: Option<&Path>, runtime: &Runtime) -> Result<(), Failure> {
    crate::logger::start(config.log);
    if let Err(error) = process::raise_files() {
        log::warn!("the limit of open files could not be raised: {error}; few proxy connections will fit");
    }
    // Before a passphrase is read. How it went is told below, with all other measures.
    _ = process::harden();
    from_environment(&mut config, |name| std::env::var(name).ok())?;
    let state = StateDir::open(&config.state_dir(), config.allow_disk_state).map_err(Failure::failed)?;
    take_up(&mut config, &state)?;
    forget_password(&config, &state)?;
    bring_password(&config, &state)?;
    let measures = harden::apply(&config, state.path(), file);
    if let Some(why) = harden::refusal(&config, measures) {
        return Err(Failure::Failed(why));
    }
    for measure in measures.iter().filter(|measure| measure.state == State::Off) {
        log::debug!("not hardened, {}: {}", measure.name, measure.why);
    }
    let (folder, on_disk) = (state.path().to_owned(), config.allow_disk_state);
    LocalSet::new().block_on(runtime, serve(config, state))?;
    if let Some((kept, place)) = keep::take_aside() {
        let state = StateDir::open(&folder, on_disk).map_err(Failure::failed)?;
        kept.restore(&state, true).map_err(Failure::failed)?;
        let left = place.map_or(Ok(true), |place| place.leave(state.path()));
        if !left.is_ok_and(|left| left) {
            log::warn!(
                "this node does not keep itself after the next start: name its keep file on the page once more"
            );
        }
        log::info!("brought back from a keep file; start again");
        return Err(Failure::Power(keep::AGAIN));
    }
    match crate::power::asked_code() {
        Some(code) => Err(Failure::Power(code)),
        None => Ok(()),
    }
}

/// Opens the keep file, where the owner named one, and brings back what it holds if this machine has been off.
fn take_up(config: &mut Config, state: &StateDir) -> Result<(), Failure> {
    let left = keep::Place::found(state.path());
    let Some(file) = &config.keep.file else {
        go_on(config, state, left);
        return Ok(());
    };
    if !keep::wait_for_disk(file) {
        log::warn!(
            "the disk of the keep file did not come: this node begins anew, and is the one of before when it is started \
             with that disk"
        );
    }
    let source = config.keep.passphrase_file.as_deref();
    let (passphrase, new) = (passphrase::for_node(source)?, !file.exists());
    if new {
        Passphrase::to_seal(passphrase.reveal()).map_err(Failure::failed)?;
    }
    let (taken_up, mark) = keep::take_up(file, &passphrase, state).map_err(Failure::failed)?;
    match taken_up {
        TakenUp::Restored => log::info!("restored from the keep file"),
        TakenUp::Present => log::info!("the state of before is there; the keep file is older"),
        TakenUp::Nothing => log::info!("there is no keep file yet; it will be made"),
        TakenUp::Another => log::warn!(
            "the keep file is not this node's: it is left as it is, and nothing is saved; `bulbil status` says what to do"
        ),
    }
    (config.keep.passphrase, config.keep.mark) = (Some(passphrase), mark);
    Ok(())
}

/// Goes on keeping the node in the file from which its page brought it back just before.
fn go_on(config: &mut Config, state: &StateDir, left: Option<keep::Place>) {
    let Some(keep::Place { file, passphrase }) = left else { return };
    if let Ok((TakenUp::Present | TakenUp::Restored, mark)) = keep::take_up(&file, &passphrase, state) {
        log::info!("the node goes on keeping itself in the file it was brought back from");
        (config.keep.file, config.keep.passphrase, config.keep.mark) = (Some(file), Some(passphrase), mark);
    } else {
        log::warn!(
            "the keep file that the node was brought back from is gone; the node does not keep itself any more"
        );
    }
}

/// Forgets the page's password where the owner asked for it in the configuration; also one that a keep file brought back.
fn forget_password(config: &Config, state: &StateDir) -> Result<(), Failure> {
    if !config.page.reset {
        return Ok(());
    }
    log::warn!(
        "page.reset is set: the page has no password until its first run sets one, and forgets it at each start; take \
         reset out of the configuration again"
    );
    let mut all = state.load().map_err(Failure::failed)?;
    if all.page.password.is_none() {
        return Ok(());
    }
    all.page = all.page.forgotten();
    state.save(&all).map_err(Failure::failed)
}

/// Takes the page's password from the configuration, where it brings one and none is kept.
fn bring_password(config: &Config, state: &StateDir) -> Result<(), Failure> {
    if config.page.password_hash.is_none() {
        return Ok(());
    }
    let mut all = state.load().map_err(Failure::failed)?;
    match web::preset(&all.page, &config.page).map_err(Failure::Failed)? {
        Some(page) => all.page = page,
        None => return Ok(()),
    }
    state.save(&all).map_err(Failure::failed)
}

/// The names that existing deployments use: `HS_ROUTER` publishes, `SECMEM_STRICT=1` refuses to run half-hardened. As everywhere,
/// an empty variable counts as none.
fn from_environment(config: &mut Config, get: impl Fn(&str) -> Option<String>) -> Result<(), Failure> {
    let get = |name: &str| get(name).filter(|value| !value.trim().is_empty());
    if let Some(router) = get("HS_ROUTER") {
        if config.publish.iter().any(|service| service.name == publish::ROUTER_NAME) {
            return Err(Failure::Usage(format!(
                "HS_ROUTER publishes a service called {0}, and a [[publish]] block is called {0} as well; rename that block",
                publish::ROUTER_NAME
            )));
        }
        // A volume that was mounted there was mounted for this.
        let volume = PathBuf::from(VOLUME);
        let kept = mount::is_mount_point(&volume).then(|| volume.join(publish::ROUTER_NAME));
        config.publish.push(Publish::from_router(&router, kept).map_err(Failure::Usage)?);
        // Its neighbours look for SOCKS where C tor has it.
        let socks = &mut config.proxy.socks.listen;
        if get("COMMON_SOCKS_PROXY_PORT").is_none() && socks.port() == OUR_SOCKS {
            socks.set_port(TOR_SOCKS);
        }
    }
    match get("SECMEM_STRICT").as_deref().map(str::trim) {
        Some("1") => config.harden.strict = true,
        Some("0") | None => {}
        Some(_) => return Err(Failure::Usage("SECMEM_STRICT is 0 or 1".into())),
    }
    config.check().map_err(|why| Failure::Usage(why.to_string()))
}

/// The usual port of our SOCKS listener, and of C tor's.
const OUR_SOCKS: u16 = 9150;
const TOR_SOCKS: u16 = 9050;

/// Where the Tor containers that people move over from keep their onion services.
const VOLUME: &str = "/var/lib/tor";

async fn serve(config: Config, state: StateDir) -> Result<(), Failure> {
    // Fails before anything is opened: who needs bridges must not be seen at a public relay.
    let bridges = state.load().map_err(Failure::failed)?.page.bridges;
    // Signals first: one that comes early must not kill.
    let (interrupt, terminate) = (catch(SignalKind::interrupt())?, catch(SignalKind::terminate())?);
    let control = Control::bind(&config.socket()).map_err(Failure::failed)?;
    let web = if config.page.enabled {
        Some(Web::bind(&config).await.map_err(|error| page_failure(&config, &error))?)
    } else {
        None
    };
    let (node, inbox) = Handle::new();
    let node = node.with_metrics(&config.metrics);
    let (stop, stopped) = watch::channel(false);
    let (arrive, arrived) = watch::channel(None);
    let mut servers = tokio::task::JoinSet::new();
    servers.spawn(control.run(node.clone(), stopped.clone()));
    if let Some(web) = web {
        log::info!("page at http://{}/", web.address());
        servers.spawn(web.run(node.clone(), arrived, stopped));
    }
    tokio::task::spawn_local(on_signal(node, interrupt, terminate));
    let mut config = config;
    if let Some(bridges) = bridges {
        config.net.tor.bridges = bridges;
    }
    let network = Network::start(&config, state.path()).await.map_err(Failure::failed)?;
    let proxies = Proxies::new(network.clone(), &config);
    proxies.listen(&config, &stop.subscribe()).await;
    arrive.send_replace(Some(network.clone()));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{PageEntry, Secret, State};
    use crate::sys::scratch::Scratch;

    fn with(text: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
        let mut config = Config::parse(text).unwrap();
        let get = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        match from_environment(&mut config, get) {
            Ok(()) => Ok(config),
            Err(Failure::Usage(why)) => Err(why),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn empty_variables_count_as_none() {
        let empty = [("HS_ROUTER", ""), ("SECMEM_STRICT", ""), ("COMMON_SOCKS_PROXY_PORT", "")];
        assert_eq!(with("", &empty).unwrap(), Config::parse("").unwrap());
        let config = with("", &[("HS_ROUTER", "web:8000:80"), ("COMMON_SOCKS_PROXY_PORT", "")]).unwrap();
        assert_eq!((config.publish.len(), config.proxy.socks.listen.port()), (1, TOR_SOCKS));
        let config = with("", &[("HS_ROUTER", "web:8000:80"), ("COMMON_SOCKS_PROXY_PORT", "9150")]).unwrap();
        assert_eq!(config.proxy.socks.listen.port(), OUR_SOCKS);
    }

    #[test]
    fn what_the_environment_adds_is_checked_with_the_rest() {
        let block = |name: &str| {
            format!("[[publish]]\nname = \"{name}\"\n[publish.ports]\n80 = [\"127.0.0.1:8000\"]\n")
        };
        let router = [("HS_ROUTER", "web:8000:80")];
        let why = with(&block("hidden_service"), &router).unwrap_err();
        assert!(why.contains("hidden_service") && why.contains("HS_ROUTER"), "{why}");
        assert_eq!(with(&block("shop"), &router).unwrap().publish.len(), 2);
        let most: String = (0..publish::MAX_SERVICES).map(|number| block(&format!("s{number}"))).collect();
        assert!(with(&most, &router).unwrap_err().contains("16"));
        assert!(with("", &[("SECMEM_STRICT", "yes")]).unwrap_err().contains("SECMEM_STRICT"));
    }

    #[test]
    fn a_password_is_forgotten_when_the_configuration_says_so() {
        let scratch = Scratch::new("reset");
        let dir = StateDir::open(&scratch.path().join("state"), true).unwrap();
        let page = PageEntry {
            password: Some("hash".into()),
            seal: Some(Secret([1; 32])),
            folders: vec!["/srv".into()],
            ..PageEntry::default()
        };
        let state = State { catalogue: Some(Secret([2; 32])), page, ..State::default() };
        dir.save(&state).unwrap();
        forget_password(&Config::default(), &dir).unwrap();
        assert_eq!(dir.load().unwrap(), state);
        let config = Config::parse("[page]\nreset = true").unwrap();
        forget_password(&config, &dir).unwrap();
        let after = dir.load().unwrap();
        assert_eq!((after.page.password, after.page.seal), (None, None));
        assert_eq!((after.page.folders, after.catalogue), (vec!["/srv".into()], Some(Secret([2; 32]))));
    }

    #[test]
    fn a_password_comes_with_the_configuration() {
        let scratch = Scratch::new("preset");
        let dir = StateDir::open(&scratch.path().join("state"), true).unwrap();
        let password = || dir.load().unwrap().page.password;
        bring_password(&Config::default(), &dir).unwrap();
        assert_eq!(password(), None);
        let hash = format!("scrypt$1$1$1$AAAA${}", "A".repeat(43));
        let mut config = Config::parse(&format!("[page]\npassword_hash = \"{hash}\"")).unwrap();
        bring_password(&config, &dir).unwrap();
        assert_eq!(password(), Some(hash.clone()));
        dir.save(&State {
            page: PageEntry { password: Some("kept".into()), ..PageEntry::default() },
            ..State::default()
        })
        .unwrap();
        bring_password(&config, &dir).unwrap();
        assert_eq!(password(), Some("kept".into()), "the owner chose another on the page");
        config.page.reset = true;
        forget_password(&config, &dir).unwrap();
        bring_password(&config, &dir).unwrap();
        assert_eq!(password(), Some(hash));
    }
}
