//! Addresses: an ed25519 public key and a port, written as Tor's version 3 onion addresses (rend-spec-v3, section 6).
//!
//! All networks use this form, so that a link means the same everywhere.

use std::fmt;
use std::str::FromStr;

use super::tor::onion;

/// The key in `<56 characters>.onion`, once version and checksum match.
pub fn onion_key(host: &str) -> Result<[u8; 32], BadAddress> {
    onion::decode(host)
}

/// Where a service is reached.
///
/// `Display` writes it whole, for links and for the owner; `Debug` hides it, because logs use that.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct Address {
    /// ed25519 public key of the service.
    pub key: [u8; 32],
    /// Virtual port.
    pub port: u16,
}

/// The text is no address. Does not repeat it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadAddress {
    /// Not `<56 characters>.onion:<port>`.
    #[error("not an onion address with a port; it looks like 56 letters and digits, then .onion:80")]
    Form,
    /// The port is missing, zero or over 65535.
    #[error("the port of the address is not a number from 1 to 65535")]
    Port,
    /// A wrong character somewhere.
    #[error("the onion address has a typing error: its checksum does not match; copy it again")]
    Checksum,
    /// Not version 3.
    #[error("the onion address is of another version than 3; only version 3 works")]
    Version,
}

impl Address {
    /// Reads a node's own address as people give it: with or without `http://`, port and slash at the end.
    pub fn of_node(text: &str) -> Result<Self, BadAddress> {
        let text = text.trim();
        let text = text.strip_prefix("http://").unwrap_or(text);
        let text = text.strip_suffix('/').unwrap_or(text);
        if text.contains(':') { text.parse() } else { format!("{text}:{}", crate::node::PORT).parse() }
    }

    /// The address without its port: `<56 characters>.onion`.
    pub fn host(&self) -> String {
        onion::encode(&self.key)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host(), self.port)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Address(hidden)")
    }
}

impl FromStr for Address {
    type Err = BadAddress;

    /// Accepts upper case, as browsers do. Verifies checksum and version.
    fn from_str(text: &str) -> Result<Self, BadAddress> {
        let (host, port) = text.rsplit_once(':').ok_or(BadAddress::Form)?;
        let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        let port: u16 = if digits { port.parse().unwrap_or(0) } else { 0 };
        let key = onion::decode(host)?;
        if port == 0 { Err(BadAddress::Port) } else { Ok(Self { key, port }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The Tor Project's own site, whose address is as public as they come.
    const SITE: &str = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion";

    #[test]
    fn a_known_address_survives_the_round_trip() {
        let address: Address = format!("{SITE}:80").parse().unwrap();
        assert_eq!(address.port, 80);
        assert_eq!(address.host(), SITE);
        assert_eq!(address.to_string(), format!("{SITE}:80"));
        assert_eq!(format!("{}:80", SITE.to_uppercase()).parse(), Ok(address));
    }

    #[test]
    fn a_node_is_named_in_several_ways() {
        let address: Address = format!("{SITE}:80").parse().unwrap();
        for text in [SITE.to_owned(), format!(" http://{SITE}/ "), format!("{SITE}:80")] {
            assert_eq!(Address::of_node(&text), Ok(address), "{text}");
        }
        assert_eq!(Address::of_node("friend"), Err(BadAddress::Form));
    }

    #[test]
    fn any_key_survives_the_round_trip() {
        for byte in 0..=255 {
            let address = Address { key: [byte; 32], port: u16::from(byte) + 1 };
            assert_eq!(address.to_string().parse(), Ok(address));
        }
    }

    #[test]
    fn debug_hides_the_address() {
        let address: Address = format!("{SITE}:80").parse().unwrap();
        assert!(!format!("{address:?}").contains("2gzy"));
    }

    #[test]
    fn every_single_wrong_character_is_noticed() {
        for at in 0..56 {
            let mut text = SITE.as_bytes().to_vec();
            text[at] = if text[at] == b'a' { b'b' } else { b'a' };
            let text = format!("{}:80", String::from_utf8(text).unwrap());
            assert!(text.parse::<Address>().is_err(), "position {at}");
        }
    }

    #[test]
    fn wrong_forms_are_told_apart() {
        let parse = |text: &str| text.parse::<Address>().unwrap_err();
        assert_eq!(parse(SITE), BadAddress::Form);
        assert_eq!(parse(""), BadAddress::Form);
        assert_eq!(parse("example.com:80"), BadAddress::Form);
        assert_eq!(parse(&format!("www.{SITE}:80")), BadAddress::Form);
        assert_eq!(parse(&format!("{}é:80", &SITE[..54])), BadAddress::Form);
        for port in ["", "0", "65536", "+80", "-1", "80x"] {
            assert_eq!(parse(&format!("{SITE}:{port}")), BadAddress::Port, "{port:?}");
        }
        let mut flipped = SITE.as_bytes().to_vec();
        flipped[3] = b'a';
        assert_eq!(parse(&format!("{}:80", String::from_utf8(flipped).unwrap())), BadAddress::Checksum);
        // The last character holds the version: d is 3, c is 2.
        let other = format!("{}c.onion:80", &SITE[..55]);
        assert_eq!(parse(&other), BadAddress::Version);
    }
}
