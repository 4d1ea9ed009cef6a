//! What the owner may say about Tor, and what becomes of it in Arti's own configuration.

use std::path::{Path, PathBuf};

use arti_client::TorClientConfig;
use arti_client::config::TorClientConfigBuilder;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

/// Sections of Arti's configuration that describe a network; nothing else may stand in [`TorConfig::network`].
const NETWORK_SECTIONS: [&str; 4] = ["tor_network", "path_rules", "address_filter", "override_net_params"];

/// Bytes of a network file at most. The public network's whole list of fallbacks takes 60 KB.
const MAX_NETWORK_FILE: u64 = 1024 * 1024;

/// Least memory for Arti's queues, in bytes: one lane each way at Tor's usual windows.
pub const MIN_MEMORY: u64 = 2 * 1024 * 1024;

/// Settings of the Tor client. Every key has a default except the two directories.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TorConfig {
    /// Where Arti keeps its guards. Made with mode 0700; about 5 KB and 12 KB per service.
    pub state_dir: PathBuf,
    /// Where Arti keeps the directory. Made with mode 0700; about 10 MB for 9 000 relays.
    pub cache_dir: PathBuf,
    /// Bytes that may wait in Arti's queues before it closes what waits longest. Its fixed part is not counted.
    #[serde(default = "default_memory")]
    pub memory: u64,
    /// Bytes that Arti may hold for open streams and because of long ones, before the one that costs most ends (see the
    /// README).
    #[serde(default = "default_wear")]
    pub wear: u64,
    /// Another network than the public one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkSource>,
    /// Relays on no public list by which the network is entered, as bridge lines; none for public ones.
    #[serde(default)]
    pub bridges: Vec<String>,
    /// Which relays onion circuits may start with.
    #[serde(default)]
    pub vanguards: Vanguards,
    /// Send less padding: saves some hundred bytes a second, and makes being idle a little easier to see.
    #[serde(default)]
    pub reduced_padding: bool,
    /// Ports for which circuits to exits are ready before anybody asks. Two each, renewed while they are used.
    #[serde(default)]
    pub predicted_ports: Vec<u16>,
    /// Ports of targets outside whose streams use Tor's old windows: 250 KB at a time, and uploads cost no memory. Not onion
    /// services.
    #[serde(default)]
    pub upload_ports: Vec<u16>,
}

/// Where the description of a network comes from: the sections `[tor_network]`, `[path_rules]`, `[address_filter]`
/// and `[override_net_params]` of an Arti configuration.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(untagged)]
pub enum NetworkSource {
    /// A TOML file with these sections.
    File(PathBuf),
    /// The sections themselves.
    Inline(Table),
}

/// Protection of onion circuits against guard discovery (proposal 333).
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Vanguards {
    /// Two layers of fixed relays: what long-lived services need, at about a tenth of the speed.
    #[default]
    Full,
    /// One layer.
    Lite,
}

/// 16 MiB.
const fn default_memory() -> u64 {
    16 * 1024 * 1024
}

/// 48 MiB: an upload of 950 MiB.
const fn default_wear() -> u64 {
    48 * 1024 * 1024
}

/// The configuration cannot be used; the text says what to change.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BadTorConfig(pub(super) String);

impl TorConfig {
    /// The public network, with every default.
    pub fn new(state_dir: impl Into<PathBuf>, cache_dir: impl Into<PathBuf>) -> Self {
        Self {
            state_dir: state_dir.into(),
            cache_dir: cache_dir.into(),
            memory: default_memory(),
            wear: default_wear(),
            network: None,
            bridges: Vec::new(),
            vanguards: Vanguards::default(),
            reduced_padding: false,
            predicted_ports: Vec::new(),
            upload_ports: Vec::new(),
        }
    }

    /// What Arti is started with.
    pub(super) fn to_arti(&self) -> Result<TorClientConfig, BadTorConfig> {
        if self.memory < MIN_MEMORY {
            return Err(BadTorConfig(format!(
                "Tor needs at least {MIN_MEMORY} bytes of memory; give it more"
            )));
        }
        let mut table = self.network_sections()?;
        self.own_sections(&mut table)?;
        let wrong = |why: &dyn std::fmt::Display| {
            BadTorConfig(format!("the description of the Tor network is wrong: {why}"))
        };
        let builder: TorClientConfigBuilder =
            Value::Table(table).try_into().map_err(|error| wrong(&error))?;
        builder.build().map_err(|error| wrong(&error))
    }

    /// Whether exits may be asked for addresses that are not public, as in networks for tests.
    pub(super) fn allows_local(&self) -> bool {
        let sections = self.network_sections().ok();
        let filter = sections.as_ref().and_then(|sections| sections.get("address_filter"));
        filter.and_then(|filter| filter.get("allow_local_addrs")?.as_bool()).unwrap_or(false)
    }

    /// The sections that describe another network.
    fn network_sections(&self) -> Result<Table, BadTorConfig> {
        let table = match &self.network {
            None => Table::new(),
            Some(NetworkSource::Inline(table)) => table.clone(),
            Some(NetworkSource::File(path)) => read_table(path)?,
        };
        match table.keys().find(|key| !NETWORK_SECTIONS.contains(&key.as_str())) {
            Some(key) => Err(BadTorConfig(format!(
                "`{key}` does not describe a network; allowed are {}",
                NETWORK_SECTIONS.join(", ")
            ))),
            None => Ok(table),
        }
    }

