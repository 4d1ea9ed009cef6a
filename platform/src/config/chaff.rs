//! `[chaff]`: a few requests of no use, so that silence tells less.

use serde::{Deserialize, Serialize};

use super::{Bytes, Seconds};

/// URLs that may be named.
const MAX_URLS: usize = 64;

/// Least mean pause: chaff is a trickle.
const MIN_EVERY: u64 = 60;

/// Chaff.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Chaff {
    /// Whether there is any.
    pub enabled: bool,
    /// Bytes a day at most, both ways, as far as they are counted here: heads and bodies, and a flat sum for TLS.
    pub daily: Bytes,
    /// Mean pause between two requests. Each one is drawn anew, from a tenth to six times of this.
    pub every: Seconds,
    /// Small, dull pages; one is drawn for each request.
    pub urls: Vec<String>,
}

impl Default for Chaff {
    fn default() -> Self {
        Self {
            enabled: false,
            daily: Bytes(2 * 1024 * 1024),
            every: Seconds(30 * 60),
            urls: [
                "https://www.torproject.org/robots.txt",
                "https://www.debian.org/robots.txt",
                "https://www.kernel.org/robots.txt",
                "https://www.gnu.org/robots.txt",
                "https://www.wikipedia.org/robots.txt",
                "https://archive.org/robots.txt",
            ]
            .map(Into::into)
            .into(),
        }
    }
}

impl Chaff {
    /// What is wrong with it, if anything.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.every.0 < MIN_EVERY {
            return Err(format!("chaff.every = \"{}\" is too often; the least is \"1 min\"", self.every));
        }
        let https = self.urls.iter().all(|url| url.starts_with("https://") || url.contains(".onion"));
        if self.enabled && (self.urls.is_empty() || self.urls.len() > MAX_URLS || !https) {
            return Err(format!("chaff.urls must name 1 to {MAX_URLS} pages that begin with https://"));
        }
        Ok(())
    }
}
