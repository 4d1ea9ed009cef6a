//! `[proxy.http]`: the HTTP gateway.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::{Bytes, Password, Seconds};
use crate::http::{CHECK_URL, USER_AGENT};

/// Least time that may be given for anything here.
const MIN_WAIT: u64 = 1;

/// The HTTP gateway.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Gateway {
    /// Whether there is one.
    pub enabled: bool,
    /// Address and port; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Whether everybody who reaches it may use it, if that is more than this machine.
    pub open: bool,
    /// What callers must know, if anything: the password of `Proxy-Authorization: Basic`, or `X-Bulbil-Password`.
    pub password: Option<Password>,
    /// Names it is called by, beside `localhost` and addresses. A foreign page may have its own name point here.
    pub hosts: Vec<String>,
    /// Pages that may call it from a browser, as `scheme://host:port`; `:*` stands for any port.
    pub origins: Vec<String>,
    /// Whether addresses of private networks may be asked for: for test networks, whose exits lead to loopback.
    pub allow_private: bool,
    /// Connections at once.
    pub max_connections: u32,
    /// Bytes of a request's body at most.
    pub request_limit: Bytes,
    /// Bytes of an answer's body at most.
    pub response_limit: Bytes,
    /// Longest wait for the head of an answer.
    pub timeout: Seconds,
    /// Longest silence of a body.
    pub idle: Seconds,
    /// Longest silence of a tunnel. Programs that wait for mail or events are silent for half an hour.
    pub tunnel_idle: Seconds,
    /// What `/proxy` sends as `User-Agent`; empty to send the caller's own.
    pub user_agent: String,
    /// Services that tell which address they see, for `/ip` and `/verify-tor`.
    pub check_urls: Vec<String>,
}

impl Default for Gateway {
    fn default() -> Self {
        Self {
            enabled: true,
            listen: SocketAddr::from(([127, 0, 0, 1], 3080)),
            open: false,
            password: None,
            hosts: Vec::new(),
            origins: ["http://localhost:*", "http://127.0.0.1:*", "http://[::1]:*"].map(Into::into).into(),
            allow_private: false,
            max_connections: 128,
            request_limit: Bytes(64 * 1024 * 1024),
            response_limit: Bytes(1024 * 1024 * 1024),
            timeout: Seconds(120),
            idle: Seconds(300),
            tunnel_idle: Seconds(2 * 3600),
            user_agent: USER_AGENT.to_owned(),
            check_urls: vec![CHECK_URL.to_owned()],
        }
    }
}

impl Gateway {
    /// What is wrong with it, if anything.
    pub(super) fn check(&self) -> Result<(), String> {
        let far = self.enabled && !self.listen.ip().is_loopback();
        if far && !self.open && self.password.is_none() {
            return Err(format!(
                "proxy.http.listen = \"{}\" can be reached by others; set proxy.http.password, or proxy.http.open = true \
                 if everybody there may use it",
                self.listen
            ));
        }
        if self.password.as_ref().is_some_and(|word| word.0.is_empty() || word.0.len() > 255) {
            return Err("proxy.http.password has no letters or over 255; remove it, or set another".into());
        }
        if self.max_connections == 0 || self.max_connections > 65_535 {
            return Err("proxy.http.max_connections is out of range; 1 to 65535 are allowed".into());
        }
        for (name, span) in [("timeout", self.timeout), ("idle", self.idle)] {
            if span.0 < MIN_WAIT {
                return Err(format!("proxy.http.{name} = \"{span}\" is too short; the least is \"1 s\""));
            }
        }
        for origin in &self.origins {
            let good = origin.split_once("://").is_some_and(|(scheme, rest)| {
                let host = rest.strip_suffix(":*").unwrap_or(rest);
                !scheme.is_empty() && !host.is_empty() && !host.contains(['*', '/', ' ', '@'])
            });
            if !good {
                return Err(format!(
                    "proxy.http.origins: \"{origin}\" is no origin; write scheme://host:port, with * only as the port"
                ));
            }
        }
        if self.user_agent.bytes().any(|byte| !(0x20..0x7f).contains(&byte)) {
            return Err("proxy.http.user_agent has letters that no header can have; use plain ASCII".into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    #[test]
    fn who_may_use_it_must_be_said() {
        let parse = |more: &str| Config::parse(&format!("[proxy.http]\n{more}"));
        let refusal = parse("listen = \"0.0.0.0:3080\"").unwrap_err().to_string();
        assert!(refusal.contains("proxy.http.password") && refusal.contains("open = true"), "{refusal}");
        parse("listen = \"0.0.0.0:3080\"\nopen = true").unwrap();
        parse("listen = \"[::]:3080\"\npassword = \"word\"").unwrap();
        parse("listen = \"[::1]:3080\"").unwrap();
        parse("listen = \"0.0.0.0:3080\"\nenabled = false").unwrap();
    }

    #[test]
    fn mistakes_name_the_key() {
        for (more, word) in [
            ("password = \"\"", "password"),
            ("max_connections = 0", "max_connections"),
            ("timeout = 0", "timeout"),
            ("idle = \"0 s\"", "idle"),
            ("origins = [\"*\"]", "origins"),
            ("origins = [\"http://*.evil.test\"]", "origins"),
            ("user_agent = \"a\\nb\"", "user_agent"),
            ("cors = true", "cors"),
        ] {
            let refusal = Config::parse(&format!("[proxy.http]\n{more}")).unwrap_err().to_string();
            assert!(refusal.contains(word), "{more}: {refusal}");
        }
    }
}
