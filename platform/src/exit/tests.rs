//! The way out over the memory network.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::net::memory::Memory;

fn exit() -> (Memory, Exit) {
    let memory = Memory::new();
    (memory.clone(), Exit::new(Network::Memory(memory)))
}

fn host(text: &str) -> Host {
    text.parse().unwrap()
}

#[tokio::test]
async fn bytes_go_there_and_back() {
    let (memory, exit) = exit();
    let mut server = memory.listen_outside(host("example.com"), 80);
    let mut ours = exit.reach(&host("example.com"), 80, &Isolation::of("test")).await.unwrap();
    let mut theirs = server.accept().await.unwrap();
    ours.write_all(b"hello").await.unwrap();
    let mut got = [0; 5];
    theirs.read_exact(&mut got).await.unwrap();
    theirs.write_all(&got).await.unwrap();
    ours.read_exact(&mut got).await.unwrap();
    assert_eq!((&got, exit.open()), (b"hello", 1));
    drop(ours);
    assert_eq!(exit.open(), 0);
}

#[tokio::test]
async fn failures_are_told_apart() {
    let (memory, exit) = exit();
    let isolation = Isolation::of("test");
    assert_eq!(exit.reach(&host("192.0.2.1"), 1, &isolation).await.unwrap_err(), ReachError::Refused);
    for why in ReachError::ALL {
        memory.fail_outside(host("example.com"), 7, why);
        assert_eq!(exit.reach(&host("example.com"), 7, &isolation).await.unwrap_err(), why);
    }
    let nobody = Host::Onion(Onion([7; 32]));
    assert_eq!(exit.reach(&nobody, 80, &isolation).await.unwrap_err(), ReachError::OnionNotFound);
}

#[tokio::test]
async fn silence_ends_at_the_deadline() {
    let (memory, exit) = exit();
    memory.silence_outside(host("example.com"), 7);
    let (host, isolation) = (host("example.com"), Isolation::of("test"));
    let why = exit.reach_within(&host, 7, &isolation, Duration::from_millis(20));
    assert_eq!(why.await.unwrap_err(), ReachError::Timeout);
}

#[tokio::test]
async fn names_and_pointers_are_looked_up() {
    let (memory, exit) = exit();
    let (name, isolation) = ("example.com".parse().unwrap(), Isolation::of("test"));
    let address: IpAddr = [192, 0, 2, 1].into();
    assert_eq!(exit.resolve(&name, &isolation).await, Err(ReachError::NoSuchName));
    memory.name_outside(&name, &[address]);
    assert_eq!(exit.resolve(&name, &isolation).await, Ok(vec![address]));
    assert_eq!(exit.resolve_ptr(address, &isolation).await, Ok(vec!["example.com".to_owned()]));
}

#[tokio::test]
async fn a_new_identity_breaks_what_is_open_and_what_is_being_opened() {
    let (memory, exit) = exit();
    let mut server = memory.listen_outside(host("example.com"), 80);
    let isolation = Isolation::of("test");
    let mut ours = exit.reach(&host("example.com"), 80, &isolation).await.unwrap();
    let _theirs = server.accept().await.unwrap();
    let changing = async {
        tokio::task::yield_now().await;
        exit.new_identity()
    };
    let (read, closed) = tokio::join!(ours.read_u8(), changing);
    assert_eq!(read.unwrap_err().kind(), std::io::ErrorKind::ConnectionAborted);
    assert!(ours.write_all(b"x").await.is_err());
    assert_eq!((closed, exit.generation()), (1, 1));
    // Opened as whom we no longer are.
    assert!(exit.identity.admit(0).is_none());
    // Whoever runs several threads may move it among them.
    let again = tokio::spawn(async move { exit.reach(&host("example.com"), 80, &isolation).await });
    assert!(again.await.unwrap().is_ok());
}
