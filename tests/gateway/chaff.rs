//! The places of chaff: they take connections, and hear what comes first.

use std::io::{self, Read};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// Longest that one request may be in coming: six times the mean pause, and a circuit.
const LIMIT: Duration = Duration::from_mins(2);

/// Bytes that chaff counts for each request beside its body.
const FLAT: usize = 8 * 1024;

/// One that only listens: nobody vouches for a server of a test, so the client hangs up where a handshake would have gone on.
pub(super) struct Place {
    port: u16,
    heard: Receiver<Vec<u8>>,
}

impl Place {
    pub(super) fn open() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let (tell, heard) = channel();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let tell = tell.clone();
                std::thread::spawn(move || {
                    // A TLS record says how long it is (RFC 8446, section 5.1).
                    let mut head = [0; 5];
                    stream.read_exact(&mut head)?;
                    let mut record = vec![0; usize::from(u16::from_be_bytes([head[3], head[4]]))];
                    stream.read_exact(&mut record)?;
                    tell.send([&head[..], &record].concat()).map_err(io::Error::other)
                });
            }
        });
        Ok(Self { port, heard })
    }

    pub(super) fn url(&self) -> String {
        format!("https://www.local.test:{}/robots.txt", self.port)
    }
}

/// A request comes by itself: TLS to the place that was named, in as few bytes as chaff counts for it.
pub(super) fn scene(place: &Place) {
    let hello = place.heard.recv_timeout(LIMIT).unwrap();
    assert_eq!(&hello[..2], [22, 3], "a handshake");
    let name = b"www.local.test";
    assert!(hello.windows(name.len()).any(|part| part == name), "for that place");
    assert!(hello.len() < FLAT, "{}", hello.len());
}
