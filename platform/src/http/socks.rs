//! Our side of the SOCKS5 handshake (RFC 1928, RFC 1929), names always left to the proxy.

use std::io;
use std::net::IpAddr;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::HttpError;

/// Why a proxy would not open a stream (RFC 1928 section 6, and Tor's proposal 304).
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// 1, or a code that nobody defined.
    #[error("the proxy could not reach the destination; try again")]
    Failed,
    /// 2.
    #[error("the proxy, or every exit it tried, does not allow this destination or port")]
    NotAllowed,
    /// 3 and 4.
    #[error("the destination cannot be reached; check its name, or try again later")]
    Unreachable,
    /// 5.
    #[error("the destination refused the connection; nothing listens at that port")]
    Refused,
    /// 6, and a network that is not up yet.
    #[error("the path to the destination took too long; try again")]
    Timeout,
    /// 7 and 8.
    #[error("the proxy does not do this; use one that speaks SOCKS5 with names, such as Tor or Bulbil")]
    Unsupported,
    /// Tor's F0 to F3 and F7: nobody serves that onion address now.
    #[error("no such onion service; it is offline, or the address is wrong")]
    OnionGone,
    /// Tor's F4 and F5.
    #[error("the onion service wants a client key, and there is none or a wrong one")]
    OnionKey,
    /// Tor's F6: not an onion address at all.
    #[error("this is no onion address; check that it was copied whole")]
    OnionAddress,
    /// The proxy wants a user name and a password.
    #[error("the proxy wants a password; put it into TOR_PROXY_URL as socks5://user:password@host:port")]
    Password,
}

impl Refusal {
    /// What a reply code says.
    pub const fn of(code: u8) -> Self {
        match code {
            2 => Self::NotAllowed,
            3 | 4 => Self::Unreachable,
            5 => Self::Refused,
            6 => Self::Timeout,
            7 | 8 => Self::Unsupported,
            0xf0..=0xf3 | 0xf7 => Self::OnionGone,
            0xf4 | 0xf5 => Self::OnionKey,
            0xf6 => Self::OnionAddress,
            _ => Self::Failed,
        }
    }

    /// Whether another try may do better.
    pub const fn is_passing(self) -> bool {
        matches!(self, Self::Failed | Self::Timeout | Self::Unreachable | Self::OnionGone)
    }
}

/// Asks a proxy for a stream to `host:port` and returns when it is open. The caller sets the limit.
pub(super) async fn connect<S>(
    stream: &mut S,
    (user, password): (&str, &str),
    host: &str,
    port: u16,
) -> Result<(), HttpError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let request = request(host, port)?;
    // Both methods are offered: without a password a proxy of Tor's kind still isolates by the name, others need not.
    write(stream, &[5, 2, 2, 0]).await?;
    match read::<2, S>(stream).await? {
        [5, 0] => {}
        [5, 2] => {
            let mut login = vec![1];
            for word in [user, password] {
                login.push(
                    u8::try_from(word.len())
                        .map_err(|_| HttpError::Config("the proxy's password is too long"))?,
                );
                login.extend_from_slice(word.as_bytes());
            }
            write(stream, &login).await?;
            if read::<2, S>(stream).await?[1] != 0 {
                return Err(Refusal::Password.into());
            }
        }
        [5, 0xff] => return Err(Refusal::Password.into()),
        _ => return Err(Refusal::Unsupported.into()),
    }
    write(stream, &request).await?;
    let [version, code, _, kind] = read::<4, S>(stream).await?;
    if version != 5 {
        return Err(Refusal::Unsupported.into());
    }
    if code != 0 {
        return Err(Refusal::of(code).into());
    }
    let rest = match kind {
        1 => 4,
        4 => 16,
        3 => usize::from(read::<1, S>(stream).await?[0]),
        _ => return Err(Refusal::Unsupported.into()),
    };
    // The bound address says nothing of use, and then the port.
    let mut bound = [0; 257];
    let bound = bound.get_mut(..rest.saturating_add(2)).unwrap_or_default();
    stream.read_exact(bound).await.map_err(broken)?;
    Ok(())
}

