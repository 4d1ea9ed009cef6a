//! Asks a time server (RFC 4330), where the owner names one: whoever is between it and the board can lie about the time, so nobody is
//! asked unless told to.

mod message;

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use tokio::net::UdpSocket;
use tokio::time::{Instant, sleep, timeout_at};

use super::clock::Clock;
use super::console::say;
use message::{Answer, LENGTH};

/// Where servers listen.
const PORT: u16 = 123;

/// First wait for an answer, and the longest; it doubles in between.
const WAIT: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(64));

/// Questions without an answer before the owner hears of it.
const SILENCE: u32 = 3;

/// Between two questions that were answered, and after "no" (section 10).
const AGAIN: Duration = Duration::from_secs(3600);

/// A difference up to this is none.
const FINE: Duration = Duration::from_millis(500);

/// Keeps the clock by this server, for ever.
pub(super) async fn run(server: Ipv4Addr, clock: Rc<Clock>) {
    let server = SocketAddrV4::new(server, PORT);
    let mut wait = WAIT.0;
    let mut unheard = 0;
    loop {
        match ask(server, wait, clock.floor()).await {
            Ok(Some((Answer::Time(theirs), trip))) => {
                (unheard, wait) = (0, WAIT.0);
                follow(&clock, theirs + trip / 2);
                sleep(AGAIN).await;
            }
            Ok(Some((Answer::No, _))) => {
                say("the time server does not know the time; it is asked again in an hour");
                sleep(AGAIN).await;
            }
            // Without a network there is no way to it, which takes no time to find out.
            Ok(None) | Err(_) => {
                unheard += 1;
                if unheard == SILENCE {
                    say("the time server does not answer; check board.time_server in bulbil.toml");
                }
                sleep(wait).await;
                wait = (wait * 2).min(WAIT.1);
            }
        }
    }
}

/// One question. The answer, and how long it took; `None` when there is none in time.
async fn ask(
    server: SocketAddrV4,
    wait: Duration,
    floor: SystemTime,
) -> io::Result<Option<(Answer, Duration)>> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
    // From here on, only what comes from there is heard.
    socket.connect(server).await?;
    let cookie = getrandom::u64().map_err(io::Error::other)?.to_ne_bytes();
    let asked = Instant::now();
    socket.send(&message::question(cookie)).await?;
    let mut bytes = [0; LENGTH];
    while let Ok(received) = timeout_at(asked + wait, socket.recv(&mut bytes)).await {
        if let Some(answer) = bytes.get(..received?).and_then(|bytes| message::answer(bytes, cookie, floor)) {
            return Ok(Some((answer, asked.elapsed())));
        }
    }
    Ok(None)
}

fn follow(clock: &Clock, theirs: SystemTime) {
    let who = "the time server says";
    let (by, forward) = match theirs.duration_since(SystemTime::now()) {
        Ok(by) => (by, true),
        Err(error) => (error.duration(), false),
    };
    if by > FINE {
        clock.step(by, forward, who);
    }
}
