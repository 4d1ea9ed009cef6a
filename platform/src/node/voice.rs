//! Who is calling: nodes and browsers share one port, so that nothing tells ours from any web site's.

use std::time::Duration;

use crate::net::Stream;

/// Longest wait for the first byte: a round trip, on the slowest path.
const FIRST: Duration = Duration::from_secs(20);

/// What the first byte says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Voice {
    /// A frame: the first is short, so the first byte of its length is zero.
    Node,
    /// A request: HTTP's methods are capital letters (RFC 9110, section 9.1).
    Browser,
    /// Neither, or nothing in time.
    Noise,
}

/// Listens for the first byte, and leaves it there.
pub(crate) async fn hear(stream: &mut Stream) -> Voice {
    hear_within(FIRST, stream).await
}

async fn hear_within(limit: Duration, stream: &mut Stream) -> Voice {
    match tokio::time::timeout(limit, stream.peek()).await {
        Ok(Ok(Some(0))) => Voice::Node,
        Ok(Ok(Some(b'A'..=b'Z'))) => Voice::Browser,
        _ => Voice::Noise,
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::net::memory::Memory;
    use crate::net::{Circuit, Network, ServiceKey};

    #[tokio::test]
    async fn the_first_byte_tells_and_stays() {
        let network = Network::Memory(Memory::new());
        let key = ServiceKey::from_seed([7; 32]);
        let mut service = network.serve(&key, 80, None).await.unwrap();
        let circuit = Circuit { swarm: 0, lane: 0 };
        for (said, voice) in [
            (&b"\0\x63"[..], Voice::Node),
            (b"GET / HTTP/1.1", Voice::Browser),
            (b"\x01\x00", Voice::Noise),
            (b"get", Voice::Noise),
            (b"", Voice::Noise),
        ] {
            let mut caller = network.connect(service.address(), None, circuit).await.unwrap();
            caller.write_all(said).await.unwrap();
            let mut stream = service.accept().await.unwrap();
            assert_eq!(hear_within(Duration::from_millis(100), &mut stream).await, voice, "{said:?}");
            drop(caller);
            let mut all = Vec::new();
            stream.read_to_end(&mut all).await.unwrap();
            assert_eq!(all, said, "not a byte is lost");
        }
    }
}
