//! The addresses that a message leads to (RFC 1035, section 3.4.1; RFC 3596; RFC 9460, section 7.3).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{HEADER, Record, name_end, records, u16_at};

const A: u16 = 1;
const AAAA: u16 = 28;
const SVCB: u16 = 64;
const HTTPS: u16 = 65;

/// The parameters of SVCB and HTTPS that hold addresses (RFC 9460, section 14.3.2).
const IPV4_HINT: u16 = 4;
const IPV6_HINT: u16 = 6;

/// Whether an answer leads into a house: to an address that means another machine wherever it is read, this one's or a neighbour's.
/// What cannot be read leads nowhere.
pub(in crate::proxy::dns) fn leads_inward(bytes: &[u8]) -> bool {
    let start = name_end(bytes, HEADER, false).and_then(|end| end.checked_add(4));
    let records = start.and_then(|start| records(bytes, start)).unwrap_or_default();
    records.iter().any(|record| addresses(record, bytes).into_iter().any(is_inward))
}

/// The addresses in a record.
fn addresses(record: &Record, bytes: &[u8]) -> Vec<IpAddr> {
    let data = bytes.get(record.data..record.end).unwrap_or_default();
    match record.kind {
        A => v4(data),
        AAAA => v6(data),
        SVCB | HTTPS => hints(data).unwrap_or_default(),
        _ => Vec::new(),
    }
}

/// What the parameters of SVCB and HTTPS name. They come after a priority and a name, each with its number and its length.
fn hints(data: &[u8]) -> Option<Vec<IpAddr>> {
    let mut rest = data.get(name_end(data, 2, false)?..)?;
    let mut found = Vec::new();
    while let Some((key, length)) = u16_at(rest, 0).zip(u16_at(rest, 2)) {
        let (value, more) = rest.get(4..)?.split_at_checked(usize::from(length))?;
        match key {
            IPV4_HINT => found.extend(v4(value)),
            IPV6_HINT => found.extend(v6(value)),
            _ => {}
        }
        rest = more;
    }
    Some(found)
}

fn v4(data: &[u8]) -> Vec<IpAddr> {
    let (all, _) = data.as_chunks::<4>();
    all.iter().map(|octets| Ipv4Addr::from(*octets).into()).collect()
}

fn v6(data: &[u8]) -> Vec<IpAddr> {
    let (all, _) = data.as_chunks::<16>();
    all.iter().map(|octets| Ipv6Addr::from(*octets).into()).collect()
}

/// The networks of C tor's `ClientDNSRejectInternalAddresses`, and what else carries one of them. Documentation's are none: they
/// lead nowhere.
pub(super) fn is_inward(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(ip) => is_inward_v4(ip),
        IpAddr::V6(ip) => is_inward_v6(ip),
    }
}

#[allow(clippy::unnested_or_patterns, reason = "one network a line")]
const fn is_inward_v4(address: Ipv4Addr) -> bool {
    matches!(
        address.octets(),
        [0 | 10 | 127, ..]
            | [100, 64..=127, ..]
            | [169, 254, ..]
            | [172, 16..=31, ..]
            | [192, 168, ..]
            | [255, 255, 255, 255]
    )
}

fn is_inward_v6(address: Ipv6Addr) -> bool {
    let embedded = |high: u16, low: u16| {
        let [[a, b], [c, d]] = [high, low].map(u16::to_be_bytes);
        is_inward_v4(Ipv4Addr::new(a, b, c, d))
    };
    match address.segments() {
        // Unspecified, loopback; IPv4 in IPv6's notation, by translation (RFC 6052), and by 6to4.
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => embedded(high, low),
        // Translation within a house (RFC 8215).
        [0x64, 0xff9b, 1, ..] => true,
        // Unique local, link-local, and the site-local of before.
        [first, ..] => first & 0xfe00 == 0xfc00 || first & 0xff80 == 0xfe80,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leads_into_a_house_is_told_from_the_rest() {
        let inward = "0.0.0.0 10.1.2.3 100.64.0.1 100.127.255.255 127.0.0.1 127.9.9.9 169.254.169.254 172.16.0.1 \
                       172.31.255.255 192.168.1.1 255.255.255.255 :: ::1 fc00::1 fdff::1 fe80::1 febf::1 fec0::1 \
                       ::ffff:192.168.1.1 ::ffff:127.0.0.1 ::10.0.0.1 64:ff9b::a00:1 64:ff9b:1::8.8.8.8 \
                       2002:c0a8:101::1";
        for inward in inward.split_whitespace() {
            assert!(is_inward(inward.parse().unwrap()), "{inward}");
        }
        let outward = "1.1.1.1 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.0.0.1 128.0.0.1 \
                       172.15.255.255 172.32.0.0 192.0.2.7 192.167.0.1 198.51.100.1 255.255.255.254 2001:db8::7 \
                       2606:4700::1111 ::ffff:1.1.1.1 64:ff9b::808:808 2002:808:808::1 fb00::1 fe7f::1 ff02::1";
        for outward in outward.split_whitespace() {
            assert!(!is_inward(outward.parse().unwrap()), "{outward}");
        }
    }

    #[test]
    fn hints_are_read_and_what_is_cut_off_is_none() {
        let mut data = vec![0, 1, 1, b'a', 0];
        data.extend([0, 1, 0, 3, 2, b'h', b'2']);
        data.extend([0, 4, 0, 8, 192, 0, 2, 1, 192, 168, 0, 1]);
        data.extend([0, 6, 0, 16]);
        data.extend(Ipv6Addr::LOCALHOST.octets());
        let all: Vec<IpAddr> =
            ["192.0.2.1", "192.168.0.1", "::1"].iter().map(|text| text.parse().unwrap()).collect();
        assert_eq!(hints(&data), Some(all));
        for at in 0..data.len() {
            let _ = hints(&data[..at]);
        }
        assert_eq!(hints(&[0, 1, 0]), Some(Vec::new()));
        assert_eq!(hints(&data[..data.len() - 1]), None);
    }
}
