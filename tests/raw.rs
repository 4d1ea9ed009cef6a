//! A peer made by hand: the real handshake over real onion services, and after that whatever a test wants to say.

use std::io;
use std::time::Duration;

use bulbil::config::Config;
use bulbil::link::Link;
use bulbil::net::{AccessKey, Address, Circuit, Network as Net, Stream};
use bulbil_core::hello::{Event, Hello, Secrets};
use bulbil_core::limits::MAX_FRAME;
use bulbil_core::wire::Message;
use bulbil_tests::net::Network;
use bulbil_tests::node::{Node, Settings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// For anything that a peer waits for.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

/// A Tor client of its own, and the link it was given.
pub(crate) struct Raw {
    pub(crate) net: Net,
    link: Link,
    /// Numbers the conversations: each gets a key and a circuit of its own.
    count: std::cell::Cell<u8>,
    /// Keeps the folder that Tor writes into.
    _folder: Node,
}

/// One opened conversation.
pub(crate) struct Lane {
    pub(crate) stream: Stream,
}

impl Raw {
    /// Starts the client and waits until it is ready. Within a `LocalSet`.
    pub(crate) async fn start(network: &Network, link: &str) -> io::Result<Self> {
        let folder = Node::prepare(&network.arti_toml(), Settings::named("raw"))?;
        let config = Config::load(&folder.config_path()).map_err(io::Error::other)?;
        let net = Net::start(&config, folder.folder()).await.map_err(io::Error::other)?;
        let ready = tokio::time::timeout(PATIENCE, net.ready()).await;
        ready.map_err(io::Error::other)?.map_err(io::Error::other)?;
        let link = link.parse().map_err(io::Error::other)?;
        Ok(Self { net, link, count: std::cell::Cell::new(0), _folder: folder })
    }

    /// The key that lets one find the service of any holder of the link.
    pub(crate) fn access(&self) -> AccessKey {
        AccessKey::derive(self.link.token.as_bytes())
    }

    /// What opens a conversation, with the peer key of this seed.
    pub(crate) fn secrets(&self, seed: u8) -> Secrets {
        Secrets::new(*self.link.token.as_bytes(), &[seed; 32])
    }

    /// A number that was not used before.
    pub(crate) fn next(&self) -> u8 {
        self.count.set(self.count.get() + 1);
        self.count.get()
    }

    /// A stream to the share, with nothing said on it yet.
    pub(crate) async fn connect(&self) -> io::Result<Lane> {
        let circuit = Circuit { swarm: 1, lane: u32::from(self.next()) };
        let stream = self.net.connect(self.link.address, Some(&self.access()), circuit).await;
        Ok(Lane { stream: stream.map_err(io::Error::other)? })
    }

    /// A conversation with the share, ready for `Join`.
    pub(crate) async fn call(&self) -> io::Result<Lane> {
        let mut lane = self.connect().await?;
        let seed = self.next();
        let hello = Hello::dial(self.secrets(seed), &name_of(self.link.address), [seed; 32]);
        lane.shake(hello, || None).await?;
        Ok(lane)
    }
}

impl Lane {
    /// Opens the conversation; `secrets` are for who is called.
    pub(crate) async fn shake(
        &mut self,
        mut hello: Hello,
        secrets: impl Fn() -> Option<Secrets>,
    ) -> io::Result<()> {
        let mut buf = [0; 256];
        let foul = |why| io::Error::other(format!("{why:?}"));
        loop {
            while let Some(frame) =
                hello.poll_transmit(&mut buf).map_err(|_| io::Error::other("too small"))?
            {
                self.send(frame).await?;
            }
            if hello.is_done() {
                return Ok(());
            }
            let frame = self.recv().await?;
            match hello.handle_frame(&frame).map_err(foul)? {
                Event::Topic(_) => hello.answer(secrets()),
                Event::Refused => return Err(io::Error::other("refused")),
                Event::Progress | Event::Ready(_) => {}
            }
        }
    }

    /// Sends bytes as they are.
    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    /// Sends one frame.
    pub(crate) async fn send(&mut self, frame: &[u8]) -> io::Result<()> {
        let length = u16::try_from(frame.len()).map_err(io::Error::other)?;
        self.stream.write_all(&length.to_be_bytes()).await?;
        self.send_bytes(frame).await
    }

    /// Sends one message.
    pub(crate) async fn say(&mut self, message: &Message<'_>) -> io::Result<()> {
        let mut buf = vec![0; MAX_FRAME];
        let frame = message.encode(&mut buf).map_err(|_| io::Error::other("too small"))?;
        self.send(frame).await
    }

    /// The next frame.
    pub(crate) async fn recv(&mut self) -> io::Result<Vec<u8>> {
        let length =
            tokio::time::timeout(PATIENCE, self.stream.read_u16()).await.map_err(io::Error::other)??;
        let mut frame = vec![0; usize::from(length)];
        tokio::time::timeout(PATIENCE, self.stream.read_exact(&mut frame))
            .await
            .map_err(io::Error::other)??;
        Ok(frame)
    }
}

/// An address as it travels: 32 bytes of key, two of port.
pub(crate) fn name_of(address: Address) -> [u8; 34] {
    let mut name = [0; 34];
    name[..32].copy_from_slice(&address.key);
    name[32..].copy_from_slice(&address.port.to_be_bytes());
    name
}
