//! Settings from the environment: they win over the file.
//!
//! | Variable | Means |
//! |---|---|
//! | `BULBIL__SECTION__KEY` | any key: `BULBIL__PROXY__HTTP__LISTEN=0.0.0.0:3080` is `listen` in `[proxy.http]` |
//! | `COMMON_SOCKS_PROXY_PORT` | port of `proxy.socks.listen` |
//! | `COMMON_DNS_PROXY_PORT` | port of `proxy.dns.listen` |
//! | `TORGO_ENABLE_CHAFF` | `chaff.enabled`: 1 or 0 |
//! | `RUST_LOG` | `log`; of `debug,arti=debug` the part without a name, as all of the program has one level. Whatever `env_logger` and `tracing` take is taken, and what names a part is left out |
//! | `TOR_PROXY_URL` | where programs that use the library find a proxy; a node is one, so it only checks the form |
//!
//! An empty variable counts as none. `HS_ROUTER` and `SECMEM_STRICT` are read where they take effect.

use std::ffi::OsString;

use toml::{Table, Value};

use super::{Config, ConfigError, Level};
use crate::http::ProxyAddress;

/// What is said of a port that is none.
const PORT: &str = "a port from 1 to 65535 is allowed";

/// What a variable that names a key begins with.
const PREFIX: &str = "BULBIL__";

