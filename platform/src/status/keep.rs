//! What a power cut would cost, and what is done against it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The keep file, as far as the node knows of one.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Keep {
    /// Changes are saved to a keep file by themselves. Otherwise only `bulbil keep save` saves anything.
    pub automatic: bool,
    /// Seconds since the node was last saved, if it was since it started.
    pub saved_ago_s: Option<u64>,
    /// Why the last try failed and what to do, if it did.
    pub failed: Option<String>,
    /// What would be gone if the power went now.
    pub would_lose: Losses,
}

/// Things that would be gone.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Losses {
    /// The node's own address.
    pub identity: bool,
    /// Shares; their links stop working for good.
    pub shares: u32,
    /// Fetches; what they have on the disk stays.
    pub fetches: u32,
    /// Nodes that are trusted or blocked.
    pub trusted: u32,
    /// Mirrors.
    pub mirrors: u32,
    /// Letters, sent and received.
    pub letters: u32,
}

impl Losses {
    /// Whether nothing would be missed.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for Losses {
    /// `2 shares, 1 fetch`; `nothing`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut first = true;
        let mut list = |f: &mut fmt::Formatter<'_>, words: fmt::Arguments<'_>| {
            let comma = if std::mem::take(&mut first) { "" } else { ", " };
            write!(f, "{comma}{words}")
        };
        if self.identity {
            list(f, format_args!("its address"))?;
        }
        for (count, one, many) in [
            (self.shares, "share", "shares"),
            (self.fetches, "fetch", "fetches"),
            (self.trusted, "trusted node", "trusted nodes"),
            (self.mirrors, "mirror", "mirrors"),
            (self.letters, "letter", "letters"),
        ] {
            if count > 0 {
                list(f, format_args!("{count} {}", if count == 1 { one } else { many }))?;
            }
        }
        if first { f.write_str("nothing") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_read_as_a_list() {
        assert_eq!(Losses::default().to_string(), "nothing");
        let some = Losses { identity: true, shares: 2, letters: 1, ..Losses::default() };
        assert_eq!(some.to_string(), "its address, 2 shares, 1 letter");
        assert!(!some.is_empty() && Losses::default().is_empty());
    }
}
