//! Where a SOCKS5 proxy is, as programs of this kind write it.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::HttpError;

/// Bytes of a user name or a password at most (RFC 1929 section 2).
const MAX_CREDENTIAL: usize = 255;

/// Host, port and perhaps credentials of a SOCKS5 proxy.
///
/// Reads `host:port`, `socks5://host:port`, `socks5h://…` and the same with `user:password@`. All of them mean `socks5h`:
/// the proxy resolves the names of destinations, this process never does. The proxy's own name, if it has one, is
/// that of the service next door (`tor:9050` in a compose file): `/etc/hosts` is asked, then the system's resolver, but
/// only if that is on a local network, and for local addresses only.
#[derive(Clone, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct ProxyAddress {
    host: String,
    port: u16,
    credentials: Option<(String, String)>,
}

impl ProxyAddress {
    /// The proxy's name or address, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Its port.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// User name and password for it, if it wants any.
    pub fn credentials(&self) -> Option<(&str, &str)> {
        self.credentials.as_ref().map(|(user, password)| (user.as_str(), password.as_str()))
    }
}

impl Default for ProxyAddress {
    fn default() -> Self {
        SocketAddr::from(([127, 0, 0, 1], 9050)).into()
    }
}

impl From<SocketAddr> for ProxyAddress {
    fn from(address: SocketAddr) -> Self {
        Self { host: address.ip().to_string(), port: address.port(), credentials: None }
    }
}

impl FromStr for ProxyAddress {
    type Err = HttpError;

    fn from_str(text: &str) -> Result<Self, HttpError> {
        const WRONG: HttpError = HttpError::Config(
            "a proxy is written host:port or socks5://host:port; check TOR_PROXY_URL or socks_addr",
        );
        let rest = match text.split_once("://") {
            None => text,
            Some(("socks5" | "socks5h", rest)) => rest,
            Some(_) => {
                return Err(HttpError::Config(
                    "only socks5:// proxies can be used; check TOR_PROXY_URL or socks_addr",
                ));
            }
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (credentials, rest) = match rest.rsplit_once('@') {
            None => (None, rest),
            Some((both, rest)) => {
                let (user, password) = both.split_once(':').unwrap_or((both, ""));
                let sized = |word: &str| word.len() <= MAX_CREDENTIAL;
                if user.is_empty() || !sized(user) || !sized(password) {
                    return Err(WRONG);
                }
                (Some((user.to_owned(), password.to_owned())), rest)
            }
        };
        let (host, port) = rest.rsplit_once(':').ok_or(WRONG)?;
        let port: u16 = port.parse().map_err(|_| WRONG)?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let good = |letter: char| letter.is_ascii_alphanumeric() || "-._".contains(letter);
        let host = match bare {
            Some(v6) if v6.parse::<std::net::Ipv6Addr>().is_ok() => v6,
            None if !host.is_empty() && host.chars().all(good) => host,
            _ => return Err(WRONG),
        };
        if port == 0 {
            return Err(WRONG);
        }
        Ok(Self { host: host.to_owned(), port, credentials })
    }
}

impl TryFrom<String> for ProxyAddress {
    type Error = HttpError;

    fn try_from(text: String) -> Result<Self, HttpError> {
        text.parse()
    }
}

impl From<ProxyAddress> for String {
    fn from(address: ProxyAddress) -> Self {
        match &address.credentials {
            None => address.to_string(),
            Some((user, password)) => format!("socks5://{user}:{password}@{address}"),
        }
    }
}

/// Without credentials.
impl fmt::Display for ProxyAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Debug for ProxyAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_are_read_as_people_write_them() {
        for (text, shown) in [
            ("127.0.0.1:9050", "127.0.0.1:9050"),
            ("socks5://tor:9050", "tor:9050"),
            ("socks5h://[::1]:9150/", "[::1]:9150"),
            ("socks5://me:secret@10.0.0.1:1", "10.0.0.1:1"),
        ] {
            let address: ProxyAddress = text.parse().unwrap();
            assert_eq!(address.to_string(), shown);
            assert_eq!(String::from(address.clone()).parse::<ProxyAddress>().unwrap(), address);
        }
        let address: ProxyAddress = "socks5://me:sec:ret@h:1".parse().unwrap();
        assert_eq!(address.credentials(), Some(("me", "sec:ret")));
        assert!(!format!("{address:?}").contains("ret"));
    }

    #[test]
    fn what_is_no_socks5_proxy_is_refused() {
        for text in [
            "",
            "tor",
            "http://tor:9050",
            "socks4://tor:9050",
            "tor:0",
            "tor:99999",
            "[tor]:1",
            "a b:1",
            "socks5://:x@h:1",
            "socks5://h:1/path",
            "::1:9050",
        ] {
            assert!(text.parse::<ProxyAddress>().is_err(), "{text:?}");
        }
    }
}
