//! Whether a backend works: by connecting, or by asking it for a page.

use std::fmt;
use std::io;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::backend::Backend;

/// Bytes of an HTTP status line that are looked at: `HTTP/1.1 200`.
const STATUS_LINE: usize = 12;

/// How a backend is checked.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Check {
    /// Not at all.
    None,
    /// It must take a connection.
    #[default]
    Connect,
    /// It must answer a GET of this path with a status below 500.
    Http(String),
}

/// The text is no check.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("expected `connect`, `none` or a path such as \"/health\"")]
pub struct BadCheck;

impl FromStr for Check {
    type Err = BadCheck;

    fn from_str(text: &str) -> Result<Self, BadCheck> {
        match text {
            "none" => Ok(Self::None),
            "connect" => Ok(Self::Connect),
            path if path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic()) => {
                Ok(Self::Http(path.to_owned()))
            }
            _ => Err(BadCheck),
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Connect => "connect",
            Self::Http(path) => path,
        })
    }
}

impl Serialize for Check {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Check {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Check {
    /// Whether the backend works. Each step may take `limit`.
    pub(super) async fn ask(&self, backend: &Backend, greeting: &[u8], limit: Duration) -> io::Result<()> {
        let path = match self {
            Self::None => return Ok(()),
            Self::Connect => return backend.dial(limit).await.map(drop),
            Self::Http(path) => path,
        };
        let mut conversation = backend.dial(limit).await?;
        let asked = async {
            let request = format!(
                "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nUser-Agent: bulbil\r\n\r\n"
            );
            conversation.write_all(greeting).await?;
            conversation.write_all(request.as_bytes()).await?;
            conversation.flush().await?;
            let mut line = [0; STATUS_LINE];
            conversation.read_exact(&mut line).await?;
            Ok::<_, io::Error>(line)
        };
        let line = tokio::time::timeout(limit, asked)
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        if is_well(&line) { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
    }
}

/// Whether the beginning of an HTTP answer is one below 500.
fn is_well(line: &[u8]) -> bool {
    let line = std::str::from_utf8(line).unwrap_or_default();
    let code =
        line.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..)).and_then(|code| code.parse::<u16>().ok());
    code.is_some_and(|code| (100..500).contains(&code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_are_read() {
        assert_eq!("connect".parse(), Ok(Check::Connect));
        assert_eq!("none".parse(), Ok(Check::None));
        assert_eq!("/v1/health?x=1".parse(), Ok(Check::Http("/v1/health?x=1".to_owned())));
        for text in ["", "health", "/a b", "/a\r\nHost: b"] {
            assert_eq!(text.parse::<Check>(), Err(BadCheck), "{text:?}");
        }
    }

    #[test]
    fn answers_below_500_are_well() {
        assert!(is_well(b"HTTP/1.1 200") && is_well(b"HTTP/1.0 404"));
        assert!(!is_well(b"HTTP/1.1 503") && !is_well(b"SSH-2.0-Open") && !is_well(b"\xff\xff"));
    }
}
