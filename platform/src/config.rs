//! The one configuration: a TOML file in which every key is optional and an unknown key is an error.

mod chaff;
mod environment;
mod gateway;
pub mod harden;
mod keep;
mod metrics;
mod page;
mod proxy;
pub mod publish;
mod quantity;
pub(crate) mod secret;
mod selfcheck;
mod share;
mod tracker;

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use chaff::Chaff;
pub use gateway::Gateway;
pub use keep::Keep;
pub use metrics::Metrics;
pub use page::{FirstRun, Page};
pub use proxy::{Dns, MAX_UPSTREAMS, Password, Proxy, Separator, Socks};
pub use quantity::{Bytes, Seconds};
pub use selfcheck::Selfcheck;
pub use share::Share;
pub use tracker::Tracker;

/// Bytes of a configuration file at most; a larger one is a mistake.
const MAX_FILE: u64 = 1024 * 1024;

/// Where the Tor containers that people move over from have a tmpfs for their state.
pub const MOUNTED_STATE: &str = "/var/lib/tor/state";

/// Least `memory`: Arti alone needs about this much with a full directory.
pub const MIN_MEMORY: u64 = 32 * 1024 * 1024;

/// Every setting of a node.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where everything lies that a restart of the process needs; on tmpfs. See [`Config::state_dir`].
    pub state_dir: Option<PathBuf>,
    /// Whether `state_dir` may lie on a disk.
    pub allow_disk_state: bool,
    /// Memory of the whole process, in bytes. It is split among Tor, the swarms and their caches.
    pub memory: Bytes,
    /// Least level that is logged.
    pub log: Level,
    /// The control socket.
    pub control: Control,
    /// The page.
    pub page: Page,
    /// Shares and fetches.
    pub swarm: Swarm,
    /// What the node tells others and asks of them.
    pub tracker: Tracker,
    /// The network.
    pub net: Net,
    /// Listeners for other programs.
    pub proxy: Proxy,
    /// What survives a reboot.
    pub keep: Keep,
    /// Requests of no use.
    pub chaff: Chaff,
    /// What the check of oneself looks for.
    pub selfcheck: Selfcheck,
    /// How coarse the figures for Prometheus are.
    pub metrics: Metrics,
    /// What the process gives up.
    pub harden: harden::Harden,
    /// Onion services in front of other programs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub publish: Vec<publish::Publish>,
    /// What is shared from the start.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub share: Vec<Share>,
}

/// How much is logged.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Nothing.
    Off,
    /// What failed for good.
    Error,
    /// What needs the owner's eye.
    Warn,
    /// What happened.
    #[default]
    Info,
    /// What a developer needs. Not scrubbed: may hold names and addresses.
    Debug,
    /// Every step. Not scrubbed either.
    Trace,
}

/// The control socket.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Control {
    /// Its path; `control.sock` in the state directory by default.
    pub socket: Option<PathBuf>,
}

/// Shares and fetches.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Swarm {
    /// Circuits to a peer at the start: 1 to `lanes_max`.
    pub lanes_min: u8,
    /// Circuits to a peer at most: up to [`MAX_LANES`](bulbil_core::limits::MAX_LANES).
    pub lanes_max: u8,
    /// Bytes a second served to all peers together; 0 for no limit.
    pub upload_limit: Bytes,
    /// When fetched data is forced to the device.
    pub fsync: Fsync,
}

/// When fetched data is forced to the device.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fsync {
    /// Never: the system decides. A power cut costs what it had not written yet; it is fetched again.
    Never,
    /// Once, when a fetch is complete and before it is called done.
    #[default]
    Finish,
    /// After every piece, within a second or as fast as the device takes them: slow, and wears cards out.
    Always,
}

/// The network.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Net {
    /// Which one.
    pub kind: NetKind,
    /// Tor's settings.
    pub tor: Tor,
}

/// The networks there are.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NetKind {
    /// Onion services.
    #[default]
    Tor,
    /// Within this process only, for tests.
    Memory,
}

/// Tor's settings.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tor {
    /// A TOML file that describes another network than the public one, in Arti's words.
    pub network_file: Option<PathBuf>,
    /// The same, in place; wins over `network_file` where both say something.
    pub arti: toml::Table,
    /// How well the way to our services is guarded.
    pub vanguards: Vanguards,
    /// Relays on no public list by which Tor is entered, where Tor is blocked: lines such as
    /// `192.0.2.7:443 FINGERPRINT`. The page may name others, which then count.
    pub bridges: Vec<String>,
    /// Less padding: less traffic on metered lines, a little less cover.
    pub reduced_padding: bool,
    /// Ports of targets outside that are uploaded to for long: streams there use Tor's old windows, which cost no memory.
    pub upload_ports: Vec<u16>,
}

