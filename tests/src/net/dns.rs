//! The resolver that the exits ask. It knows a handful of names and nothing of the world.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::thread::JoinHandle;

use crate::alias::BESIDE;

/// Answers until dropped: A of `*.local.test` is 127.0.0.1, of `*.beside.test` [`BESIDE`], and of any other name 192.0.2.1, AAAA is `2001:db8::1`,
/// PTR is `host.test`, and `nx.test` does not exist.
#[derive(Debug)]
pub(super) struct Dns {
    address: SocketAddr,
    thread: Option<JoinHandle<()>>,
}

impl Dns {
    pub(super) fn start(address: Ipv4Addr, port: u16) -> io::Result<Self> {
        let socket = UdpSocket::bind((address, port))?;
        let address = socket.local_addr()?;
        let thread = std::thread::Builder::new().name("dns".to_owned()).spawn(move || serve(&socket))?;
        Ok(Self { address, thread: Some(thread) })
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        // An empty datagram is the word to stop.
        let stop =
            UdpSocket::bind((self.address.ip(), 0)).and_then(|socket| socket.send_to(&[], self.address));
        if let (Ok(_), Some(thread)) = (stop, self.thread.take()) {
            let _ = thread.join();
        }
    }
}

fn serve(socket: &UdpSocket) {
    let mut buffer = [0; 2048];
    while let Ok((length, from)) = socket.recv_from(&mut buffer) {
        if length == 0 {
            return;
        }
        if let Some(reply) = buffer.get(..length).and_then(answer) {
            let _ = socket.send_to(&reply, from);
        }
    }
}

/// The reply to one query (RFC 1035 section 4.1), or `None` if it is no query.
fn answer(query: &[u8]) -> Option<Vec<u8>> {
    let id = query.get(..2)?;
    let mut at = 12;
    let mut labels = Vec::new();
    loop {
        let length = usize::from(*query.get(at)?);
        if length == 0 {
            break;
        }
        let label = query.get(at + 1..at + 1 + length)?;
        labels.push(String::from_utf8_lossy(label).to_lowercase());
        at += 1 + length;
    }
    let question = query.get(12..at + 5)?;
    let kind = u16::from_be_bytes([*query.get(at + 1)?, *query.get(at + 2)?]);
    let name = labels.join(".");
    let missing = name == "nx.test";
    let data: &[u8] = match kind {
        _ if missing => &[],
        1 if name.ends_with("local.test") => &[127, 0, 0, 1],
        1 if name.ends_with("beside.test") => &BESIDE.octets(),
        1 => &[192, 0, 2, 1],
        28 => &[0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
        12 => b"\x04host\x04test\x00",
        _ => &[],
    };
    let mut reply = id.to_vec();
    reply.extend([0x85, if missing { 0x83 } else { 0x80 }]);
    reply.extend([0, 1, 0, u8::from(!data.is_empty()), 0, 0, 0, 0]);
    reply.extend(question);
    if !data.is_empty() {
        reply.extend([0xc0, 12]);
        reply.extend(kind.to_be_bytes());
        reply.extend([0, 1, 0, 0, 0, 60]);
        reply.extend(u16::try_from(data.len()).ok()?.to_be_bytes());
        reply.extend(data);
    }
    Some(reply)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(name: &str, kind: u8) -> Option<Vec<u8>> {
        let mut query = vec![7, 9, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in name.split('.') {
            query.push(u8::try_from(label.len()).unwrap());
            query.extend(label.bytes());
        }
        query.extend([0, 0, kind, 0, 1]);
        answer(&query)
    }

    #[test]
    fn local_names_are_loopback_and_others_are_not() {
        assert!(ask("www.local.test", 1).unwrap().ends_with(&[127, 0, 0, 1]));
        assert!(ask("example.test", 1).unwrap().ends_with(&[192, 0, 2, 1]));
    }

    #[test]
    fn a_missing_name_is_said_to_be_missing() {
        let reply = ask("nx.test", 1).unwrap();
        assert_eq!(reply[3] & 15, 3);
        assert_eq!(reply[7], 0);
    }

    #[test]
    fn half_a_query_gets_no_answer() {
        assert_eq!(answer(&[0; 11]), None);
        assert_eq!(answer(&[1, 2, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 63, b'x']), None);
    }
}
