//! The handshake, over a real connection and with a deadline.

use std::time::Duration;

use bulbil_core::hello::{Event, Hello, Secrets, TOKEN_LEN, node_token};
use bulbil_core::id::{NodeKey, PeerKey};
use bulbil_core::limits::HANDSHAKE_MS;
use bulbil_core::transport::{RecvFrame, SendFrame};
use bulbil_core::wire::{Message, Purpose};
use zeroize::Zeroizing;

use super::halves::Halves;
use crate::net::Address;

/// Bytes of an opening message at most.
const OPENING: usize = 256;

/// Time for a last frame to leave.
pub(crate) const GOODBYE: Duration = Duration::from_secs(5);

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

/// Opens a conversation about a share with whom we called under `name`.
pub(crate) async fn dialed(secrets: Secrets, name: &[u8], halves: &mut Halves) -> Result<PeerKey, NotOpened> {
    dialed_about(Purpose::Peer, secrets, name, halves).await
}

/// Opens a conversation of any purpose with whom we called under `name`.
pub(crate) async fn dialed_about(
    purpose: Purpose,
    secrets: Secrets,
    name: &[u8],
    halves: &mut Halves,
) -> Result<PeerKey, NotOpened> {
    let hello = Hello::dial(secrets, name, random()?).about(purpose);
    let (key, _) = in_time(shake(hello, halves, |_, _| None)).await?;
    Ok(key)
}

/// Opens a conversation with the node at `address` itself, and makes sure that it is that node. `seed` is that of the
/// key we prove: our own where the node shall know us, else a random one.
pub(crate) async fn dialed_node(
    purpose: Purpose,
    seed: &[u8; 32],
    address: Address,
    halves: &mut Halves,
) -> Result<(), NotOpened> {
    let secrets = Secrets::new(node_token(&NodeKey(address.key)), seed);
    let key = dialed_about(purpose, secrets, &name_of(address), halves).await?;
    if key.0 == address.key { Ok(()) } else { Err(NotOpened::Foul) }
}

/// Opens a conversation with who called us under `name`. `known` gives the secrets of a topic we have, for a purpose.
pub(crate) async fn called(
    name: &[u8],
    halves: &mut Halves,
    known: impl Fn(Purpose, [u8; 32]) -> Option<Secrets>,
) -> Result<(PeerKey, Purpose), NotOpened> {
    let (token, seed) = (random::<TOKEN_LEN>()?, Zeroizing::new(random::<32>()?));
    let hello = Hello::listen(Secrets::new(token, &seed), name, random()?).about_anything();
    in_time(shake(hello, halves, known)).await
}

/// Tells who called, and proved that it may, that there is no place for it now. The connection is closed either way.
pub(crate) async fn turn_away(halves: &mut Halves) {
    let mut buf = [0; 4];
    let Ok(frame) = Message::Busy.encode(&mut buf) else { return };
    let saying = async {
        halves.tx.send(frame).await?;
        halves.tx.flush().await
    };
    _ = tokio::time::timeout(GOODBYE, saying).await;
}

async fn in_time<T>(shaking: impl Future<Output = Result<T, NotOpened>>) -> Result<T, NotOpened> {
    let limit = Duration::from_millis(HANDSHAKE_MS);
    tokio::time::timeout(limit, shaking).await.unwrap_or(Err(NotOpened::Broken))
}

async fn shake(
    mut hello: Hello,
    halves: &mut Halves,
    known: impl Fn(Purpose, [u8; 32]) -> Option<Secrets>,
) -> Result<(PeerKey, Purpose), NotOpened> {
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
            return reached.zip(hello.purpose()).ok_or(NotOpened::Refused);
        }
        let frame = halves.rx.recv().await.map_err(|_| NotOpened::Broken)?;
        match hello.handle_frame(frame).map_err(|_| NotOpened::Foul)? {
            Event::Progress => {}
            Event::Topic(topic) => {
                let secrets = hello.purpose().and_then(|purpose| known(purpose, topic));
                hello.answer(secrets);
            }
            Event::Ready(key) => reached = Some(key),
            Event::Refused => return Err(NotOpened::Refused),
        }
    }
}

pub(crate) fn random<const N: usize>() -> Result<[u8; N], NotOpened> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| NotOpened::Broken)?;
    Ok(bytes)
}
