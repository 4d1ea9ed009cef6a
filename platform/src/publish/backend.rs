//! Where a backend is, and getting there. The only sockets of publishing; none of them leads outside.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::pin::Pin;
use std::str::FromStr;
use std::task::{Context, Poll};
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// Where the system names its resolvers.
const RESOLVERS: &str = "/etc/resolv.conf";

/// Where the system names its neighbours.
const HOSTS: &str = "/etc/hosts";

/// Addresses of one name that are tried.
const MAX_ADDRESSES: usize = 4;

/// Endings of names that exist on local networks only (RFC 6762, RFC 8375, RFC 9476 and ICANN's `internal`). Names
/// without a dot are those of containers and of `/etc/hosts`.
const LOCAL_ENDINGS: [&str; 6] = [".local", ".lan", ".internal", ".home.arpa", ".localhost", ".alt"];

/// A program that answers for a published service.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Backend {
    /// On this machine or its local network.
    Socket(SocketAddr),
    /// By a name that `/etc/hosts` or the local resolver knows.
    Name(String, u16),
    /// A Unix socket.
    Unix(PathBuf),
}

/// The text names no backend.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadBackend {
    /// Not one of the three forms.
    #[error("\"{0}\" is no backend; write 127.0.0.1:8000, name:8000 or unix:/path")]
    Form(String),
    /// On the internet.
    #[error("\"{0}\" is not on a local network; backends must be: nothing goes around Tor")]
    Outside(String),
}

impl FromStr for Backend {
    type Err = BadBackend;

    fn from_str(text: &str) -> Result<Self, BadBackend> {
        let form = || BadBackend::Form(text.to_owned());
        if let Some(path) = text.strip_prefix("unix:") {
            let path = PathBuf::from(path);
            return if path.is_absolute() { Ok(Self::Unix(path)) } else { Err(form()) };
        }
        if let Ok(socket) = text.parse::<SocketAddr>() {
            return match socket {
                _ if socket.port() == 0 => Err(form()),
                _ if is_local(socket.ip()) => Ok(Self::Socket(socket)),
                _ => Err(BadBackend::Outside(text.to_owned())),
            };
        }
        let (name, port) = text.rsplit_once(':').ok_or_else(form)?;
        let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(form)?;
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || name.len() > 253 || !name.chars().all(plain) || name.parse::<Ipv4Addr>().is_ok()
        {
            return Err(form());
        }
        if !is_local_name(name) {
            return Err(BadBackend::Outside(text.to_owned()));
        }
        Ok(Self::Name(name.to_owned(), port))
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(socket) => socket.fmt(f),
            Self::Name(name, port) => write!(f, "{name}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Serialize for Backend {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Backend {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Backend {
    /// Connects, within `limit`. A name may stand for several addresses, of which local ones are tried in turn.
    pub(super) async fn dial(&self, limit: Duration) -> io::Result<Conversation> {
        let dialled = async {
            match self {
                Self::Socket(socket) => connect(*socket).await,
                Self::Unix(path) => Ok(Conversation::Unix(UnixStream::connect(path).await?)),
                Self::Name(name, port) => {
                    let mut last = io::Error::from(io::ErrorKind::NotFound);
                    for socket in look_up(name, *port).await?.into_iter().take(MAX_ADDRESSES) {
                        match connect(socket).await {
                            Ok(conversation) => return Ok(conversation),
                            Err(error) => last = error,
                        }
                    }
                    Err(last)
                }
            }
        };
        tokio::time::timeout(limit, dialled).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
    }
}

async fn connect(socket: SocketAddr) -> io::Result<Conversation> {
    let stream = TcpStream::connect(socket).await?;
    // Nagle's delay on top of Tor's helps nobody; a socket that refuses the option works all the same.
    let _ = stream.set_nodelay(true);
    Ok(Conversation::Tcp(stream))
}

/// The local addresses of a name. Asks resolvers only if all of them are on a local network; what they say of the
/// outside is left out.
pub(crate) async fn look_up(name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    if name.eq_ignore_ascii_case("localhost") {
        return Ok(vec![(Ipv4Addr::LOCALHOST, port).into()]);
    }
    let hosts = tokio::fs::read_to_string(HOSTS).await.unwrap_or_default();
    let mut found = in_hosts(&hosts, name);
    if found.is_empty() {
        let resolvers = tokio::fs::read_to_string(RESOLVERS).await.unwrap_or_default();
        if !asks_locally(&resolvers) {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "the system's resolver is not on a local network, and so is not asked; add the name to /etc/hosts",
            ));
        }
        found = tokio::net::lookup_host((name, port)).await?.map(|socket| socket.ip()).collect();
    }
    found.retain(|ip| is_local(*ip));
    Ok(found.into_iter().map(|ip| SocketAddr::new(ip, port)).collect())
}

