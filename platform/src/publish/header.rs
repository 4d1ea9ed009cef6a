//! The PROXY protocol (haproxy, `doc/proxy-protocol.txt`): what a backend is told of whoever it speaks to.
//!
//! Nobody's address is known, so each circuit gets one of C tor's making (tor, `export_hs_client_circuit_id`): the
//! number of the circuit within `fc00:dead:beef:4dad::/64`. Backends can tell circuits apart by it, and nothing else.

use std::net::Ipv6Addr;

use crate::config::publish::ProxyProtocol;

/// What version 2 begins with, and its command (2, PROXY) and family (TCP over IPv6).
const SIGNATURE: [u8; 14] = *b"\r\n\r\n\0\r\nQUIT\n\x21\x21";

/// Bytes after the length in version 2: two addresses and two ports.
const ADDRESSES: u16 = 36;

/// The made-up source port: the highest, as C tor has it for circuits below 2^32.
const SOURCE_PORT: u16 = 65_535;

/// What to send a backend first.
pub(super) fn header(kind: ProxyProtocol, circuit: u32, port: u16) -> Vec<u8> {
    let [high, low] = [circuit >> 16, circuit & 0xffff].map(|half| u16::try_from(half).unwrap_or_default());
    let source = Ipv6Addr::new(0xfc00, 0xdead, 0xbeef, 0x4dad, 0, 0, high, low);
    match kind {
        ProxyProtocol::Off => Vec::new(),
        ProxyProtocol::V1 => format!("PROXY TCP6 {source} ::1 {SOURCE_PORT} {port}\r\n").into_bytes(),
        ProxyProtocol::V2 => {
            let mut bytes = SIGNATURE.to_vec();
            bytes.extend(ADDRESSES.to_be_bytes());
            bytes.extend(source.octets());
            bytes.extend(Ipv6Addr::LOCALHOST.octets());
            bytes.extend(SOURCE_PORT.to_be_bytes());
            bytes.extend(port.to_be_bytes());
            bytes
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_1_is_c_tors_line() {
        assert_eq!(
            header(ProxyProtocol::V1, 0x0001_0002, 80),
            b"PROXY TCP6 fc00:dead:beef:4dad::1:2 ::1 65535 80\r\n"
        );
        assert!(header(ProxyProtocol::Off, 1, 80).is_empty());
    }

    #[test]
    fn version_2_has_its_length() {
        let bytes = header(ProxyProtocol::V2, 7, 443);
        assert_eq!(bytes.len(), 52);
        assert_eq!(&bytes[..16], b"\r\n\r\n\0\r\nQUIT\n\x21\x21\x00\x24");
        assert_eq!(&bytes[48..], [255, 255, 1, 187]);
    }
}