/// Tor's vanguards (proposal 333).
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Vanguards {
    /// Second hops are kept.
    #[default]
    Lite,
    /// Second and third hops are kept: slower, better against those who watch for long.
    Full,
}

/// Why there is no configuration. The text names the file, the key and what is allowed.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {0}: {1}; check the path and its permissions")]
    Read(PathBuf, std::io::Error),
    /// Too large to be one.
    #[error("{0} is over 1 MiB; that is no configuration, check the path")]
    Size(PathBuf),
    /// Not TOML, or a key or value that does not exist.
    #[error("{0}: {1}")]
    Parse(PathBuf, String),
    /// A value out of range.
    #[error("{0}")]
    Value(String),
}

impl Default for Config {
    fn default() -> Self {
        Self {
            state_dir: None,
            allow_disk_state: false,
            memory: Bytes(96 * 1024 * 1024),
            log: Level::Info,
            control: Control::default(),
            page: Page::default(),
            swarm: Swarm::default(),
            tracker: Tracker::default(),
            net: Net::default(),
            proxy: Proxy::default(),
            keep: Keep::default(),
            chaff: Chaff::default(),
            selfcheck: Selfcheck::default(),
            metrics: Metrics::default(),
            harden: harden::Harden::default(),
            publish: Vec::new(),
            share: Vec::new(),
        }
    }
}

impl Default for Swarm {
    fn default() -> Self {
        Self { lanes_min: 2, lanes_max: 8, upload_limit: Bytes(0), fsync: Fsync::Finish }
    }
}

impl Config {
    /// Reads and checks a file. Relative paths in it are taken from the folder it lies in.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let read = |error| ConfigError::Read(path.to_owned(), error);
        if fs::metadata(path).map_err(read)?.len() > MAX_FILE {
            return Err(ConfigError::Size(path.to_owned()));
        }
        let text = fs::read_to_string(path).map_err(read)?;
        let mut config = Self::parse(&text).map_err(|error| match error {
            ConfigError::Value(why) => ConfigError::Parse(path.to_owned(), why),
            other => other,
        })?;
        let folder = std::path::absolute(path).map_err(read)?;
        config.anchor(folder.parent().unwrap_or(Path::new("/")));
        Ok(config)
    }

    /// Reads and checks the text of a file.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let config: Self = toml::from_str(text)
            .map_err(|error| ConfigError::Value(error.to_string().trim_end().to_owned()))?;
        config.check()?;
        Ok(config)
    }

    /// The state directory: as configured, else [`MOUNTED_STATE`] if something is mounted there, else
    /// `$XDG_RUNTIME_DIR/bulbil`, for root `/run/bulbil`, else `/dev/shm/bulbil-<uid>`.
    pub fn state_dir(&self) -> PathBuf {
        if let Some(chosen) = &self.state_dir {
            return chosen.clone();
        }
        let mounted = PathBuf::from(MOUNTED_STATE);
        if crate::sys::mount::is_mount_point(&mounted) {
            return mounted;
        }
        let uid = crate::sys::process::uid();
        if uid == 0 {
            return PathBuf::from("/run/bulbil");
        }
        match std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from) {
            Some(runtime) if runtime.is_absolute() => runtime.join("bulbil"),
            _ => PathBuf::from(format!("/dev/shm/bulbil-{uid}")),
        }
    }

    /// The control socket.
    pub fn socket(&self) -> PathBuf {
        self.control.socket.clone().unwrap_or_else(|| self.state_dir().join("control.sock"))
    }

    /// Relative paths start at `folder`.
    fn anchor(&mut self, folder: &Path) {
        let paths = [
            &mut self.state_dir,
            &mut self.control.socket,
            &mut self.net.tor.network_file,
            &mut self.keep.file,
            &mut self.keep.passphrase_file,
        ];
        for path in paths.into_iter().flatten() {
            *path = folder.join(&*path);
        }
        let named = self.publish.iter_mut().flat_map(|it| [&mut it.key_dir, &mut it.url_file]);
        let shared = self.share.iter_mut().map(|it| &mut it.path);
        for path in named.flatten().chain(&mut self.harden.folders).chain(shared) {
            *path = folder.join(&*path);
        }
    }

    /// Whether all values are in range and go together; else what to change.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let most = u8::try_from(bulbil_core::limits::MAX_LANES).unwrap_or(u8::MAX);
        let Swarm { lanes_min, lanes_max, .. } = self.swarm;
        let wrong = if self.memory.0 < MIN_MEMORY {
            format!("memory = \"{}\" is too little; the least is \"{}\"", self.memory, Bytes(MIN_MEMORY))
        } else if let Some(wrong) = self.page.fault() {
            wrong
        } else if lanes_max == 0 || lanes_max > most {
            format!("swarm.lanes_max = {lanes_max} is out of range; 1 to {most} are allowed")
        } else if lanes_min == 0 || lanes_min > lanes_max {
            format!("swarm.lanes_min = {lanes_min} is out of range; 1 to lanes_max ({lanes_max}) are allowed")
        } else {
            let sections = [
                crate::net::check_bridges(&self.net.tor.bridges)
                    .map_err(|why| format!("net.tor.bridges: {why}")),
                self.tracker.check(),
                self.chaff.check(),
                self.metrics.check(),
                publish::check(&self.publish),
                share::check(&self.share),
            ];
            sections.into_iter().collect::<Result<(), String>>().map_err(ConfigError::Value)?;
            return self.proxy.check();
        };
        Err(ConfigError::Value(wrong))
    }
}

