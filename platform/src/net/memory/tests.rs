use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use super::*;
use crate::net::{Circuit, Network};

const LANE: Circuit = Circuit { swarm: 1, lane: 0 };

fn network() -> (Network, ServiceKey) {
    (Network::Memory(Memory::new()), ServiceKey::from_seed([7; 32]))
}

#[tokio::test]
async fn bytes_arrive_both_ways() {
    let (net, key) = network();
    let mut service = net.serve(&key, 80, None).await.unwrap();
    let mut ours = net.connect(service.address(), None, LANE).await.unwrap();
    let mut theirs = service.accept().await.unwrap();
    ours.write_all(b"ping").await.unwrap();
    theirs.write_all(b"pong!").await.unwrap();
    let (mut ping, mut pong) = ([0; 4], [0; 5]);
    theirs.read_exact(&mut ping).await.unwrap();
    ours.read_exact(&mut pong).await.unwrap();
    assert_eq!((&ping, &pong), (b"ping", b"pong!"));
    drop(ours);
    assert_eq!(theirs.read(&mut ping).await.unwrap(), 0);
}

#[tokio::test]
async fn an_unknown_address_is_not_found() {
    let (net, key) = network();
    let service = net.serve(&key, 80, None).await.unwrap();
    let wrong_port = key.address(81);
    let wrong_key = ServiceKey::from_seed([8; 32]).address(80);
    assert_eq!(net.connect(wrong_port, None, LANE).await.unwrap_err(), NetError::NotFound);
    assert_eq!(net.connect(wrong_key, None, LANE).await.unwrap_err(), NetError::NotFound);
    drop(service);
    assert_eq!(net.connect(key.address(80), None, LANE).await.unwrap_err(), NetError::NotFound);
}

#[tokio::test]
async fn only_the_right_access_key_gets_in() {
    let (net, key) = network();
    let (right, wrong) = (AccessKey::derive(b"right"), AccessKey::derive(b"wrong"));
    let mut service = net.serve(&key, 80, Some(&right)).await.unwrap();
    let to = service.address();
    assert_eq!(net.connect(to, None, LANE).await.unwrap_err(), NetError::Unauthorized);
    assert_eq!(net.connect(to, Some(&wrong), LANE).await.unwrap_err(), NetError::Unauthorized);
    net.connect(to, Some(&right), LANE).await.unwrap();
    assert!(service.accept().await.is_some());
}

#[tokio::test]
async fn a_full_queue_refuses_and_room_lets_in_again() {
    let (net, key) = network();
    let mut service = net.serve(&key, 80, None).await.unwrap();
    let mut open = Vec::new();
    for _ in 0..ACCEPT_QUEUE {
        open.push(net.connect(service.address(), None, LANE).await.unwrap());
    }
    assert_eq!(net.connect(service.address(), None, LANE).await.unwrap_err(), NetError::Refused);
    service.accept().await.unwrap();
    net.connect(service.address(), None, LANE).await.unwrap();
}

#[tokio::test]
async fn an_address_is_served_once_at_a_time() {
    let (net, key) = network();
    let first = net.serve(&key, 80, None).await.unwrap();
    assert!(matches!(net.serve(&key, 80, None).await, Err(NetError::Local(_))));
    drop(first);
    assert!(net.serve(&key, 80, None).await.is_ok());
}

#[tokio::test]
async fn status_counts_services_and_says_when_it_ends() {
    let (net, key) = network();
    let status = net.status();
    net.ready().await.unwrap();
    let mut service = net.serve(&key, 80, None).await.unwrap();
    assert!(*service.reachable().borrow());
    assert_eq!(status.borrow().services_reachable, 1);
    net.clone().shutdown().await;
    assert!(service.accept().await.is_none());
    assert_eq!(status.borrow().services, 0);
    assert_eq!(net.connect(key.address(80), None, LANE).await.unwrap_err(), NetError::Shutdown);
    assert_eq!(net.serve(&key, 80, None).await.unwrap_err(), NetError::Shutdown);
}

#[tokio::test]
async fn pace_delays_and_limits() {
    let pace = Pace { latency: Duration::from_millis(20), bandwidth: 1_000_000 };
    let (net, key) = (Network::Memory(Memory::with_pace(pace)), ServiceKey::from_seed([7; 32]));
    let mut service = net.serve(&key, 80, None).await.unwrap();
    let start = Instant::now();
    let mut ours = net.connect(service.address(), None, LANE).await.unwrap();
    assert!(start.elapsed() >= 2 * pace.latency);
    let mut theirs = service.accept().await.unwrap();
    let start = Instant::now();
    let sender = tokio::spawn(async move {
        ours.write_all(&[5; 100_000]).await.unwrap();
        ours.shutdown().await.unwrap();
        ours
    });
    let mut all = Vec::new();
    let whole = theirs.read_to_end(&mut all);
    tokio::time::timeout(Duration::from_secs(30), whole).await.unwrap().unwrap();
    assert_eq!(all, vec![5; 100_000]);
    assert!(start.elapsed() >= Duration::from_millis(120), "{:?}", start.elapsed());
    sender.await.unwrap();
}
