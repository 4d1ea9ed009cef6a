//! The listeners for other programs: SOCKS5 and DNS.

use std::fmt;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::{Bytes, ConfigError, Gateway, Seconds};

/// Connections of a listener at most, whatever is configured: each may hold a stream.
const MAX_CONNECTIONS: u32 = 65_536;

/// More circuits than this for what could share one only cost Tor.
const MAX_CIRCUITS: u8 = 4;

/// Resolvers that may be named.
pub const MAX_UPSTREAMS: usize = 16;

/// The listeners for other programs.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Proxy {
    /// SOCKS5.
    pub socks: Socks,
    /// DNS.
    pub dns: Dns,
    /// HTTP: CONNECT, and the gateway for programs that speak nothing else.
    pub http: Gateway,
}

/// The SOCKS5 listener; it understands SOCKS4 and 4a too.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Socks {
    /// Whether there is one.
    pub enabled: bool,
    /// Address and port; port 0 takes a free one. Beyond loopback it wants `password` or `open`.
    pub listen: SocketAddr,
    /// What every client must send as its password, with any user name.
    pub password: Option<Password>,
    /// Whether anyone who reaches the listener may use it.
    pub open: bool,
    /// What clients must have in common to share a circuit.
    pub isolate: Vec<Separator>,
    /// Circuits that streams which may share one are spread over. Each has an exit, and so an address, of its own.
    pub circuits: u8,
    /// Whether failures of onion services are told by Tor's own codes (proposal 304).
    pub extended_errors: bool,
    /// Connections at once.
    pub max_connections: u32,
    /// Longest silence of a stream, of both sides; 0 for no limit.
    pub idle: Seconds,
}

/// The DNS listener, UDP and TCP.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Dns {
    /// Whether there is one.
    pub enabled: bool,
    /// Address and port; port 0 takes a free one. Beyond loopback it wants `open`.
    pub listen: SocketAddr,
    /// Whether anyone who reaches the listener may use it.
    pub open: bool,
    /// Resolvers that answer over TCP, in order of preference: `host:port`, onion addresses or others. They are reached
    /// through Tor only.
    pub upstreams: Vec<String>,
    /// Memory for answers that are kept.
    pub cache: Bytes,
    /// Longest that an answer is kept, whatever its own time.
    pub max_ttl: Seconds,
    /// Whether answers may lead to addresses of private networks: names that a house has published of its own machines, and names
    /// by which a stranger's page reaches them.
    pub private_answers: bool,
    /// Connections over TCP at once.
    pub max_connections: u32,
}

/// What clients may be told apart by.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Separator {
    /// User name and password.
    Auth,
    /// The client's own address.
    Client,
    /// The target's name or address.
    Address,
    /// The target's port.
    Port,
}

/// A password. `Debug` hides it.
#[derive(Clone, Deserialize, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Password(pub String);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(hidden)")
    }
}

impl Default for Socks {
    fn default() -> Self {
        Self {
            enabled: true,
            listen: SocketAddr::from(([127, 0, 0, 1], 9150)),
            password: None,
            open: false,
            isolate: vec![Separator::Auth, Separator::Client],
            circuits: 1,
            extended_errors: false,
            max_connections: 2048,
            // Terminals are left open over night. A client that is gone is found long before (`sys::keep_alive`).
            idle: Seconds(24 * 3600),
        }
    }
}

impl Default for Dns {
    fn default() -> Self {
        Self {
            enabled: true,
            listen: SocketAddr::from(([127, 0, 0, 1], 5353)),
            open: false,
            // Cloudflare's resolver as an onion service, then the same on the clear net.
            upstreams: vec![
                "dns4torpnlfs2ifuz2s2yf3fc7rdmsbhm6rw75euj35pac6ap25zgqad.onion:53".into(),
                "1.1.1.1:53".into(),
            ],
            cache: Bytes(1024 * 1024),
            max_ttl: Seconds(24 * 3600),
            private_answers: false,
            max_connections: 256,
        }
    }
}

