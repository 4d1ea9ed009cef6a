//! How a client of the library behaves: where the proxy is, how long it waits, how often it tries.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::HttpError;
use super::proxy_address::ProxyAddress;
use crate::config::Seconds;

/// Name that [`Config::from_environment`] reads.
pub const PROXY_VARIABLE: &str = "TOR_PROXY_URL";

/// What a request says of its sender unless told otherwise: the same as Tor Browser, so the same as most.
pub const USER_AGENT: &str = "Mozilla/5.0 (Windows NT 10.0; rv:140.0) Gecko/20100101 Firefox/140.0";

/// Answers who we look like to the world: `{"IsTor": true, "IP": "…"}`.
pub const CHECK_URL: &str = "https://check.torproject.org/api/ip";

/// Settings of [`TorHttpClient`](super::TorHttpClient) and [`SocksClient`](super::SocksClient).
///
/// Every field has a default, so a program names only what differs. Durations are written `"30 s"` in a file.
///
/// ```
/// use bulbil::Config;
///
/// let config = Config { retries: 0, ..Config::default() };
/// assert_eq!(config.socks_addr.to_string(), "127.0.0.1:9050");
/// let config: Config = serde_json::from_str(r#"{"socks_addr": "socks5://tor:9050", "timeout": "10 s"}"#)?;
/// assert_eq!(config.timeout.as_secs(), 10);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The SOCKS5 proxy: `host:port`, or the same as a URL. Not used over an embedded Tor.
    ///
    /// Default: `127.0.0.1:9050`, where a system's `tor` listens. Bulbil itself listens on 9150.
    pub socks_addr: ProxyAddress,
    /// Longest time of one try, from the call to the last byte of the answer. A stream that
    /// [`SocksClient::connect`](super::SocksClient::connect) gives knows no limit of its own.
    #[serde(with = "span")]
    pub timeout: Duration,
    /// Longest time until a stream to the destination is open, TLS included. A cold onion address takes 2 to 5 s.
    #[serde(with = "span")]
    pub connect_timeout: Duration,
    /// Whether certificates must be good. Without, an exit can read and change everything.
    pub verify_tls: bool,
    /// Certificates (PEM) to trust beside the usual ones: for services with an authority of their own.
    pub extra_roots: Option<String>,
    /// How often a request that may be repeated is tried again: GET, HEAD, OPTIONS, PUT, DELETE and TRACE, after a
    /// broken stream, a timeout, or an answer of 502, 503 or 504.
    pub retries: u8,
    /// Pause before the first such try. It doubles each time, up to 30 s, give or take a quarter.
    #[serde(with = "span")]
    pub retry_pause: Duration,
    /// Redirects followed at most. Never from https to http.
    pub redirects: u8,
    /// Bytes of an answer that is read whole; longer ones are an error.
    pub max_body: usize,
    /// Idle connections kept for later requests, over all destinations; 0 keeps none.
    pub pool: usize,
    /// How long an idle connection is kept.
    #[serde(with = "span")]
    pub pool_idle: Duration,
    /// Sent as `User-Agent` where a request names none; empty to send none.
    pub user_agent: String,
    /// Services that tell which address they see, tried in order. Answers are
    /// `{"IsTor": …, "IP": …}`, `{"isTor": …, "exitIp": …}`, `{"ip": …}`, or for the address alone plain text.
    pub check_urls: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            socks_addr: ProxyAddress::default(),
            timeout: Duration::from_secs(60),
            connect_timeout: Duration::from_secs(60),
            verify_tls: true,
            extra_roots: None,
            retries: 3,
            retry_pause: Duration::from_secs(1),
            redirects: 10,
            max_body: 32 * 1024 * 1024,
            pool: 32,
            pool_idle: Duration::from_secs(90),
            user_agent: USER_AGENT.to_owned(),
            check_urls: vec![CHECK_URL.to_owned()],
        }
    }
}

impl Config {
    /// The defaults, with the proxy that the variable `TOR_PROXY_URL` names, if it is set.
    pub fn from_environment() -> Result<Self, HttpError> {
        Ok(match std::env::var(PROXY_VARIABLE) {
            Ok(url) => Self { socks_addr: url.parse()?, ..Self::default() },
            Err(_) => Self::default(),
        })
    }

    /// The defaults, with this proxy: `host:port`, `socks5://host:port` or `socks5://user:password@host:port`.
    pub fn proxy(address: &str) -> Result<Self, HttpError> {
        Ok(Self { socks_addr: address.parse()?, ..Self::default() })
    }
}

/// Durations as people write them.
mod span {
    use super::{Deserialize, Deserializer, Duration, Seconds, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(span: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        Seconds(span.as_secs()).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        Seconds::deserialize(deserializer).map(|seconds| Duration::from_secs(seconds.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let config = Config { timeout: Duration::from_secs(7), pool: 1, ..Config::default() };
        let text = toml::to_string(&config).unwrap();
        assert!(text.contains("timeout = \"7 s\""), "{text}");
        assert_eq!(toml::from_str::<Config>(&text).unwrap(), config);
    }

    #[test]
    fn an_unknown_key_is_named() {
        let error = toml::from_str::<Config>("verify = false").unwrap_err().to_string();
        assert!(error.contains("verify_tls"), "{error}");
    }
}
