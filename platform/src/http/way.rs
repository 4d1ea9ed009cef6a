//! The two ways out: a proxy that somebody else runs, or the Tor of this process.

use tokio::net::TcpStream;

use super::proxy_address::ProxyAddress;
use super::tunnel::Tunnel;
use super::{HttpError, Isolation, socks};

/// How streams to destinations are opened.
#[derive(Clone, Debug)]
pub(crate) enum Way {
    /// An external SOCKS5 proxy. The one socket opened is to it, and it resolves every name.
    Proxy(ProxyAddress),
}

impl Way {
    /// Opens a stream to `host:port`. The caller sets the limit.
    pub(crate) async fn open(
        &self,
        host: &str,
        port: u16,
        isolation: Isolation,
    ) -> Result<Tunnel, HttpError> {
        match self {
            Self::Proxy(proxy) => {
                let mut stream =
                    TcpStream::connect((proxy.host(), proxy.port())).await.map_err(HttpError::NoProxy)?;
                // Requests are written whole; waiting for more only costs a round trip.
                let _ = stream.set_nodelay(true);
                let word = isolation.word();
                let login = proxy.credentials().unwrap_or((&word, &word));
                socks::connect(&mut stream, login, host, port).await?;
                Ok(Tunnel::new(stream))
            }
        }
    }
}
