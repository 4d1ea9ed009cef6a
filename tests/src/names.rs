//! A resolver that answers over TCP: what the node's own DNS proxy asks through Tor.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

/// Answers questions of any name: one record of each type in [`TYPES`], a long TXT for `big.test`, and "no such name"
/// for `nx.test`. Ends when dropped.
#[derive(Debug)]
pub struct Names {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    over: AtomicBool,
    connections: AtomicU64,
    questions: AtomicU64,
}

/// Types, their numbers, the bytes of a record, and what `dig +short` prints of it.
pub const TYPES: [(&str, u16, &[u8], &str); 12] = [
    ("A", 1, &[192, 0, 2, 7], "192.0.2.7"),
    ("AAAA", 28, &[0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7], "2001:db8::7"),
    ("NS", 2, b"\x02ns\x04test\0", "ns.test."),
    ("CNAME", 5, b"\x05other\x04test\0", "other.test."),
    ("PTR", 12, b"\x04host\x04test\0", "host.test."),
    ("MX", 15, b"\0\x0A\x04mail\x04test\0", "10 mail.test."),
    ("TXT", 16, b"\x05hello", "\"hello\""),
    ("SRV", 33, b"\0\x01\0\x02\0\x50\x03srv\x04test\0", "1 2 80 srv.test."),
    ("CAA", 257, b"\0\x05issueca.test", "0 issue \"ca.test\""),
    ("SSHFP", 44, b"\x04\x01abcdefghijklmnopqrst", "4 1 6162636465666768696A6B6C6D6E6F7071727374"),
    ("TLSA", 52, b"\x03\x01\x00\xAB\xCD", "3 1 0 ABCD"),
    ("SOA", 6, SOA, "ns.test. me.test. 1 2 3 4 60"),
];

const SOA: &[u8] = b"\x02ns\x04test\0\x02me\x04test\0\0\0\0\x01\0\0\0\x02\0\0\0\x03\0\0\0\x04\0\0\0\x3C";

/// Bytes of text of `big.test`, in strings of 250.
const BIG: usize = 3000;

impl Names {
    /// Starts it on a port of its own.
    pub fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let shared = Arc::<Shared>::default();
        let all = Arc::clone(&shared);
        thread::Builder::new().name("names".into()).spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if all.over.load(Ordering::Acquire) {
                    return;
                }
                all.connections.fetch_add(1, Ordering::Relaxed);
                let one = Arc::clone(&all);
                // A client that breaks off is its own affair.
                let _ = thread::Builder::new().spawn(move || serve(stream, &one));
            }
        })?;
        Ok(Self { port, shared })
    }

    /// As the node's configuration names it.
    #[must_use]
    pub fn target(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Connections and questions so far.
    #[must_use]
    pub fn seen(&self) -> (u64, u64) {
        (self.shared.connections.load(Ordering::Relaxed), self.shared.questions.load(Ordering::Relaxed))
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Release);
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)); // wakes the listener
    }
}

fn serve(mut stream: TcpStream, shared: &Shared) -> io::Result<()> {
    // As resolvers do: else each answer waits for the acknowledgement of the one before.
    stream.set_nodelay(true)?;
    loop {
        let mut length = [0; 2];
        stream.read_exact(&mut length)?;
        let mut question = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut question)?;
        shared.questions.fetch_add(1, Ordering::Relaxed);
        let Some(answer) = answer(&question) else { return Ok(()) };
        let mut framed = u16::try_from(answer.len()).unwrap_or(0).to_be_bytes().to_vec();
        framed.extend(answer);
        stream.write_all(&framed)?;
    }
}

/// The reply to one question (RFC 1035, section 4.1), or `None` if it is none.
fn answer(question: &[u8]) -> Option<Vec<u8>> {
    let (mut at, mut labels) = (12, Vec::new());
    while let length @ 1.. = usize::from(*question.get(at)?) {
        labels.push(String::from_utf8_lossy(question.get(at + 1..at + 1 + length)?).to_lowercase());
        at += 1 + length;
    }
    let kind = u16::from_be_bytes([*question.get(at + 1)?, *question.get(at + 2)?]);
    let name = labels.join(".");
    let missing = name == "nx.test";
    let data = match kind {
        _ if missing => None,
        16 if name == "big.test" => Some([&[250][..], &[b'x'; 250]].concat().repeat(BIG / 250)),
        _ => TYPES.iter().find(|(_, number, ..)| *number == kind).map(|(_, _, data, _)| data.to_vec()),
    };
    let mut reply = question.get(..2)?.to_vec();
    reply.extend([0x81, if missing { 0x83 } else { 0x80 }]);
    reply.extend([0, 1, 0, u8::from(data.is_some()), 0, u8::from(data.is_none()), 0, 1]);
    reply.extend(question.get(12..at + 5)?);
    let (kind, data) = data.map_or((6, SOA.to_vec()), |data| (kind, data));
    reply.extend([0xC0, 12]);
    reply.extend(kind.to_be_bytes());
    reply.extend([0, 1, 0, 0, 0, 60]);
    reply.extend(u16::try_from(data.len()).ok()?.to_be_bytes());
    reply.extend(data);
    reply.extend([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
    Some(reply)
}
