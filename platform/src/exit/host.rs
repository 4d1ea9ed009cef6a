//! What a target is called: a name, an address, or an onion service.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use crate::net::Address;
use crate::net::address::onion_key;

/// Characters of a name at most (RFC 1035, section 2.3.4, as text).
const MAX_NAME: usize = 253;

/// Characters between two dots at most.
const MAX_LABEL: usize = 63;

/// Where to. `Debug` hides it, because logs use that; `Display` writes it whole.
#[derive(Clone, Eq, Hash, PartialEq)]
pub enum Host {
    /// A name that the exit looks up.
    Name(Name),
    /// An address.
    Ip(IpAddr),
    /// An onion service, whatever stands before its name.
    Onion(Onion),
}

/// A host name in lower case without a dot at its end. Never an address in digits, never an onion name.
#[derive(Clone, Eq, Hash, PartialEq)]
pub struct Name(String);

/// The public key of an onion service.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct Onion(pub [u8; 32]);

/// The text is no host. Does not repeat it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadHost {
    /// Neither an address nor a name.
    #[error("that is no host name; check its spelling")]
    Name,
    /// It ends in `.onion` and is no version 3 address.
    #[error("the onion address is not valid; copy it again")]
    Onion,
}

impl Host {
    /// The bytes by which two hosts differ, for isolation.
    pub fn distinct(&self) -> Vec<u8> {
        self.to_string().into_bytes()
    }
}

impl Name {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Onion {
    /// Where it listens.
    pub const fn address(self, port: u16) -> Address {
        Address { key: self.0, port }
    }
}

impl FromStr for Name {
    type Err = BadHost;

    fn from_str(text: &str) -> Result<Self, BadHost> {
        match text.parse()? {
            Host::Name(name) => Ok(name),
            Host::Ip(_) | Host::Onion(_) => Err(BadHost::Name),
        }
    }
}

impl FromStr for Host {
    type Err = BadHost;

    /// Takes addresses with and without brackets. Letters of names become small; a dot at the end goes.
    fn from_str(text: &str) -> Result<Self, BadHost> {
        let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
        if let Some(inner) = bare {
            return inner.parse::<Ipv6Addr>().map(|ip| Self::Ip(ip.into())).map_err(|_| BadHost::Name);
        }
        if let Ok(ip) = text.parse::<IpAddr>() {
            return Ok(Self::Ip(ip));
        }
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        let label = |label: &str| {
            (1..=MAX_LABEL).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        };
        if name.len() > MAX_NAME || !name.split('.').all(label) {
            return Err(BadHost::Name);
        }
        match name.strip_suffix(".onion") {
            None if name == "onion" => Err(BadHost::Onion),
            None => Ok(Self::Name(Name(name))),
            Some(front) => {
                let key = front.rsplit('.').next().unwrap_or_default();
                onion_key(&format!("{key}.onion"))
                    .map(|key| Self::Onion(Onion(key)))
                    .map_err(|_| BadHost::Onion)
            }
        }
    }
}

impl From<IpAddr> for Host {
    fn from(ip: IpAddr) -> Self {
        Self::Ip(ip)
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(&name.0),
            Self::Ip(ip) => write!(f, "{ip}"),
            Self::Onion(onion) => f.write_str(&onion.address(1).host()),
        }
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name(_) => "Name(hidden)",
            Self::Ip(IpAddr::V4(_)) => "Ipv4(hidden)",
            Self::Ip(IpAddr::V6(_)) => "Ipv6(hidden)",
            Self::Onion(_) => "Onion(hidden)",
        })
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Name(hidden)")
    }
}

impl fmt::Debug for Onion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Onion(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The Tor Project's own site, whose address is as public as they come.
    const SITE: &str = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion";

    fn host(text: &str) -> Result<Host, BadHost> {
        text.parse()
    }

    #[test]
    fn kinds_are_told_apart() {
        assert_eq!(host("Example.COM.").unwrap().to_string(), "example.com");
        assert!(matches!(host("_dmarc.example.com"), Ok(Host::Name(_))));
        assert_eq!(host("192.0.2.1"), Ok(Host::Ip([192, 0, 2, 1].into())));
        assert_eq!(host("[2001:db8::1]"), host("2001:db8::1"));
        assert_eq!(host(SITE).unwrap().to_string(), SITE);
        assert_eq!(host(&format!("www.{}", SITE.to_uppercase())), host(SITE));
    }

    #[test]
    fn what_is_no_host_is_refused() {
        let long = "a".repeat(64);
        for text in ["", ".", "a..b", "a b", "a/b", "a:b", "ä.de", "[1.2.3.4]", "[::1", "a\0b", &long] {
            assert_eq!(host(text), Err(BadHost::Name), "{text:?}");
        }
        assert_eq!(host(&format!("{}a", "a.".repeat(127))), Err(BadHost::Name));
        for text in ["onion", "a.onion", &format!("x{}", &SITE[1..])] {
            assert_eq!(host(text), Err(BadHost::Onion), "{text:?}");
        }
        assert_eq!("192.0.2.1".parse::<Name>(), Err(BadHost::Name));
        assert_eq!(SITE.parse::<Name>(), Err(BadHost::Name));
    }

    #[test]
    fn debug_hides_them() {
        for text in ["example.com", "192.0.2.1", "2001:db8::1", SITE] {
            assert!(format!("{:?}", host(text)).contains("hidden"));
        }
    }
}
