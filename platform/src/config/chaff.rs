//! `[chaff]`: a few requests of no use, so that silence tells less.

use serde::{Deserialize, Serialize};
use url::Url;

use super::{Bytes, Seconds};

/// URLs that may be named.
const MAX_URLS: usize = 64;

/// Least mean pause: chaff is a trickle.
const MIN_EVERY: u64 = 10;

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
            return Err(format!("chaff.every = \"{}\" is too often; the least is \"10 s\"", self.every));
        }
        let sealed = self.urls.iter().all(|url| is_sealed(url));
        if self.enabled && (self.urls.is_empty() || self.urls.len() > MAX_URLS || !sealed) {
            return Err(format!("chaff.urls must name 1 to {MAX_URLS} pages that begin with https://"));
        }
        Ok(())
    }
}

/// Whether no exit can read what is asked there.
fn is_sealed(url: &str) -> bool {
    Url::parse(url).is_ok_and(|url| match url.scheme() {
        "https" => true,
        "http" => url.domain().is_some_and(|name| name.rsplit('.').next() == Some("onion")),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::super::Config;

    #[test]
    fn chaff_goes_where_no_exit_reads_it() {
        let parse = |url: &str| Config::parse(&format!("[chaff]\nenabled = true\nurls = [\"{url}\"]"));
        let onion = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion";
        for good in
            ["https://a.org/robots.txt", &format!("http://{onion}/"), &format!("http://www.{onion}:81/x")]
        {
            parse(good).unwrap();
        }
        for bad in [
            "http://a.org/",
            "http://a.org/x.onion",
            "http://a.org/?u=b.onion",
            "http://x.onion.a.org/",
            "a.onion",
            "",
        ] {
            assert!(parse(bad).unwrap_err().to_string().contains("https://"), "{bad}");
        }
    }
}
