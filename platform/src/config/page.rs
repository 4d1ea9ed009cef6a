//! The page's settings.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Seconds;

/// The page.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Page {
    /// Address and port; port 0 takes a free one. On the local network it wants a password.
    pub listen: SocketAddr,
    /// Whether there is a page at all.
    pub enabled: bool,
    /// How often a page that is watched reloads itself.
    pub refresh: Seconds,
    /// Names by which the page may be called, besides addresses and `<name of this machine>.local`.
    pub names: Vec<String>,
    /// From where the password may be set for the first time.
    pub first_run: FirstRun,
    /// The only folders from which and into which the page may share and fetch; chosen on the page when empty.
    pub folders: Vec<PathBuf>,
    /// Whether the page has an onion service of its own from the moment there is a password.
    pub onion: bool,
    /// The page's password from the start, as `bulbil page hash` prints it; counts while no other is kept.
    pub password_hash: Option<String>,
    /// Forgets the password at each start, for who forgot it and has no shell on this machine.
    pub reset: bool,
}

/// From where the password may be set for the first time.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FirstRun {
    /// From this machine.
    #[default]
    Machine,
    /// From the local network too: whoever comes first. For boards without a screen.
    Network,
}

impl Default for Page {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 3090)),
            enabled: true,
            refresh: Seconds(5),
            names: Vec::new(),
            first_run: FirstRun::Machine,
            folders: Vec::new(),
            onion: false,
            password_hash: None,
            reset: false,
        }
    }
}

impl Page {
    /// What is wrong with it, if anything.
    pub(super) fn fault(&self) -> Option<String> {
        if self.refresh.0 == 0 {
            return Some("page.refresh = \"0 s\" is too short; the least is \"1 s\"".to_owned());
        }
        if let Some(name) = self.names.iter().find(|name| !is_name(name)) {
            return Some(format!(
                "page.names: \"{name}\" is no host name; write it without http:// and port"
            ));
        }
        if self.password_hash.as_deref().is_some_and(|hash| !crate::web::is_hash(hash)) {
            return Some(
                "page.password_hash is not what `bulbil page hash` prints; copy the whole line".to_owned(),
            );
        }
        let loose = self.folders.iter().find(|folder| !folder.is_absolute());
        loose.map(|folder| format!("page.folders: \"{}\" must be an absolute path", folder.display()))
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 253
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.'))
}