impl Proxy {
    /// Whether anything of it needs exits.
    pub const fn any(&self) -> bool {
        self.socks.enabled || self.dns.enabled || self.http.enabled
    }

    /// Checks what the types do not.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let Self { socks, dns, http } = self;
        http.check().map_err(ConfigError::Value)?;
        let wrong = if !socks.listen.ip().is_loopback() && socks.password.is_none() && !socks.open {
            format!(
                "proxy.socks.listen = \"{}\" is not a loopback address; set proxy.socks.password, or \
                 proxy.socks.open = true if anyone may use it",
                socks.listen
            )
        } else if socks.password.as_ref().is_some_and(|word| word.0.is_empty() || word.0.len() > 255) {
            "proxy.socks.password must have 1 to 255 bytes, which is what SOCKS5 carries".to_owned()
        } else if !(1..=MAX_CIRCUITS).contains(&socks.circuits) {
            format!("proxy.socks.circuits is out of range; 1 to {MAX_CIRCUITS} are allowed")
        } else if !dns.listen.ip().is_loopback() && !dns.open {
            format!(
                "proxy.dns.listen = \"{}\" is not a loopback address; set proxy.dns.open = true if anyone may use it",
                dns.listen
            )
        } else if dns.enabled && !(1..=MAX_UPSTREAMS).contains(&dns.upstreams.len()) {
            format!(
                "proxy.dns.upstreams must name 1 to {MAX_UPSTREAMS} resolvers, or set proxy.dns.enabled = false"
            )
        } else if let Some(upstream) = dns.upstreams.iter().find(|text| crate::proxy::target(text).is_none())
        {
            format!("proxy.dns.upstreams: \"{upstream}\" is no target; it looks like \"9.9.9.9:53\"")
        } else if [socks.max_connections, dns.max_connections]
            .iter()
            .any(|number| !(1..=MAX_CONNECTIONS).contains(number))
        {
            format!("proxy.*.max_connections is out of range; 1 to {MAX_CONNECTIONS} are allowed")
        } else {
            return Ok(());
        };
        Err(ConfigError::Value(wrong))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Config;

    #[test]
    fn a_listener_on_the_lan_wants_a_password_or_a_word() {
        for (text, words) in [
            ("[proxy.socks]\nlisten = \"0.0.0.0:9150\"", "proxy.socks.password"),
            ("[proxy.socks]\npassword = \"\"", "1 to 255"),
            ("[proxy.dns]\nlisten = \"[::]:53\"", "proxy.dns.open"),
            ("[proxy.dns]\nupstreams = []", "1 to 16"),
            ("[proxy.dns]\nupstreams = [\"9.9.9.9\"]", "no target"),
            ("[proxy.dns]\nupstreams = [\"a.onion:53\"]", "no target"),
            ("[proxy.socks]\nmax_connections = 0", "out of range"),
            ("[proxy.socks]\ncircuits = 0", "1 to 4"),
            ("[proxy.socks]\nisolate = [\"colour\"]", "`auth`"),
        ] {
            let error = Config::parse(text).unwrap_err().to_string();
            assert!(error.contains(words), "{text:?} gave {error:?}");
        }
        for text in [
            "[proxy.socks]\nlisten = \"0.0.0.0:9150\"\npassword = \"x\"",
            "[proxy.socks]\nlisten = \"0.0.0.0:9150\"\nopen = true",
            "[proxy.dns]\nlisten = \"[::]:53\"\nopen = true\nupstreams = [\"[2620:fe::fe]:53\"]",
        ] {
            Config::parse(text).unwrap();
        }
    }

    #[test]
    fn debug_hides_the_password() {
        let config = Config::parse("[proxy.socks]\npassword = \"swordfish\"").unwrap();
        assert!(!format!("{config:?}").contains("swordfish"));
    }
}
