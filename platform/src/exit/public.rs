//! Which addresses and names can be those of hosts on the public internet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Name;

/// Whether an address can belong to a host of the public internet.
pub(crate) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// The same for IPv4 (IANA IPv4 Special-Purpose Address Registry).
#[allow(clippy::unnested_or_patterns, reason = "one network a line")]
pub(crate) fn is_public_v4(address: Ipv4Addr) -> bool {
    !matches!(
        address.octets(),
        [0 | 10 | 127, ..]
            | [100, 64..=127, ..]
            | [169, 254, ..]
            | [172, 16..=31, ..]
            | [192, 0, 0 | 2, _]
            | [192, 88, 99, _]
            | [192, 168, ..]
            | [198, 18 | 19, ..]
            | [198, 51, 100, _]
            | [203, 0, 113, _]
            | [224..=255, ..]
    )
}

/// The same for IPv6 (IANA IPv6 Special-Purpose Address Registry). Of what is public, nothing that carries an IPv4 address
/// in it (NAT64, 6to4, Teredo): it would be asked for under another name.
#[allow(clippy::unnested_or_patterns, reason = "one network a pattern")]
pub(crate) fn is_public_v6(address: Ipv6Addr) -> bool {
    match address.segments() {
        // Teredo and other protocols' own, documentation, 6to4, documentation again, segment routing; ISATAP, which is an
        // IPv4 address behind a mark.
        [0x2001, 0..=0x01ff, ..]
        | [0x2001, 0x0db8, ..]
        | [0x2002, ..]
        | [0x3fff, ..]
        | [0x5f00, ..]
        | [_, _, _, _, 0 | 0x0200, 0x5efe, ..] => false,
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

/// Whether a name stands for the machine that looks it up (RFC 6761, section 6.3), which would be the exit.
pub(crate) fn is_loopback(name: &Name) -> bool {
    name.as_str().rsplit('.').next() == Some("localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_exit_should_be_asked_for() {
        let private = "100.64.0.1 198.18.0.1 224.0.0.1 240.0.0.1 10.0.0.1 127.0.0.1 ::1 fe80::1 fd00::1 ff02::1 \
                       ::ffff:10.0.0.1 2001:db8::1";
        for private in private.split(' ') {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
        for public in ["8.8.8.8", "100.128.0.1", "198.20.0.1", "2606:4700::1111"] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
    }

    #[test]
    fn names_of_the_machine_that_asks() {
        let loopback = |name: &str| is_loopback(&name.parse().unwrap());
        assert!(loopback("localhost") && loopback("printer.LOCALHOST."));
        assert!(!loopback("localhost.example.com") && !loopback("mylocalhost"));
    }
}
