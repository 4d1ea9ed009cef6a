//! One conversation, written once for any `Transport`, over Tor and over the memory of one process.

#![allow(clippy::unwrap_used, reason = "all of this file is a test")]

use std::time::Duration;

use bulbil::config::Config;
use bulbil::net::memory::Memory;
use bulbil::net::{AccessKey, Network as Net, Plug, Service, ServiceKey};
use bulbil_core::hello::{Event, Hello, Secrets};
use bulbil_core::id::PeerKey;
use bulbil_core::limits::MAX_FRAME;
use bulbil_core::transport::{RecvFrame, SendFrame, Transport};
use bulbil_tests::net::{Network, Shape};
use bulbil_tests::node::{Node, Settings};
use tokio::task::LocalSet;

const TOKEN: [u8; 16] = [4; 16];

/// For anything that is waited for.
const PATIENCE: Duration = Duration::from_mins(2);

/// Says what the machine wants said and hears what it wants to hear, until the conversation is open.
async fn shake(mut hello: Hello, tx: &mut impl SendFrame, rx: &mut impl RecvFrame) -> PeerKey {
    let mut buf = [0; 256];
    let mut peer = None;
    loop {
        while let Some(frame) = hello.poll_transmit(&mut buf).unwrap() {
            tx.send(frame).await.unwrap();
        }
        tx.flush().await.unwrap();
        if hello.is_done() {
            return peer.unwrap();
        }
        match hello.handle_frame(rx.recv().await.unwrap()).unwrap() {
            Event::Topic(_) => hello.answer(Some(Secrets::new(TOKEN, &[2; 32]))),
            Event::Ready(key) => peer = Some(key),
            Event::Progress | Event::Refused => {}
        }
    }
}

/// Calls `name`, which `callee` answers to: the handshake, and then the largest frame there and back.
async fn converse<T: Transport<Error: std::fmt::Debug>>(caller: &T, callee: &T, to: &T::Name, name: &[u8]) {
    let largest = vec![7; MAX_FRAME];
    let asks = async {
        let (mut tx, mut rx) = caller.connect(to, 0).await.unwrap();
        let hello = Hello::dial(Secrets::new(TOKEN, &[1; 32]), name, [3; 32]);
        let peer = shake(hello, &mut tx, &mut rx).await;
        tx.send(&largest).await.unwrap();
        tx.flush().await.unwrap();
        assert_eq!(rx.recv().await.unwrap(), largest);
        peer
    };
    let answers = async {
        let (mut tx, mut rx) = callee.accept().await.unwrap();
        let hello = Hello::listen(Secrets::new([0; 16], &[9; 32]), name, [5; 32]);
        let peer = shake(hello, &mut tx, &mut rx).await;
        let frame = rx.recv().await.unwrap().to_vec();
        tx.send(&frame).await.unwrap();
        tx.flush().await.unwrap();
        assert!(rx.recv().await.is_err(), "the caller hangs up");
        peer
    };
    let (callee, caller) =
        tokio::time::timeout(PATIENCE, async { tokio::join!(asks, answers) }).await.unwrap();
    assert_eq!(callee, Secrets::new(TOKEN, &[2; 32]).key());
    assert_eq!(caller, Secrets::new(TOKEN, &[1; 32]).key());
}

/// The same on any network.
async fn play(net: &Net) {
    let access = AccessKey::derive(&TOKEN);
    let serve = async || {
        let key = ServiceKey::random().unwrap();
        let service: Service = net.serve(&key, 80, Some(&access)).await.unwrap();
        let mut reachable = service.reachable();
        tokio::time::timeout(PATIENCE, reachable.wait_for(|up| *up)).await.unwrap().unwrap();
        service
    };
    let (ours, theirs) = (serve().await, serve().await);
    let to = theirs.address();
    let mut name = to.key.to_vec();
    name.extend(to.port.to_be_bytes());
    let plug = |service| Plug::new(net.clone(), service, Some(access.clone()), 1);
    converse(&plug(ours), &plug(theirs), &to, &name).await;
}

fn run(story: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, story);
}

#[test]
fn in_memory() {
    run(async { play(&Net::Memory(Memory::new())).await });
}

#[test]
fn over_tor() {
    let network = Network::start(Shape::default()).unwrap();
    let folder = Node::prepare(&network.arti_toml(), Settings::named("plug")).unwrap();
    run(async {
        let config = Config::load(&folder.config_path()).unwrap();
        let net = Net::start(&config, folder.folder()).await.unwrap();
        tokio::time::timeout(PATIENCE, net.ready()).await.unwrap().unwrap();
        play(&net).await;
    });
}
