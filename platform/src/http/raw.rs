//! Bare streams through Tor.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::way::{Way, fresh};
use super::{Config, HttpError, Tunnel};
use crate::exit::{Exit, Isolation};

/// Opens streams to any host and port through Tor. Cheap to clone; clones share circuits.
///
/// ```no_run
/// # async fn ask() -> Result<(), bulbil::http::HttpError> {
/// use bulbil::{Config, SocksClient};
///
/// let client = SocksClient::new(Config::default());
/// let answer = client.send_receive("whois.iana.org", 43, b"onion\r\n").await?;
/// # drop(answer); Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct SocksClient {
    config: Config,
    way: Way,
    isolation: Isolation,
}

impl SocksClient {
    /// A client over the SOCKS5 proxy that `config` names. Nothing is connected yet.
    pub fn new(config: Config) -> Self {
        Self { way: Way::Proxy(config.socks_addr.clone()), config, isolation: fresh() }
    }

    /// A client over the network of this process; `socks_addr` plays no part.
    pub fn over(exit: Exit, config: Config) -> Self {
        Self { way: Way::Exit(exit), config, isolation: fresh() }
    }

    /// The same settings on circuits of its own.
    #[must_use]
    pub fn isolated(&self) -> Self {
        Self { isolation: fresh(), ..self.clone() }
    }

    /// Opens a stream. The name is resolved at the far end of Tor.
    pub async fn connect(&self, host: &str, port: u16) -> Result<Tunnel, HttpError> {
        let opened = self.way.open(host, port, &self.isolation);
        timeout(self.config.connect_timeout, opened).await.unwrap_or(Err(HttpError::Timeout))
    }

    /// Sends `data` and returns everything the other side says until it hangs up, at most `max_body` bytes. A service that
    /// does not hang up is a [`HttpError::Timeout`].
    pub async fn send_receive(&self, host: &str, port: u16, data: &[u8]) -> Result<Vec<u8>, HttpError> {
        let talk = async {
            let mut stream = self.connect(host, port).await?;
            let broken = |error: std::io::Error| HttpError::Broken(Some(error.into()));
            stream.write_all(data).await.map_err(broken)?;
            stream.flush().await.map_err(broken)?;
            let mut answer = Vec::new();
            let limit = u64::try_from(self.config.max_body).unwrap_or(u64::MAX).saturating_add(1);
            stream.take(limit).read_to_end(&mut answer).await.map_err(broken)?;
            if answer.len() > self.config.max_body { Err(HttpError::TooLarge) } else { Ok(answer) }
        };
        timeout(self.config.timeout, talk).await.unwrap_or(Err(HttpError::Timeout))
    }
}