/// A configuration file that says what is the case anyway, with a word on every key.
pub const fn default_toml() -> &'static str {
    include_str!("config/default.toml")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        Config::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn the_default_text_is_the_default() {
        assert_eq!(Config::parse(default_toml()).unwrap(), Config::default());
        assert_eq!(Config::parse("").unwrap(), Config::default());
    }

    #[test]
    fn the_default_text_names_every_key() {
        let mut full = Config { state_dir: Some("/run/bulbil".into()), ..Config::default() };
        full.control.socket = Some("/run/bulbil/control.sock".into());
        full.net.tor.network_file = Some("/etc/bulbil/network.toml".into());
        full.proxy.http.password = Some(Password("secret".into()));
        full.proxy.socks.password = Some(Password("secret".into()));
        full.metrics.token = Some(Password("secret".into()));
        full.page.password_hash = Some("hash".into());
        full.keep.file = Some("/boot/bulbil.age".into());
        full.keep.passphrase_file = Some("/run/passphrase".into());
        let keys = toml::Table::try_from(full).unwrap();
        let mut open = vec![keys];
        while let Some(table) = open.pop() {
            for (key, value) in table {
                assert!(default_toml().contains(&key), "{key} is not explained");
                open.extend(value.as_table().cloned());
            }
        }
    }

    #[test]
    fn mistakes_name_the_key_and_what_is_allowed() {
        for (text, words) in [
            ("memroy = 1", ["memroy", "memory"]),
            ("memory = \"1 MiB\"", ["memory", "32 MiB"]),
            ("memory = \"lots\"", ["memory", "96 MiB"]),
            ("log = \"loud\"", ["log", "`info`"]),
            ("[page]\nnames = [\"http://x\"]", ["page.names", "without http://"]),
            ("[page]\nfolders = [\"x\"]", ["page.folders", "absolute"]),
            ("[page]\npassword_hash = \"my own words\"", ["page.password_hash", "bulbil page hash"]),
            ("[page]\nrefresh = \"0 s\"", ["page.refresh", "1 s"]),
            ("[swarm]\nlanes_max = 99", ["lanes_max", "1 to 8"]),
            ("[swarm]\nlanes_min = 9", ["lanes_min", "lanes_max"]),
            ("[tracker]\ntrust_budget = 0", ["tracker.trust_budget", "1 to 256"]),
            ("[metrics]\ntoken = \"short\"", ["metrics.token", "20 random"]),
            ("[swarm]\nfsync = \"often\"", ["fsync", "`finish`"]),
            ("[net]\nkind = \"clearnet\"", ["kind", "`tor`"]),
            (
                "[net.tor]\nbridges = [\"obfs4 192.0.2.7:443\"]",
                ["net.tor.bridges: bridge 1", "transport obfs4"],
            ),
            ("[net.tor]\nvanguards = \"none\"", ["vanguards", "`lite`"]),
        ] {
            let refusal = refusal(text);
            assert!(words.iter().all(|word| refusal.contains(word)), "{text:?} gave {refusal:?}");
        }
    }

    #[test]
    fn relative_paths_start_at_the_file() {
        let folder = crate::sys::scratch::Scratch::new("config");
        let file = folder.path().join("bulbil.toml");
        fs::write(&file, "state_dir = \"state\"\n[net.tor]\nnetwork_file = \"/n.toml\"\n").unwrap();
        let config = Config::load(&file).unwrap();
        assert_eq!(config.state_dir(), folder.path().join("state"));
        assert_eq!(config.socket(), folder.path().join("state/control.sock"));
        assert_eq!(config.net.tor.network_file, Some("/n.toml".into()));
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = Config::load(Path::new("/nowhere/bulbil.toml")).unwrap_err().to_string();
        assert!(error.contains("/nowhere/bulbil.toml") && error.contains("check the path"));
    }
}
