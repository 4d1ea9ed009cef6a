//! What all requests share.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::time::timeout;

use super::browse::Folders;
use super::guesses::Guesses;
use super::jobs::Jobs;
use super::looks::Looks;
use super::once::Once;
use super::onion::Onion;
use super::password::Hasher;
use super::search::Searches;
use super::session::Sessions;
use super::upload::Gate;
use crate::config::secret::is_secret;
use crate::config::{Config, Page};
use crate::net::Network;
use crate::node::{Handle, NodeError};
use crate::state::PageEntry;
use crate::sys::process;

/// Longest wait for the node's own task.
const NODE: Duration = Duration::from_secs(10);

/// See the module.
pub(super) struct Site {
    pub(super) node: Handle,
    /// The page's part of the configuration.
    pub(super) page: Page,
    /// The network, once there is one.
    pub(super) network: OnceLock<Network>,
    /// Bridges of the configuration.
    pub(super) bridges: Vec<String>,
    /// Hash of what a program sends to read the figures.
    pub(super) scraper: Option<[u8; 32]>,
    /// All of it as TOML, without what the owner left out.
    pub(super) config: String,
    /// The only folders from which and into which things may go, where the configuration names any.
    pub(super) allowed: Vec<PathBuf>,
    /// The state directory.
    pub(super) state: PathBuf,
    pub(super) port: u16,
    /// Names by which the page may be called besides addresses, in lower case.
    pub(super) names: Vec<String>,
    /// Signs the tokens of forms; new in every run.
    pub(super) key: [u8; 32],
    pub(super) hasher: Hasher,
    pub(super) jobs: Jobs,
    pub(super) onion: Onion,
    pub(super) searches: Searches,
    pub(super) once: Once,
    pub(super) looks: Looks,
    pub(super) uploads: Gate,
    sessions: Mutex<Sessions>,
    guesses: Mutex<Guesses>,
    folders: Mutex<Folders>,
}

/// How handlers hold it.
pub(super) type Shared = Arc<Site>;

impl Site {
    /// Fails without randomness.
    pub(super) fn new(
        node: Handle,
        config: &Config,
        port: u16,
        loopback: bool,
    ) -> Result<Shared, getrandom::Error> {
        let mut key = [0; 32];
        getrandom::fill(&mut key)?;
        let page = config.page.clone();
        let names = if loopback { Vec::new() } else { own_names() };
        let names = names.into_iter().chain(page.names.iter().map(|name| name.to_lowercase())).collect();
        Ok(Arc::new(Self {
            node,
            allowed: allowed(config),
            page,
            config: shown(config),
            network: OnceLock::new(),
            bridges: config.net.tor.bridges.clone(),
            scraper: config.metrics.token.as_ref().map(|token| Sha256::digest(&token.0).into()),
            state: config.state_dir(),
            port,
            names,
            key,
            hasher: Hasher::new(),
            jobs: Jobs::default(),
            onion: Onion::default(),
            searches: Searches::default(),
            once: Once::default(),
            looks: Looks::default(),
            uploads: Gate::default(),
            sessions: Mutex::default(),
            guesses: Mutex::default(),
            folders: Mutex::default(),
        }))
    }

    /// Whether this is a name of ours.
    pub(super) fn is_called(&self, name: &str) -> bool {
        let status = self.node.status();
        is_ours(&name.to_lowercase(), &self.names, status.board.as_ref().map(|board| board.name.as_str()))
    }

    /// Where fetched files go that are not meant to last.
    pub(super) fn downloads(&self) -> PathBuf {
        self.state.join("downloads")
    }

    /// Whether this machine is a board: nobody sits at it, and it has no shell.
    pub(super) fn is_board(&self) -> bool {
        self.node.status().board.is_some()
    }

    /// What the page keeps.
    pub(super) async fn entry(&self) -> Result<PageEntry, NodeError> {
        timeout(NODE, self.node.page()).await.map_err(|_| NodeError::Stopping)?
    }