/// CONNECT. Addresses go as addresses, everything else as a name.
fn request(host: &str, port: u16) -> Result<Vec<u8>, HttpError> {
    const NAME: HttpError = HttpError::Request("a host has 1 to 255 letters; check the URL");
    let mut request = vec![5, 1, 0];
    match host.trim_matches(['[', ']']).parse() {
        Ok(IpAddr::V4(address)) => {
            request.push(1);
            request.extend_from_slice(&address.octets());
        }
        Ok(IpAddr::V6(address)) => {
            request.push(4);
            request.extend_from_slice(&address.octets());
        }
        Err(_) => {
            if host.is_empty() {
                return Err(NAME);
            }
            request.extend_from_slice(&[3, u8::try_from(host.len()).map_err(|_| NAME)?]);
            request.extend_from_slice(host.as_bytes());
        }
    }
    request.extend_from_slice(&port.to_be_bytes());
    Ok(request)
}

async fn write<S: AsyncWrite + Unpin>(stream: &mut S, bytes: &[u8]) -> Result<(), HttpError> {
    stream.write_all(bytes).await.map_err(broken)?;
    stream.flush().await.map_err(broken)
}

async fn read<const N: usize, S: AsyncRead + Unpin>(stream: &mut S) -> Result<[u8; N], HttpError> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes).await.map_err(broken)?;
    Ok(bytes)
}

fn broken(error: io::Error) -> HttpError {
    HttpError::Broken(Some(error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What we send, and how it ends, when the proxy says `said`.
    async fn talk(said: &[u8], host: &str) -> (Vec<u8>, Result<(), HttpError>) {
        let (mut ours, mut theirs) = tokio::io::duplex(1024);
        theirs.write_all(said).await.unwrap();
        theirs.shutdown().await.unwrap();
        let ended = connect(&mut ours, ("me", "pw"), host, 80).await;
        drop(ours);
        let mut sent = Vec::new();
        theirs.read_to_end(&mut sent).await.unwrap();
        (sent, ended)
    }

    #[tokio::test]
    async fn names_go_to_the_proxy_as_they_are() {
        let (sent, ended) = talk(b"\x05\x00\x05\x00\x00\x01\0\0\0\0\0\0", "a.onion").await;
        ended.unwrap();
        assert_eq!(sent, b"\x05\x02\x02\x00\x05\x01\x00\x03\x07a.onion\x00\x50");
    }

    #[tokio::test]
    async fn addresses_go_as_addresses_after_the_password() {
        let (sent, ended) = talk(b"\x05\x02\x01\x00\x05\x00\x00\x03\x01x\0\0", "10.0.0.1").await;
        ended.unwrap();
        assert_eq!(sent, b"\x05\x02\x02\x00\x01\x02me\x02pw\x05\x01\x00\x01\x0a\0\0\x01\x00\x50");
        let (sent, ended) =
            talk(b"\x05\x00\x05\x00\x00\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", "::1").await;
        ended.unwrap();
        assert!(sent.ends_with(b"\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x00\x50"));
    }

    #[tokio::test]
    async fn refusals_are_told_apart() {
        for (code, refusal) in [
            (1, Refusal::Failed),
            (2, Refusal::NotAllowed),
            (4, Refusal::Unreachable),
            (5, Refusal::Refused),
            (6, Refusal::Timeout),
            (7, Refusal::Unsupported),
            (0xf0, Refusal::OnionGone),
            (0xf4, Refusal::OnionKey),
            (0xf6, Refusal::OnionAddress),
            (0x77, Refusal::Failed),
        ] {
            let (_, ended) = talk(&[5, 0, 5, code, 0, 1, 0, 0, 0, 0, 0, 0], "h").await;
            assert!(matches!(ended, Err(HttpError::Refused(why)) if why == refusal), "{code}");
        }
        let (_, ended) = talk(&[5, 0xff], "h").await;
        assert!(matches!(ended, Err(HttpError::Refused(Refusal::Password))));
        let (_, ended) = talk(b"HTTP/1.1 400 Bad Request", "h").await;
        assert!(matches!(ended, Err(HttpError::Refused(Refusal::Unsupported))));
        let (_, ended) = talk(&[5], "h").await;
        assert!(matches!(ended, Err(HttpError::Broken(_))));
    }
}
