//! Bridges: relays on no public list, by which a node enters Tor where the network around it blocks Tor.
//!
//! Only plain ones. A pluggable transport would be another program on the machine.

use std::net::SocketAddr;

use arti_client::config::BridgeConfigBuilder;
use tor_config::Reconfigure;

use super::{BadTorConfig, Tor, TorConfig};

/// Bridges at most; one or two are usual.
const MAX_BRIDGES: usize = 32;

impl Tor {
    /// Enters Tor by these bridges from now on, or by public relays if there are none. What was entered otherwise is used
    /// for nothing new.
    pub(in crate::net) fn set_bridges(&self, lines: &[String]) -> Result<(), BadTorConfig> {
        check(lines).map_err(BadTorConfig)?;
        let config = TorConfig { bridges: lines.to_vec(), ..self.0.config.clone() };
        let client = self.client().map_err(|why| BadTorConfig(why.to_string()))?;
        client
            .reconfigure(&config.to_arti()?, Reconfigure::AllOrNothing)
            .map_err(|why| BadTorConfig(format!("Tor did not take the bridges: {why}; restart the node")))?;
        self.0.steady.clear();
        self.note_bridges(lines);
        Ok(())
    }

    /// Tells the status, and whom we may talk to.
    pub(super) fn note_bridges(&self, lines: &[String]) {
        let addresses: Vec<_> = lines.iter().filter_map(|line| address(line)).collect();
        let count = u32::try_from(lines.len()).unwrap_or(u32::MAX);
        *self.0.bridges.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = addresses;
        self.0.status.send_modify(|status| status.bridges = count);
    }
}

/// What is wrong with bridge lines, each named by its number; nothing if all can be used.
pub fn check(lines: &[String]) -> Result<(), String> {
    if lines.len() > MAX_BRIDGES {
        return Err(format!("{MAX_BRIDGES} bridges are the limit; one or two are enough"));
    }
    let wrong = lines
        .iter()
        .zip(1..)
        .filter_map(|(line, number)| fault(line).map(|why| format!("bridge {number} cannot be used: {why}")));
    let wrong: Vec<String> = wrong.collect();
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
}

fn fault(line: &str) -> Option<String> {
    let words = words(line);
    let Some(first) = words.first() else { return Some("the line is empty".into()) };
    if first.parse::<SocketAddr>().is_err() {
        let name = first.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        return Some(if name && !first.is_empty() {
            format!(
                "it needs the transport {first}, which is another program; ask for a plain bridge, one that begins with an address"
            )
        } else {
            "it does not begin with an address and a port, such as 192.0.2.7:443".into()
        });
    }
    let built =
        line.parse::<BridgeConfigBuilder>().map_err(|_| ()).and_then(|bridge| bridge.build().map_err(|_| ()));
    built
        .is_err()
        .then(|| "after the address comes its fingerprint, 40 of the characters 0 to 9 and A to F".into())
}

fn words(line: &str) -> Vec<&str> {
    let mut words = line.split_ascii_whitespace().peekable();
    // As it stands in the configuration of other Tor programs.
    words.next_if(|word| word.eq_ignore_ascii_case("bridge"));
    words.collect()
}

fn address(line: &str) -> Option<SocketAddr> {
    words(line).first()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRINT: &str = "911F7C74212214823DDBDE3044B5B1AF3EFB98A0";

    #[test]
    fn bad_lines_are_named_with_what_to_do() {
        for line in [format!("192.0.2.7:443 {PRINT}"), format!("Bridge [2001:db8::1]:443 {PRINT}")] {
            assert_eq!(check(&[line]), Ok(()));
        }
        for (line, words) in [
            (String::new(), "empty"),
            (format!("obfs4 192.0.2.7:443 {PRINT} cert=x iat-mode=0"), "transport obfs4"),
            (format!("example.org:443 {PRINT}"), "address and a port"),
            (format!("192.0.2.7 {PRINT}"), "address and a port"),
            ("192.0.2.7:443".into(), "fingerprint"),
            ("192.0.2.7:443 xyz".into(), "fingerprint"),
        ] {
            let why = check(&[format!("192.0.2.7:443 {PRINT}"), line.clone()]).unwrap_err();
            assert!(why.starts_with("bridge 2") && why.contains(words), "{line:?}: {why}");
        }
        assert!(check(&vec![String::new(); MAX_BRIDGES + 1]).unwrap_err().contains("limit"));
        assert_eq!(address("Bridge 192.0.2.7:443 x"), Some("192.0.2.7:443".parse().unwrap()));
    }

    #[test]
    fn arti_takes_them() {
        let config = |bridges: &[String]| {
            TorConfig { bridges: bridges.to_vec(), ..TorConfig::new("/dev/shm/s", "/dev/shm/c") }
                .to_arti()
                .unwrap()
        };
        assert_ne!(config(&[format!("192.0.2.7:443 {PRINT}")]), config(&[]));
    }
}
