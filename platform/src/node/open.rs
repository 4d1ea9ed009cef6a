//! The handshake, over a real connection and with a deadline.

use std::time::Duration;

use bulbil_core::hello::{Event, Hello, Secrets, TOKEN_LEN};
use bulbil_core::id::PeerKey;
use bulbil_core::limits::HANDSHAKE_MS;
use bulbil_core::transport::{RecvFrame, SendFrame};
use zeroize::Zeroizing;

use super::halves::Halves;
use crate::net::Address;

/// Bytes of an opening message at most.
const OPENING: usize = 256;

/// Why no conversation began.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum NotOpened {
    /// The connection broke, or time was up.
    Broken,
    /// Wrong token, no such share, or no room there.
    Refused,
    /// The other side did not keep to the protocol.
    Foul,
}

/// An address as it travels: 32 bytes of key, two of port.
pub(crate) fn name_of(address: Address) -> [u8; 34] {
    let mut name = [0; 34];
    let (key, port) = name.split_at_mut(32);
    key.copy_from_slice(&address.key);
    port.copy_from_slice(&address.port.to_be_bytes());
    name
}

/// The address in a name, if it is one.
pub(crate) fn address_of(name: &[u8]) -> Option<Address> {
    let (key, port) = name.split_first_chunk::<32>()?;
    let port = u16::from_be_bytes(port.try_into().ok()?);
    (port != 0).then_some(Address { key: *key, port })
}

/// Opens a conversation with whom we called under `name`.
pub(crate) async fn dialed(secrets: Secrets, name: &[u8], halves: &mut Halves) -> Result<PeerKey, NotOpened> {
    let hello = Hello::dial(secrets, name, random()?);
    in_time(shake(hello, halves, |_| None)).await
}

/// Opens a conversation with who called us under `name`. `known` gives the secrets of a topic we have.
pub(crate) async fn called(
    name: &[u8],
    halves: &mut Halves,
    known: impl Fn([u8; 32]) -> Option<Secrets>,
) -> Result<PeerKey, NotOpened> {
    let (token, seed) = (random::<TOKEN_LEN>()?, Zeroizing::new(random::<32>()?));
    let hello = Hello::listen(Secrets::new(token, &seed), name, random()?);
    in_time(shake(hello, halves, known)).await
}

async fn in_time(shaking: impl Future<Output = Result<PeerKey, NotOpened>>) -> Result<PeerKey, NotOpened> {
    let limit = Duration::from_millis(HANDSHAKE_MS);
    tokio::time::timeout(limit, shaking).await.unwrap_or(Err(NotOpened::Broken))
}

async fn shake(
    mut hello: Hello,
    halves: &mut Halves,
    known: impl Fn([u8; 32]) -> Option<Secrets>,
) -> Result<PeerKey, NotOpened> {
    let mut buf = [0; OPENING];
    let mut reached = None;
    loop {
        let mut sent = false;
        while let Some(frame) = hello.poll_transmit(&mut buf).map_err(|_| NotOpened::Foul)? {
            halves.tx.send(frame).await.map_err(|_| NotOpened::Broken)?;
            sent = true;
        }
        if sent {
            halves.tx.flush().await.map_err(|_| NotOpened::Broken)?;
        }
        if hello.is_done() {
            return reached.ok_or(NotOpened::Refused);
        }
        let frame = halves.rx.recv().await.map_err(|_| NotOpened::Broken)?;
        match hello.handle_frame(frame).map_err(|_| NotOpened::Foul)? {
            Event::Progress => {}
            Event::Topic(topic) => hello.answer(known(topic)),
            Event::Ready(key) => reached = Some(key),
            Event::Refused => return Err(NotOpened::Refused),
        }
    }
}

fn random<const N: usize>() -> Result<[u8; N], NotOpened> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| NotOpened::Broken)?;
    Ok(bytes)
}