/// The addresses that a hosts file (hosts(5)) gives for a name.
fn in_hosts(hosts: &str, name: &str) -> Vec<IpAddr> {
    let line = |line: &str| {
        let mut words = line.split('#').next()?.split_whitespace();
        let ip: IpAddr = words.next()?.parse().ok()?;
        words.any(|word| word.eq_ignore_ascii_case(name)).then_some(ip)
    };
    hosts.lines().filter_map(line).collect()
}

/// Whether all resolvers of a resolv.conf(5) are on a local network; none at all means this machine.
fn asks_locally(resolvers: &str) -> bool {
    let servers = resolvers.lines().filter_map(|line| line.trim().strip_prefix("nameserver"));
    servers
        .map(|server| server.trim().split('%').next().unwrap_or_default().parse::<IpAddr>())
        .all(|server| server.is_ok_and(is_local))
}

/// Loopback, private and link-local addresses: what no router of the internet forwards.
pub(crate) fn is_local(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

fn is_local_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    !name.contains('.') || LOCAL_ENDINGS.iter().any(|ending| name.ends_with(ending))
}

/// A connection to a backend.
#[derive(Debug)]
pub(super) enum Conversation {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl AsyncRead for Conversation {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Conversation {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Unix(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_forms_are_read_and_written() {
        for text in
            ["127.0.0.1:80", "[::1]:80", "192.168.1.7:8000", "web:8000", "app.lan:1", "unix:/run/app.sock"]
        {
            let backend: Backend = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(backend.to_string(), text);
        }
    }

    #[test]
    fn what_is_outside_is_refused() {
        for text in [
            "8.8.8.8:53",
            "[2001:db8::1]:80",
            "example.com:80",
            "0.0.0.0:80",
            "[::ffff:8.8.8.8]:80",
            "224.0.0.1:80",
        ] {
            assert_eq!(text.parse::<Backend>(), Err(BadBackend::Outside(text.to_owned())), "{text}");
        }
        for text in
            ["", "80", "web", "web:0", "web:http", ":80", "a b:80", "unix:run/app", "8.8.8.8", "127.1:70000"]
        {
            assert_eq!(text.parse::<Backend>(), Err(BadBackend::Form(text.to_owned())), "{text}");
        }
    }

    #[test]
    fn hosts_and_resolvers_are_read() {
        let hosts = "127.0.0.1 localhost\n# 10.0.0.9 web\n10.0.0.5\tWEB web.lan # x\n8.8.8.8 evil";
        assert_eq!(in_hosts(hosts, "web"), ["10.0.0.5".parse::<IpAddr>().unwrap()]);
        assert!(in_hosts(hosts, "x").is_empty());
        assert!(asks_locally("nameserver 127.0.0.11\noptions ndots:0") && asks_locally(""));
        assert!(!asks_locally("nameserver 192.168.1.1\nnameserver 9.9.9.9"));
        assert!(asks_locally("nameserver fe80::1%eth0"));
    }
}