    /// The sections that are ours to decide. README says why each value is what it is.
    fn own_sections(&self, table: &mut Table) -> Result<(), BadTorConfig> {
        let text = |path: &Path| {
            // Arti expands `${…}` and `~` in paths.
            let path = path.to_str().filter(|path| !path.contains(['$', '~']));
            path.map(Value::from).ok_or_else(|| {
                BadTorConfig(
                    "the Tor directories must be plain UTF-8 paths without `$` and `~`; rename them".into(),
                )
            })
        };
        let memory = i64::try_from(self.memory).unwrap_or(i64::MAX);
        let vanguards = match self.vanguards {
            Vanguards::Full => "full",
            Vanguards::Lite => "lite",
        };
        let padding = if self.reduced_padding { "reduced" } else { "normal" };
        let sections = toml::toml! {
            [storage.keystore]
            enabled = true
            [storage.keystore.primary]
            kind = "ephemeral"
            [circuit_timing]
            hs_dir_requery_interval = "3 minutes"
        };
        table.extend(sections);
        set(table, "storage", "state_dir", text(&self.state_dir)?);
        set(table, "storage", "cache_dir", text(&self.cache_dir)?);
        table.insert("vanguards".into(), Value::Table(Table::from_iter([("mode".into(), vanguards.into())])));
        table.insert("channel".into(), Value::Table(Table::from_iter([("padding".into(), padding.into())])));
        let ports = self.predicted_ports.iter().map(|port| Value::from(i64::from(*port))).collect();
        let ports = Table::from_iter([("initial_predicted_ports".into(), Value::Array(ports))]);
        table.insert("preemptive_circuits".into(), Value::Table(ports));
        if !self.bridges.is_empty() {
            super::check_bridges(&self.bridges).map_err(BadTorConfig)?;
            let lines = self.bridges.iter().map(|line| Value::from(line.as_str())).collect();
            let bridges = [("enabled".into(), true.into()), ("bridges".into(), Value::Array(lines))];
            table.insert("bridges".into(), Value::Table(Table::from_iter(bridges)));
        }
        let max = Value::Table(Table::from_iter([("max".into(), Value::from(memory))]));
        table.insert("system".into(), Value::Table(Table::from_iter([("memory".into(), max)])));
        Ok(())
    }
}

/// Puts one value into a section.
fn set(table: &mut Table, section: &str, key: &str, value: Value) {
    let section = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
    if let Some(section) = section.as_table_mut() {
        section.insert(key.into(), value);
    }
}

/// Reads a TOML file of moderate size.
fn read_table(path: &Path) -> Result<Table, BadTorConfig> {
    let wrong = |why: &dyn std::fmt::Display| {
        BadTorConfig(format!(
            "the file that describes the Tor network cannot be used ({why}); check its path and text"
        ))
    };
    let size = std::fs::metadata(path).map_err(|error| wrong(&error))?.len();
    if size > MAX_NETWORK_FILE {
        return Err(wrong(&"over 1 MiB"));
    }
    let text = std::fs::read_to_string(path).map_err(|error| wrong(&error))?;
    text.parse().map_err(|error: toml::de::Error| wrong(&error.message()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(extra: &str) -> Result<TorConfig, toml::de::Error> {
        toml::from_str(&format!("state_dir = '/dev/shm/s'\ncache_dir = '/dev/shm/c'\n{extra}"))
    }

    #[test]
    fn the_defaults_make_a_configuration() {
        config("").unwrap().to_arti().unwrap();
        config("memory = 4000000\nvanguards = 'lite'\nreduced_padding = true").unwrap().to_arti().unwrap();
    }

    #[test]
    fn a_private_network_is_taken_over() {
        let network = "[network.path_rules]\nipv4_subnet_family_prefix = 33\n\
                       [network.address_filter]\nallow_local_addrs = true\n\
                       [[network.tor_network.fallback_caches]]\n\
                       rsa_identity = '911F7C74212214823DDBDE3044B5B1AF3EFB98A0'\n\
                       ed_identity = 'bVz9+W3uMTzoX7ZdHWPbKGkxTmKoiISwg9ZEpDvtRFs'\norports = ['127.0.0.1:5000']";
        let arti = config(network).unwrap().to_arti().unwrap();
        let public = config("").unwrap().to_arti().unwrap();
        assert_ne!(arti, public);
    }

    #[test]
    fn what_does_not_describe_a_network_is_refused() {
        let error = config("[network.storage]\nstate_dir = '/'").unwrap().to_arti().unwrap_err();
        assert!(error.to_string().contains("`storage`"), "{error}");
        assert!(config("[network.tor_network]\nfallback_caches = 3").unwrap().to_arti().is_err());
        assert!(config("network = '/nonexistent'").unwrap().to_arti().is_err());
    }

    #[test]
    fn unknown_keys_and_senseless_values_are_refused() {
        assert!(config("colour = 'red'").is_err());
        assert!(config("vanguards = 'none'").is_err());
        assert!(config("memory = 1000").unwrap().to_arti().is_err());
        assert!(TorConfig::new("/a/$HOME", "/b").to_arti().is_err());
    }
}
