//! Why a request failed.

use super::socks::Refusal;
use crate::exit::ReachError;

/// Why there is no answer. Texts never name the destination: they may end in a log.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// A setting is wrong. The text says which and what is allowed.
    #[error("{0}")]
    Config(&'static str),
    /// The caller's URL or header cannot be used. The text says what is allowed.
    #[error("{0}")]
    Request(&'static str),
    /// Nobody listens where the proxy should be.
    #[error("the SOCKS5 proxy does not answer; start it, or check TOR_PROXY_URL or socks_addr")]
    NoProxy(#[source] std::io::Error),
    /// The proxy, or the network, would not open the stream.
    #[error("{0}")]
    Refused(#[from] Refusal),
    /// The Tor of this process would not open the stream.
    #[error("{0}")]
    Unreached(#[from] ReachError),
    /// The certificate is not good for this name, or the other side does not speak TLS.
    #[error(
        "no secure connection: the certificate is not good for this name, or the service does not speak TLS"
    )]
    Tls(#[source] std::io::Error),
    /// Too slow.
    #[error("no answer in time; try again, or set a longer timeout")]
    Timeout,
    /// The answer is longer than allowed.
    #[error("the answer is longer than max_body; read it in pieces with `chunk`, or allow more")]
    TooLarge,
    /// The stream broke, or what came is no HTTP.
    #[error("the connection broke, or the service does not speak HTTP; try again")]
    Broken(#[source] Option<Box<dyn std::error::Error + Send + Sync>>),
    /// Too many redirects, or one that cannot be followed.
    #[error(
        "the service redirects in circles or to where it must not; ask its operator, or set redirects = 0"
    )]
    Redirect,
    /// The answer is not of the expected form.
    #[error("the answer is not what was asked for: {0}")]
    Content(&'static str),
}

impl HttpError {
    /// Whether the same request may succeed if sent once more.
    pub const fn is_passing(&self) -> bool {
        match self {
            Self::Timeout | Self::Broken(_) | Self::NoProxy(_) => true,
            Self::Refused(refusal) => refusal.is_passing(),
            Self::Unreached(why) => !matches!(
                why,
                ReachError::Refused
                    | ReachError::Forbidden
                    | ReachError::Private
                    | ReachError::NoSuchName
                    | ReachError::BadName
                    | ReachError::OnionAddress
                    | ReachError::OnionKeyMissing
                    | ReachError::OnionKeyWrong
                    | ReachError::Shutdown
            ),
            _ => false,
        }
    }
}
