//! The local network floods the page: its owner gets in all the same, from a browser that was never here.

use std::cell::Cell;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use axum::serve::Listener;
use hyper::StatusCode;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::{sleep, timeout};

use super::live::{Browser, Live, PASSWORD, with_node};
use crate::config::{Config, Page};
use crate::control::serve::{self, Bounds};
use crate::web::guesses::PAUSE;
use crate::web::site::Site;
use crate::web::{CONNECTIONS, EACH, LIFETIME, router};

/// Addresses that flood.
const CROWD: u8 = 4;

/// What is promised: four seconds for each address that tries, the owner's too, and as much again for hashes on a busy machine.
const PROMISED: Duration = PAUSE.saturating_mul(2 * (CROWD as u32 + 1));

/// Loopback, on which 127.0.0.x speaks for 192.168.1.x.
struct Lan(TcpListener);

impl Listener for Lan {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        let (stream, mut from) = self.0.accept().await.unwrap();
        let IpAddr::V4(address) = from.ip() else { panic!("{from}") };
        from.set_ip(Ipv4Addr::new(192, 168, 1, address.octets()[3]).into());
        (stream, from)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

fn at(last: u8) -> IpAddr {
    Ipv4Addr::new(127, 0, 0, last).into()
}

/// The page of a node that has an owner, as its local network sees it.
async fn open_lan(live: &Live) -> (SocketAddr, watch::Sender<bool>) {
    live.owner("password").await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let site = Site::new(live.node.clone(), &Config::default(), address.port(), false).unwrap();
    let (stop, stopped) = watch::channel(false);
    let bounds = Bounds { connections: CONNECTIONS, each: Some(EACH), lifetime: Some(LIFETIME) };
    spawn_local(serve::run(Lan(listener), router(&site), bounds, stopped));
    (address, stop)
}

/// Tries wrong passwords until it is ended; counts those that had to wait for their turn.
fn attack(mut browser: Browser, queued: Rc<Cell<u32>>) -> JoinHandle<()> {
    spawn_local(async move {
        browser.get("/login").await;
        for number in 0_u64.. {
            let guess = format!("guess number {number}");
            let answer = browser.post("/login", &[("password", &guess)]).await;
            assert_ne!(answer.status, StatusCode::SEE_OTHER, "in by a wrong password");
            if answer.body.contains("your turn comes in") {
                queued.set(queued.get() + 1);
            }
        }
    })
}

#[tokio::test]
async fn the_owner_signs_in_while_several_addresses_flood() {
    with_node(Page::default(), async |live| {
        let (address, _stop) = open_lan(&live).await;
        let queued = Rc::new(Cell::new(0));
        let crowd: Vec<_> = (11..11 + CROWD)
            .map(|last| attack(live.browser_at(address, at(last)), Rc::clone(&queued)))
            .collect();
        while queued.get() < 100 {
            sleep(Duration::from_millis(50)).await; // the deadline of the whole test ends this
        }
        let mut owner = live.browser_at(address, at(9));
        owner.get("/login").await;
        let signing_in = async {
            loop {
                let answer = owner.post("/login", &[("password", PASSWORD)]).await;
                match answer.status {
                    StatusCode::SEE_OTHER => return answer.location().to_owned(),
                    StatusCode::TOO_MANY_REQUESTS => {
                        sleep(Duration::from_secs(answer.header("retry-after").parse().unwrap())).await;
                    }
                    StatusCode::SERVICE_UNAVAILABLE => {}
                    other => panic!("{other}: {}", answer.body),
                }
            }
        };
        assert_eq!(timeout(PROMISED, signing_in).await.expect("in time"), "/");
        assert_eq!(owner.get("/").await.status, StatusCode::OK);
        for attacker in crowd {
            assert!(!attacker.is_finished(), "it floods on");
            attacker.abort();
        }
    })
    .await;
}

/// Heads and forms that never end, from five addresses with as many connections as they get.
#[tokio::test]
async fn connections_that_say_nothing_keep_nobody_out() {
    with_node(Page::default(), async |live| {
        let (address, _stop) = open_lan(&live).await;
        let mut silent = Vec::new();
        for (number, last) in (0..10).flat_map(|number| (21..26).map(move |last| (number, last))) {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind((at(last), 0).into()).unwrap();
            let mut stream = socket.connect(address).await.unwrap();
            let head = format!("POST /login HTTP/1.1\r\nHost: {address}\r\nContent-Length: 900\r\n");
            let kind = "Content-Type: application/x-www-form-urlencoded\r\n\r\ntoken=";
            let said = if number % 2 == 0 { head } else { head + kind };
            _ = stream.write_all(said.as_bytes()).await; // it may be shut out by now
            silent.push(stream);
        }
        let mut owner = live.browser_at(address, at(9));
        let seen = timeout(Duration::from_secs(5), owner.get("/login")).await.expect("in time");
        assert_eq!(seen.status, StatusCode::OK);
        drop(silent);
    })
    .await;
}
