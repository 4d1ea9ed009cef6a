//! Resolvers that a test plays in the memory network, by a clock that it moves.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::super::wire::{Code, Detail};
use super::line::{SILENCE, TIDY, UNDER_WAY};
use super::*;
use crate::exit::Onion;
use crate::net::Network;
use crate::net::memory::Memory;

const CLEAR: &str = "192.0.2.9:53";

fn onion() -> String {
    format!("{}:53", Onion([9; 32]).address(1).host())
}

fn upstreams(memory: &Memory, targets: &[&str]) -> Upstreams {
    let targets: Vec<String> = targets.iter().map(|text| (*text).to_owned()).collect();
    Upstreams::new(Exit::new(Network::Memory(memory.clone())), &targets)
}

/// A question for the A record of `<label>.test`, with EDNS.
fn ask(label: &str) -> Query {
    let length = [u8::try_from(label.len()).unwrap()];
    let head: &[u8] = &[0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    let opt: &[u8] = &[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0];
    Query::read(&[head, &length, label.as_bytes(), b"\x04test\0\0\x01\0\x01", opt].concat()).unwrap()
}

/// Answers what does not begin with "mute" with this code, and counts what it was asked.
fn play(memory: &Memory, target: &str, code: Code, detail: Option<Detail>) -> Arc<Mutex<usize>> {
    let (host, port) = target_of(target);
    let (mut server, asked) = (memory.listen_outside(host, port), Arc::new(Mutex::new(0)));
    let count = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Some(mut stream) = server.accept().await {
            let count = Arc::clone(&count);
            tokio::spawn(async move {
                while let Ok(length) = stream.read_u16().await {
                    let mut bytes = vec![0; length.into()];
                    stream.read_exact(&mut bytes).await.unwrap();
                    *count.lock().unwrap() += 1;
                    if bytes[13..].starts_with(b"mute") {
                        continue;
                    }
                    let answer = Query::read(&bytes).unwrap().fail(code, detail);
                    let length = u16::try_from(answer.len()).unwrap().to_be_bytes();
                    stream.write_all(&[&length[..], &answer].concat()).await.unwrap();
                    stream.flush().await.unwrap();
                }
            });
        }
    });
    asked
}

