//! Both ways over streams in memory.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::*;
use crate::proxy::Meters;

/// A test that waits longer than this has hung.
const LIMIT: Duration = Duration::from_secs(20);

/// The far ends of a carried connection, and how it ends.
fn start(early: &[u8], size: usize) -> (DuplexStream, DuplexStream, tokio::task::JoinHandle<End>) {
    let (client, mut near) = tokio::io::duplex(size);
    let (target, mut far) = tokio::io::duplex(size);
    let (early, meter) = (early.to_vec(), Meters::default().add("test", SocketAddr::from(([0; 4], 0))));
    let carrying = tokio::spawn(async move { carry_within(&mut near, &mut far, early, &meter, None).await });
    (client, target, carrying)
}

async fn end(carrying: tokio::task::JoinHandle<End>) -> End {
    tokio::time::timeout(LIMIT, carrying).await.unwrap().unwrap()
}

async fn whole(stream: &mut DuplexStream) -> Vec<u8> {
    let mut all = Vec::new();
    tokio::time::timeout(LIMIT, stream.read_to_end(&mut all)).await.unwrap().unwrap();
    all
}

#[tokio::test]
async fn megabytes_go_both_ways_through_small_pipes() {
    let (mut client, mut target, carrying) = start(b"early ", 1000);
    let sent: Vec<u8> = (0..3_000_000_u32).map(|n| n.to_le_bytes()[1]).collect();
    let (there, back) = (sent.clone(), sent.clone());
    let far = tokio::spawn(async move {
        let mut got = vec![0; 6 + there.len()];
        target.read_exact(&mut got).await.unwrap();
        target.write_all(&back).await.unwrap();
        (got, there)
    });
    client.write_all(&sent).await.unwrap();
    assert_eq!(whole(&mut client).await, sent);
    let (got, there) = far.await.unwrap();
    assert!(got.starts_with(b"early ") && got.ends_with(&there));
    drop(client);
    assert_eq!(end(carrying).await, End::Whole);
}

#[tokio::test]
async fn a_client_that_said_all_it_had_gets_the_answer() {
    let (mut client, mut target, carrying) = start(b"", 200_000);
    client.write_all(b"question").await.unwrap();
    client.shutdown().await.unwrap();
    let mut got = [0; 8];
    target.read_exact(&mut got).await.unwrap();
    target.write_all(&[7; 100_000]).await.unwrap();
    drop(target);
    assert_eq!(whole(&mut client).await.len(), 100_000);
    assert_eq!(end(carrying).await, End::Whole);
}

#[tokio::test]
async fn a_client_that_went_after_the_answer_is_not_waited_for() {
    let (mut client, mut target, carrying) = start(b"question", 4096);
    let mut got = [0; 8];
    target.read_exact(&mut got).await.unwrap();
    target.write_all(b"answer").await.unwrap();
    client.read_exact(&mut [0; 6]).await.unwrap();
    client.shutdown().await.unwrap();
    let begun = Instant::now();
    assert_eq!(end(carrying).await, End::ClientGone);
    assert!(begun.elapsed() < ANSWER / 2);
    assert!(target.read_u8().await.is_err());
}

#[tokio::test]
async fn a_client_that_never_asked_anything_keeps_its_place_for_seconds_only() {
    let (mut client, _target, carrying) = start(b"", 4096);
    let begun = Instant::now();
    client.shutdown().await.unwrap();
    assert_eq!(end(carrying).await, End::ClientGone);
    assert!((GONE..ANSWER / 2).contains(&begun.elapsed()));
}

#[tokio::test]
async fn a_client_that_goes_on_after_the_end_is_not_listened_to_for_ever() {
    let (mut client, target, carrying) = start(b"", 4096);
    drop(target);
    assert_eq!(whole(&mut client).await, b"");
    for _ in 0..100 {
        client.write_all(&[1; 1000]).await.unwrap();
    }
    drop(client);
    assert_eq!(end(carrying).await, End::Whole);
}

/// A reader that fails, as a stream of Tor does whose circuit broke.
struct Broken;
impl AsyncRead for Broken {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
    }
}
impl AsyncWrite for Broken {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(buf.len()))
    }
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn what_breaks_is_not_taken_for_the_end() {
    let (client, mut near) = tokio::io::duplex(10);
    let meter = Meters::default().add("test", SocketAddr::from(([0; 4], 0)));
    let end = carry_within(&mut near, &mut Broken, Vec::new(), &meter, None).await;
    assert_eq!(end, End::Broken(io::ErrorKind::ConnectionReset));
    drop(client);
}

#[tokio::test(start_paused = true)]
async fn a_connection_on_which_nothing_comes_ends_where_that_is_wished() {
    const IDLE: Duration = Duration::from_secs(300);
    let (mut client, mut near) = tokio::io::duplex(100);
    let (mut target, mut far) = tokio::io::duplex(100);
    let meter = Meters::default().add("test", SocketAddr::from(([0; 4], 0)));
    let idle = Some(IDLE);
    let carrying = async { carry_within(&mut near, &mut far, Vec::new(), &meter, idle).await };
    let talk = async {
        for _ in 0..3 {
            tokio::time::sleep(IDLE / 2).await;
            client.write_all(b"x").await.unwrap();
            tokio::time::sleep(IDLE / 2).await;
            target.write_all(b"y").await.unwrap();
        }
        Instant::now()
    };
    let (end, last) = tokio::join!(carrying, talk);
    assert_eq!((end, last.elapsed().as_secs()), (End::Quiet, IDLE.as_secs()));
}