impl Config {
    /// These settings, changed as the environment says. Fails on a value that is not understood, and names its variable.
    pub fn with_environment(
        self,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigError> {
        let text = |word: OsString| word.into_string().ok();
        // What is no text is none of ours: we name none such.
        let variables: Vec<(String, String)> = variables
            .into_iter()
            .filter_map(|(name, value)| text(name).zip(text(value)))
            .filter(|(_, value)| !value.is_empty())
            .collect();
        let mut config = self;
        let keys: Vec<_> = variables.iter().filter(|(name, _)| name.starts_with(PREFIX)).collect();
        for (name, value) in keys {
            config = config.with_key(name, value)?;
        }
        for (name, value) in &variables {
            config.obey(name, value)?;
        }
        config.check()?;
        Ok(config)
    }

    /// Sets the key that `name` stands for.
    fn with_key(self, name: &str, value: &str) -> Result<Self, ConfigError> {
        let wrong = |why: &dyn std::fmt::Display| {
            ConfigError::Value(format!(
                "{name}: {}; `bulbil config` prints every key",
                why.to_string().trim_end()
            ))
        };
        let mut whole = Table::try_from(self).map_err(|error| wrong(&error))?;
        let path = name.strip_prefix(PREFIX).unwrap_or_default().to_lowercase();
        let mut steps: Vec<&str> = path.split("__").collect();
        let key = steps.pop().filter(|key| !key.is_empty()).ok_or_else(|| wrong(&"names no key"))?;
        let mut table = &mut whole;
        for step in steps {
            let inner = table.entry(step).or_insert_with(|| Value::Table(Table::new()));
            table = inner.as_table_mut().ok_or_else(|| wrong(&"is no section"))?;
        }
        // Text where text stands now, or where nothing stands by default: passwords and paths.
        let value = match table.get(key) {
            None | Some(Value::String(_)) => Value::String(value.to_owned()),
            Some(_) => format!("it = {value}")
                .parse::<Table>()
                .ok()
                .and_then(|mut line| line.remove("it"))
                .unwrap_or_else(|| Value::String(value.to_owned())),
        };
        table.insert(key.to_owned(), value);
        whole.try_into().map_err(|error: toml::de::Error| wrong(&error.message()))
    }

    /// Takes one of the names that existing deployments use.
    fn obey(&mut self, name: &str, value: &str) -> Result<(), ConfigError> {
        let wrong = |allowed: &str| {
            Err(ConfigError::Value(format!("{name}=\"{value}\" is not understood; {allowed}")))
        };
        let port = || value.trim().parse().ok().filter(|port| *port != 0_u16);
        match name {
            "COMMON_SOCKS_PROXY_PORT" => match port() {
                Some(port) => self.proxy.socks.listen.set_port(port),
                None => return wrong(PORT),
            },
            "COMMON_DNS_PROXY_PORT" => match port() {
                Some(port) => self.proxy.dns.listen.set_port(port),
                None => return wrong(PORT),
            },
            "TORGO_ENABLE_CHAFF" => match value.trim() {
                "1" | "true" => self.chaff.enabled = true,
                "0" | "false" => self.chaff.enabled = false,
                _ => return wrong("1 and 0 are allowed"),
            },
            "RUST_LOG" => self.log = level(value).unwrap_or(self.log),
            "TOR_PROXY_URL" if value.parse::<ProxyAddress>().is_err() => {
                return wrong("socks5://host:port is allowed");
            }
            _ => {}
        }
        Ok(())
    }
}

/// The level for all of the program in a list such as `info,arti=debug`, if it has one.
///
/// A word that is no level is the name of a part (`info,arti`), in these lists as good as `arti=trace`. Parts have no level of their
/// own here, and one of them must not make all of the program say more: what names one is left out, as is a pattern behind `/`.
fn level(text: &str) -> Option<Level> {
    let directives = text.split('/').next().unwrap_or_default();
    // The last one counts, as it does there.
    directives.split(',').rev().find_map(|part| match part.trim().to_ascii_lowercase().as_str() {
        "off" | "0" => Some(Level::Off),
        "error" | "1" => Some(Level::Error),
        "warn" | "2" => Some(Level::Warn),
        "info" | "3" => Some(Level::Info),
        "debug" | "4" => Some(Level::Debug),
        "trace" | "5" => Some(Level::Trace),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Bytes;

    fn with(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let variables = variables.iter().map(|(name, value)| (name.into(), value.into()));
        Config::default().with_environment(variables)
    }

    #[test]
    fn the_names_of_existing_deployments_work() {
        let config = with(&[
            ("COMMON_SOCKS_PROXY_PORT", "9050"),
            ("COMMON_DNS_PROXY_PORT", "53"),
            ("TORGO_ENABLE_CHAFF", "1"),
            ("RUST_LOG", "debug,arti=debug"),
            ("TOR_PROXY_URL", "socks5://tor:9050"),
            ("ONION_URL", "http://x.onion"),
            ("PATH", "/bin"),
        ])
        .unwrap();
        assert_eq!(config.proxy.socks.listen.to_string(), "127.0.0.1:9050");
        assert_eq!(config.proxy.dns.listen.to_string(), "127.0.0.1:53");
        assert!(config.chaff.enabled);
        assert_eq!(config.log, Level::Debug);
        assert_eq!(with(&[("TORGO_ENABLE_CHAFF", "0"), ("RUST_LOG", "")]).unwrap(), Config::default());
    }

    #[test]
    fn every_list_of_levels_is_taken_and_none_raises_more_than_it_says() {
        for (list, level) in [
            ("debug,arti=debug", Level::Debug),
            ("info,arti", Level::Info),
            ("warn,bulbil=trace,tor_proto::channel=debug", Level::Warn),
            ("arti=debug", Level::Info),
            ("loud", Level::Info),
            ("bulbil", Level::Info),
            ("bulbil=", Level::Info),
            ("info=loud", Level::Info),
            (" Error , hyper ", Level::Error),
            ("warn/trace", Level::Warn),
            ("error,[conn{peer=trace}]=trace", Level::Error),
            ("1", Level::Error),
            ("trace,off", Level::Off),
            (",,", Level::Info),
        ] {
            assert_eq!(with(&[("RUST_LOG", list)]).unwrap().log, level, "{list}");
        }
    }

    #[test]
    fn every_key_has_a_variable() {
        let config = with(&[
            ("BULBIL__MEMORY", "64 MiB"),
            ("BULBIL__STATE_DIR", "/run/b"),
            ("BULBIL__PROXY__HTTP__LISTEN", "0.0.0.0:80"),
            ("BULBIL__PROXY__HTTP__OPEN", "true"),
            ("BULBIL__PROXY__HTTP__HOSTS", "[\"bulbil\"]"),
            ("BULBIL__PROXY__HTTP__PASSWORD", "12345"),
            ("BULBIL__SWARM__LANES_MAX", "4"),
        ])
        .unwrap();
        assert_eq!(config.memory, Bytes(64 << 20));
        assert_eq!(config.state_dir, Some("/run/b".into()));
        assert_eq!(config.proxy.http.listen.port(), 80);
        assert!(config.proxy.http.open && config.proxy.http.hosts == ["bulbil"]);
        assert_eq!(config.swarm.lanes_max, 4);
        let whole = Table::try_from(&config).unwrap();
        assert_eq!(whole["proxy"]["http"]["password"].as_str(), Some("12345"));
    }

    #[test]
    fn a_bad_value_is_refused_by_name() {
        for (name, value, word) in [
            ("COMMON_SOCKS_PROXY_PORT", "0", "65535"),
            ("COMMON_DNS_PROXY_PORT", "dns", "65535"),
            ("TORGO_ENABLE_CHAFF", "maybe", "1 and 0"),
            ("TOR_PROXY_URL", "http://tor:9050", "socks5://"),
            ("BULBIL__MEMROY", "64 MiB", "memroy"),
            ("BULBIL__MEMORY", "lots", "96 MiB"),
            ("BULBIL__MEMORY__LIMIT", "1", "no section"),
            ("BULBIL__", "1", "no key"),
            ("BULBIL__PROXY__HTTP__MAX_CONNECTIONS", "many", "u32"),
        ] {
            let error = with(&[(name, value)]).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains(word), "{name}={value} gave {error}");
        }
        let open = with(&[("BULBIL__PROXY__HTTP__LISTEN", "0.0.0.0:80")]).unwrap_err().to_string();
        assert!(open.contains("proxy.http.open"), "{open}");
    }
}