    /// Changes what the page keeps, for who was let in under what it said `before`; gives what it says now. Refused where the
    /// password is another one by now.
    pub(super) async fn change(
        &self,
        before: &PageEntry,
        change: impl FnOnce(&mut PageEntry) + Send + 'static,
    ) -> Result<PageEntry, NodeError> {
        let changing = self.node.change_page(before.seal.clone(), change);
        timeout(NODE, changing).await.map_err(|_| NodeError::Stopping)?
    }

    pub(super) fn sessions(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn guesses(&self) -> MutexGuard<'_, Guesses> {
        self.guesses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn folders(&self) -> MutexGuard<'_, Folders> {
        self.folders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the page allows, else what the process can open at all.
fn allowed(config: &Config) -> Vec<PathBuf> {
    if config.page.folders.is_empty() { config.harden.folders.clone() } else { config.page.folders.clone() }
}

/// The configuration as its owner may see it. Values of keys whose names speak of secrets are left out.
fn shown(config: &Config) -> String {
    let mut whole = toml::Table::try_from(config).unwrap_or_default();
    hide(&mut whole);
    toml::to_string_pretty(&whole).unwrap_or_default()
}

fn hide(table: &mut toml::Table) {
    for (key, value) in table {
        match value {
            toml::Value::Table(inner) => hide(inner),
            value if is_secret(key) => *value = "(hidden)".into(),
            toml::Value::Array(items) => {
                items.iter_mut().filter_map(toml::Value::as_table_mut).for_each(hide);
            }
            _ => {}
        }
    }
}

/// A board may get another name while it runs, when its neighbour has the first. Where no name counts, that does not either.
fn is_ours(name: &str, names: &[String], board: Option<&str>) -> bool {
    let plain = name.strip_suffix(".local").unwrap_or(name);
    let board = board.filter(|board| !names.is_empty() && !board.is_empty());
    names.iter().any(|own| own == name) || board.is_some_and(|board| board.eq_ignore_ascii_case(plain))
}

/// The name of this machine on the local network: plain, and as mDNS answers to it.
fn own_names() -> Vec<String> {
    let name = process::host_name().to_lowercase();
    let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.'));
    if plain { vec![format!("{name}.local"), name] } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_wherever_they_stand() {
        let text = "memory = 1\n[metrics]\ntoken = \"1234\"\n[[publish]]\nname = \"a\"\nkey = [\"5678\"]\n\
                    [net.tor]\nbridges = [\"9012\"]\n[keep]\npassphrase_file = \"3456\"\n";
        let mut table: toml::Table = toml::from_str(text).unwrap();
        hide(&mut table);
        let shown = table.to_string();
        assert!(["1234", "5678", "9012", "3456"].iter().all(|secret| !shown.contains(secret)), "{shown}");
        assert!(shown.contains("memory = 1") && shown.contains("name = \"a\""), "{shown}");
    }

    #[test]
    fn the_machines_name_is_known_where_proc_does_not_show_it() {
        let known = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
        assert_eq!(process::host_name(), known.trim());
        assert!(own_names().iter().all(|name| name.starts_with(&known.trim().to_lowercase())));
    }

    #[test]
    fn a_board_that_was_renamed_answers_to_its_new_name() {
        let names = ["attic.local".to_owned(), "attic".to_owned()];
        for (name, is) in [
            ("attic.local", true),
            ("attic", true),
            ("attic-2.local", true),
            ("attic-2", true),
            ("attic-3.local", false),
            ("attic-2.example", false),
            (".local", false),
        ] {
            assert_eq!(is_ours(name, &names, Some("Attic-2")), is, "{name}");
        }
        assert!(!is_ours("attic-2.local", &names, None));
        assert!(!is_ours(".local", &names, Some("")));
        assert!(!is_ours("attic.local", &[], Some("attic")));
    }
}
