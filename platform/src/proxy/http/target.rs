//! Where a caller wants to go, and whether the gateway leads there.
//!
//! Names are looked up by the exit, so what they resolve to cannot be known here; exits refuse private addresses
//! themselves. What can be known here is refused here: private addresses in every notation, names that stand for this
//! machine or its network by convention or by construction, and ports that belong to other protocols than the caller's.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

use crate::exit::public::{is_public_v4, is_public_v6};

/// Bytes of a URL at most.
const MAX_URL: usize = 8 * 1024;

/// Ports that no web request may go to: other protocols live there, which could be fed with a request's text
/// (WHATWG Fetch, section 2.9, "port blocking").
const FOREIGN_PORTS: [u16; 83] = [
    0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103,
    104, 109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514,
    515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723,
    2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
];

/// Names that stand for this machine or its network, with everything below them (RFC 6761, RFC 6762, RFC 8375, RFC 9476
/// and custom).
const HOUSE_NAMES: [&str; 18] = [
    "localhost",
    "localdomain",
    "local",
    "internal",
    "intranet",
    "private",
    "corp",
    "home",
    "lan",
    "home.arpa",
    "arpa",
    "test",
    "invalid",
    "example",
    "alt",
    "exit",
    "kubernetes",
    "docker",
];

/// Public names whose only use is to resolve to a private address, or to the one written in them.
const POINTING_NAMES: [&str; 12] = [
    "nip.io",
    "sslip.io",
    "xip.io",
    "localtest.me",
    "lvh.me",
    "lacolhost.com",
    "vcap.me",
    "yoogle.com",
    "traefik.me",
    "backname.io",
    "1u.ms",
    "rbndr.us",
];

/// Why the gateway does not lead there. The text goes to the caller, who knows the target.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum BadTarget {
    /// No URL, or one with letters that belong in none.
    #[error("url is no URL; write it whole, https://…, and encode it as a query parameter")]
    Url,
    /// Something else than http and https.
    #[error("only http:// and https:// lead anywhere here")]
    Scheme,
    /// A name and password in front of the host.
    #[error("put the password into an Authorization header instead of the URL")]
    Userinfo,
    /// A port of another protocol.
    #[error("that port belongs to another protocol; web requests cannot go there")]
    Port,
    /// A private address, or a name for one.
    #[error("that is an address or a name of a private network; Tor leads to public ones only")]
    Private,
    /// Longer than anybody needs.
    #[error("url is over 8 KiB; send the rest as the body of a POST")]
    Long,
}

/// The `url` of `/proxy?url=`, already decoded once.
pub(super) fn of_url(text: &str, allow_private: bool) -> Result<Url, BadTarget> {
    if text.len() > MAX_URL {
        return Err(BadTarget::Long);
    }
    // The parser would drop some of these in silence, and what was checked must be what is asked for.
    if text.chars().any(|letter| letter.is_control() || letter.is_whitespace() || letter == '\\') {
        return Err(BadTarget::Url);
    }
    let scheme = text.split_once("://").ok_or(BadTarget::Url)?.0;
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return Err(BadTarget::Scheme);
    }
    let url = Url::parse(text).map_err(|_| BadTarget::Url)?;
    let authority = text.get(scheme.len().saturating_add(3)..).unwrap_or_default();
    if authority.split(['/', '?', '#']).next().unwrap_or_default().contains('@') {
        return Err(BadTarget::Userinfo);
    }
    let port = url.port_or_known_default().ok_or(BadTarget::Port)?;
    let host = url.host().ok_or(BadTarget::Url)?;
    check(&host, allow_private)?;
    if FOREIGN_PORTS.contains(&port) {
        return Err(BadTarget::Port);
    }
    Ok(url)
}

/// The `host:port` of CONNECT (RFC 9110 section 9.3.6). What a tunnel carries is between its ends, so any port goes but
/// that of mail, which no exit carries.
pub(super) fn of_authority(text: &str, allow_private: bool) -> Result<(String, u16), BadTarget> {
    if text.contains('@') {
        return Err(BadTarget::Userinfo);
    }
    let (host, port) = text.rsplit_once(':').ok_or(BadTarget::Url)?;
    if !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(BadTarget::Port);
    }
    let port: u16 = port.parse().map_err(|_| BadTarget::Port)?;
    let host = Host::parse(host).map_err(|_| BadTarget::Url)?;
    check(&host, allow_private)?;
    if matches!(port, 0 | 25) {
        return Err(BadTarget::Port);
    }
    Ok((host.to_string(), port))
}

fn check<S: AsRef<str>>(host: &Host<S>, allow_private: bool) -> Result<(), BadTarget> {
    let public = match host {
        Host::Ipv4(address) => is_public_v4(*address),
        Host::Ipv6(address) => is_public_v6(*address),
        Host::Domain(name) => is_public_name(name.as_ref())?,
    };
    // 0.0.0.0 and [::] are no addresses at all, but other spellings of loopback.
    let nowhere = matches!(host, Host::Ipv4(Ipv4Addr::UNSPECIFIED) | Host::Ipv6(Ipv6Addr::UNSPECIFIED));
    if (public || allow_private) && !nowhere { Ok(()) } else { Err(BadTarget::Private) }
}

/// Whether a name is one of the public name system, as far as the name itself tells.
fn is_public_name(name: &str) -> Result<bool, BadTarget> {
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    let parsed: crate::exit::Host = name.parse().map_err(|_| BadTarget::Url)?;
    match parsed {
        crate::exit::Host::Onion(_) => return Ok(true),
        crate::exit::Host::Ip(IpAddr::V4(address)) => return Ok(is_public_v4(address)),
        crate::exit::Host::Ip(IpAddr::V6(address)) => return Ok(is_public_v6(address)),
        crate::exit::Host::Name(_) => {}
    }
    let below = |parent: &&str| {
        name.strip_suffix(*parent).is_some_and(|front| front.is_empty() || front.ends_with('.'))
    };
    let last = name.rsplit('.').next().unwrap_or_default();
    // A resolver may read a number at the end as an address; no top-level domain is one.
    let number = last.bytes().all(|byte| byte.is_ascii_digit()) || last.starts_with("0x");
    let known = HOUSE_NAMES.iter().chain(&POINTING_NAMES).any(below);
    Ok(name.contains('.') && !number && !known)
}

#[cfg(test)]
pub(super) mod tests;