fn target_of(text: &str) -> (Host, u16) {
    target(text).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_resolver_that_cannot_be_reached_holds_up_no_question_past_its_deadline() {
    let memory = Memory::new();
    let (host, port) = target_of(&onion());
    memory.silence_outside(host, port);
    let asked = play(&memory, CLEAR, Code::NoError, None);
    let upstreams = upstreams(&memory, &[CLEAR, &onion()]);
    let begun = Instant::now();
    upstreams.ask(&ask("first")).await.unwrap();
    assert!(begun.elapsed() <= OPEN + Duration::from_secs(1), "{:?}", begun.elapsed());
    let begun = Instant::now();
    upstreams.ask(&ask("second")).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(1), "it stays with the one that works");
    assert_eq!(*asked.lock().unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_the_first_resolver_to_come_back() {
    let memory = Memory::new();
    let (host, port) = target_of(&onion());
    memory.silence_outside(host, port);
    let second = play(&memory, CLEAR, Code::NoError, None);
    let upstreams = upstreams(&memory, &[&onion(), CLEAR]);
    upstreams.ask(&ask("first")).await.unwrap();
    // Half an hour of a house that asks something now and then.
    for number in 1..=60 {
        tokio::time::sleep(Duration::from_secs(30)).await;
        let begun = Instant::now();
        upstreams.ask(&ask(&format!("x{number}"))).await.unwrap();
        assert!(begun.elapsed() < Duration::from_secs(1), "{number}: {:?}", begun.elapsed());
    }
    assert_eq!(*second.lock().unwrap(), 61);
    let first = play(&memory, &onion(), Code::NoError, None);
    tokio::time::sleep(RETURN).await;
    upstreams.ask(&ask("y")).await.unwrap();
    assert_eq!(*second.lock().unwrap(), 62, "it is looked for beside the question");
    tokio::time::sleep(Duration::from_secs(1)).await;
    upstreams.ask(&ask("z")).await.unwrap();
    assert_eq!((*first.lock().unwrap(), *second.lock().unwrap()), (2, 62), "root, then z");
}

#[tokio::test(start_paused = true)]
async fn a_first_resolver_that_cannot_answer_is_not_returned_to() {
    let memory = Memory::new();
    let (host, port) = target_of(&onion());
    memory.silence_outside(host, port);
    let second = play(&memory, CLEAR, Code::NoError, None);
    let upstreams = upstreams(&memory, &[&onion(), CLEAR]);
    upstreams.ask(&ask("first")).await.unwrap();
    let first = play(&memory, &onion(), Code::Failure, None);
    for number in 1..=3 {
        tokio::time::sleep(RETURN).await;
        upstreams.ask(&ask("x")).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!((*first.lock().unwrap(), *second.lock().unwrap()), (number, 1 + number));
    }
}

/// Answers each question so late, and counts connections.
fn play_late(memory: &Memory, late: Duration) -> Arc<Mutex<usize>> {
    let (host, port) = target_of(CLEAR);
    let (mut server, opened) = (memory.listen_outside(host, port), Arc::new(Mutex::new(0)));
    let count = Arc::clone(&opened);
    tokio::spawn(async move {
        while let Some(mut stream) = server.accept().await {
            *count.lock().unwrap() += 1;
            tokio::spawn(async move {
                while let Ok(length) = stream.read_u16().await {
                    let mut bytes = vec![0; length.into()];
                    stream.read_exact(&mut bytes).await.unwrap();
                    tokio::time::sleep(late).await;
                    let answer = Query::read(&bytes).unwrap().fail(Code::NoError, None);
                    let length = u16::try_from(answer.len()).unwrap().to_be_bytes();
                    stream.write_all(&[&length[..], &answer].concat()).await.unwrap();
                    stream.flush().await.unwrap();
                }
            });
        }
    });
    opened
}

#[tokio::test(start_paused = true)]
async fn no_circuit_sees_a_house_s_questions_for_longer_than_tor_lets_it() {
    let memory = Memory::new();
    let late = Duration::from_secs(3);
    let opened = play_late(&memory, late);
    let upstreams = upstreams(&memory, &[CLEAR]);
    let begun = Instant::now();
    while begun.elapsed() < AGE * 4 {
        // The younger connection is opened while this waits for its answer, which comes over the one before.
        let asked = Instant::now();
        upstreams.ask(&ask("x")).await.unwrap();
        assert_eq!(asked.elapsed().as_secs(), late.as_secs(), "after {:?}", begun.elapsed());
        tokio::time::sleep(Duration::from_secs(20)).await;
    }
    assert_eq!(*opened.lock().unwrap(), 4);
    assert_eq!(upstreams.exit.circuits(), 4, "each of them shares nothing with the one before");
}

#[tokio::test(start_paused = true)]
async fn the_old_connection_serves_as_long_as_no_younger_one_can_be_opened() {
    let memory = Memory::new();
    let opened = play_late(&memory, Duration::ZERO);
    let upstreams = upstreams(&memory, &[CLEAR]);
    upstreams.ask(&ask("x")).await.unwrap();
    let (host, port) = target_of(CLEAR);
    memory.fail_outside(host, port, ReachError::Timeout);
    let begun = Instant::now();
    while begun.elapsed() < AGE * 2 {
        tokio::time::sleep(Duration::from_secs(20)).await;
        upstreams.ask(&ask("x")).await.unwrap();
    }
    assert_eq!(*opened.lock().unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_new_identity_does_not_change_the_resolver() {
    let memory = Memory::new();
    let first = play(&memory, &onion(), Code::NoError, None);
    let second = play(&memory, CLEAR, Code::NoError, None);
    let upstreams = upstreams(&memory, &[&onion(), CLEAR]);
    for number in 1..=3 {
        drop(timeout(Duration::from_secs(1), upstreams.ask(&ask("mute"))).await);
        upstreams.exit.new_identity();
        upstreams.renew();
        upstreams.ask(&ask("x")).await.unwrap();
        assert_eq!((*first.lock().unwrap(), *second.lock().unwrap()), (2 * number, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn the_only_resolver_has_the_whole_time_of_a_question() {
    let memory = Memory::new();
    let (host, port) = target_of(CLEAR);
    memory.silence_outside(host, port);
    let begun = Instant::now();
    assert!(upstreams(&memory, &[CLEAR]).ask(&ask("first")).await.is_err());
    assert_eq!(begun.elapsed().as_secs(), DEADLINE.as_secs());
}

#[tokio::test(start_paused = true)]
async fn questions_whose_clients_gave_up_keep_nobody_waiting() {
    let memory = Memory::new();
    play(&memory, CLEAR, Code::NoError, None);
    let upstreams = upstreams(&memory, &[CLEAR]);
    let patience = Duration::from_secs(1);
    let asks: Vec<Query> = (0..UNDER_WAY).map(|number| ask(&format!("mute{number}"))).collect();
    let all = futures::future::join_all(asks.iter().map(|query| timeout(patience, upstreams.ask(query))));
    assert!(all.await.iter().all(Result::is_err));
    let begun = Instant::now();
    upstreams.ask(&ask("spoken")).await.unwrap();
    assert!(begun.elapsed() <= TIDY * 2, "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_silent_line_is_given_up_although_its_clients_gave_up_before() {
    let memory = Memory::new();
    play(&memory, CLEAR, Code::NoError, None);
    let upstreams = upstreams(&memory, &[CLEAR]);
    let line = upstreams.line(0, DEADLINE);
    let begun = Instant::now();
    while !line.is_closed() {
        assert!(begun.elapsed() < SILENCE * 2);
        drop(timeout(Duration::from_secs(1), upstreams.ask(&ask("mute"))).await);
    }
}

#[tokio::test(start_paused = true)]
async fn another_resolver_is_asked_once_where_one_cannot_answer() {
    for code in [Code::Failure, Code::Refused] {
        let memory = Memory::new();
        let unable = play(&memory, &onion(), code, Some(Detail::NetworkError));
        let able = play(&memory, CLEAR, Code::NoName, None);
        let upstreams = upstreams(&memory, &[&onion(), CLEAR]);
        for number in 1..3 {
            let answer = upstreams.ask(&ask("x")).await.unwrap();
            assert_eq!(answer[3] & 0x0F, Code::NoName as u8);
            assert_eq!((*unable.lock().unwrap(), *able.lock().unwrap()), (number, number));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_answer_stands_where_no_other_resolver_knows_better() {
    let memory = Memory::new();
    let first = play(&memory, &onion(), Code::Failure, Some(Detail::NoReachableAuthority));
    let (host, port) = target_of(CLEAR);
    memory.silence_outside(host, port);
    let upstreams = upstreams(&memory, &[&onion(), CLEAR]);
    let begun = Instant::now();
    let answer = upstreams.ask(&ask("x")).await.unwrap();
    assert!(answer[3] & 0x0F == Code::Failure as u8 && begun.elapsed() <= SECOND);
    assert_eq!(*first.lock().unwrap(), 1);
}
