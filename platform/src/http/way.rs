//! The two ways out: a proxy that somebody else runs, or the Tor of this process.

use std::io;
use std::net::{IpAddr, SocketAddr};

use tokio::net::TcpStream;

use super::proxy_address::ProxyAddress;
use super::tunnel::Tunnel;
use super::{HttpError, socks};
use crate::exit::{Exit, Host, Isolation};
use crate::publish::look_up;

/// How streams to destinations are opened.
#[derive(Clone, Debug)]
pub(crate) enum Way {
    /// An external SOCKS5 proxy. The one socket opened is to it, and it resolves every name.
    Proxy(ProxyAddress),
    /// The network of this process.
    Exit(Exit),
}

impl Way {
    /// Opens a stream to `host:port`. The caller sets the limit.
    pub(crate) async fn open(
        &self,
        host: &str,
        port: u16,
        isolation: &Isolation,
    ) -> Result<Tunnel, HttpError> {
        match self {
            Self::Proxy(proxy) => {
                let mut stream = dial(proxy).await.map_err(HttpError::NoProxy)?;
                // Requests are written whole; waiting for more only costs a round trip.
                let _ = stream.set_nodelay(true);
                let word = word(isolation);
                let login = proxy.credentials().unwrap_or((&word, &word));
                socks::connect(&mut stream, login, host, port).await?;
                Ok(Tunnel::new(stream))
            }
            Self::Exit(exit) => {
                let host: Host = host.parse().map_err(crate::exit::ReachError::from)?;
                Ok(Tunnel::new(exit.reach(&host, port, isolation).await?))
            }
        }
    }
}

/// The one socket. A proxy that has a name is the service next door: the name is looked up there, and nowhere else.
async fn dial(proxy: &ProxyAddress) -> io::Result<TcpStream> {
    let addresses = match proxy.host().parse::<IpAddr>() {
        Ok(ip) => vec![SocketAddr::new(ip, proxy.port())],
        Err(_) => look_up(proxy.host(), proxy.port()).await?,
    };
    TcpStream::connect(addresses.as_slice()).await
}

/// One that nothing had before.
pub(super) fn fresh() -> Isolation {
    let mut bytes = [0; 16];
    // Without randomness everything shares: worse for privacy, but Tor itself could not have started then.
    let _ = getrandom::fill(&mut bytes);
    Isolation::of("library").and(&bytes)
}

/// As the words of a SOCKS5 login, which Tor and Bulbil isolate by: 32 hexadecimal digits.
fn word(isolation: &Isolation) -> String {
    data_encoding::HEXLOWER.encode(isolation.as_bytes().split_at(16).0)
}
