//! The listener over the memory network, with a resolver that a test plays.

use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UdpSocket;

use super::*;
use crate::config::Dns;
use crate::exit::Exit;
use crate::net::Network;
use crate::net::memory::Memory;
use crate::proxy::Meters;
use crate::proxy::dns::wire::Query;

/// A test that waits longer than this has hung.
const LIMIT: Duration = Duration::from_secs(20);

struct Stage {
    memory: Memory,
    answers: Answers,
    address: SocketAddr,
    meter: Arc<Meter>,
    _stop: watch::Sender<bool>,
}

impl Stage {
    async fn new(upstreams: &[&str]) -> Self {
        let upstreams = upstreams.iter().map(|text| (*text).to_owned()).collect();
        Self::with(Dns { upstreams, ..Dns::default() }).await
    }

    async fn with(config: Dns) -> Self {
        let memory = Memory::new();
        let answers = Answers::new(Exit::new(Network::Memory(memory.clone())), &config);
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = tcp.local_addr().unwrap();
        let udp = Datagrams::new(UdpSocket::bind(address).await.unwrap()).unwrap();
        let meter = Meters::default().add("dns", address);
        let (stop, stopped) = watch::channel(false);
        let server = Server::new(answers.clone(), &config, Arc::clone(&meter));
        tokio::spawn(server.run(tcp, udp, stopped));
        Self { memory, answers, address, meter, _stop: stop }
    }

    /// A resolver that answers each question with 192.0.2.1. Says how many connections and questions there were.
    fn resolver(&self, target: &str) -> watch::Receiver<(u32, u32)> {
        self.resolver_with(target, |_| ADDRESS.to_vec())
    }

    /// The same with the records that this says to the question so manieth.
    fn resolver_with(
        &self,
        target: &str,
        record: impl Fn(u32) -> Vec<u8> + Send + Sync + 'static,
    ) -> watch::Receiver<(u32, u32)> {
        let (host, port) = crate::proxy::target(target).unwrap();
        let mut server = self.memory.listen_outside(host, port);
        let (seen, look) = watch::channel((0, 0));
        tokio::spawn(async move {
            while let Some(stream) = server.accept().await {
                seen.send_modify(|seen| seen.0 += 1);
                resolve(stream, &seen, &record).await;
            }
        });
        look
    }

    async fn udp(&self, question: &[u8]) -> Vec<u8> {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.send_to(question, self.address).await.unwrap();
        let mut bytes = vec![0; 4096];
        let got = timeout(LIMIT, socket.recv(&mut bytes)).await.unwrap().unwrap();
        bytes.truncate(got);
        bytes
    }
}

/// A record of the name that was asked for: 192.0.2.1 for a minute.
const ADDRESS: [u8; 16] = [0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1];

/// Answers all questions of a connection.
async fn resolve<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    seen: &watch::Sender<(u32, u32)>,
    record: &(impl Fn(u32) -> Vec<u8> + Send + Sync),
) {
    while let Some(asked) = question(&mut stream).await {
        seen.send_modify(|seen| seen.1 += 1);
        let query = Query::read(&asked).unwrap();
        let mut answer = query.fail(wire::Code::NoError, None);
        let opt = answer.split_off(answer.len() - 11);
        answer[7] = 1;
        let number = seen.borrow().1;
        answer.extend(record(number));
        answer.extend(opt);
        let length = u16::try_from(answer.len()).unwrap().to_be_bytes();
        if stream.write_all(&[&length[..], &answer].concat()).await.is_err() {
            return;
        }
    }
}

/// A question for the A records of `<number>.test`.
fn ask(number: u16) -> Vec<u8> {
    let label = format!("{number:05}");
    let id = number.to_be_bytes();
    [&id[..], &[1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 5], label.as_bytes(), b"\x04test\0\0\x01\0\x01"].concat()
}

#[tokio::test]
async fn questions_are_answered_once_by_the_resolver_and_then_from_memory() {
    let stage = Stage::new(&["192.0.2.9:53"]).await;
    let seen = stage.resolver("192.0.2.9:53");
    for _ in 0..3 {
        let answer = stage.udp(&ask(1)).await;
        assert_eq!((&answer[..4], &answer[7..8]), (&[0, 1, 0x81, 0x80][..], &[1][..]));
        assert!(answer.ends_with(&[192, 0, 2, 1]));
    }
    assert_eq!(*seen.borrow(), (1, 1));
    assert_eq!(stage.answers.forget(), 1);
    stage.udp(&ask(1)).await;
    assert_eq!(*seen.borrow(), (2, 2));
}

#[tokio::test]
async fn hundreds_of_questions_on_one_connection_are_all_answered() {
    let stage = Stage::new(&["192.0.2.9:53"]).await;
    let seen = stage.resolver("192.0.2.9:53");
    let mut stream = TcpStream::connect(stage.address).await.unwrap();
    let all: Vec<u8> = (0..500_u16)
        .flat_map(|number| {
            let bytes = ask(number);
            [&u16::try_from(bytes.len()).unwrap().to_be_bytes()[..], &bytes].concat()
        })
        .collect();
    stream.write_all(&all).await.unwrap();
    let mut ids = std::collections::BTreeSet::new();
    for _ in 0..500 {
        let answer = timeout(LIMIT, question(&mut stream)).await.unwrap().unwrap();
        assert!(answer.ends_with(&[192, 0, 2, 1]));
        ids.insert([answer[0], answer[1]]);
    }
    assert_eq!((ids.len(), *seen.borrow()), (500, (1, 500)));
}

#[tokio::test]
async fn the_next_resolver_is_asked_where_one_fails_and_stays() {
    let onion = format!("{}:53", crate::exit::Onion([9; 32]).address(1).host());
    let stage = Stage::new(&["192.0.2.9:53", &onion]).await;
    let seen = stage.resolver("192.0.2.9:53");
    for number in 0..3 {
        assert!(stage.udp(&ask(number)).await.ends_with(&[192, 0, 2, 1]));
    }
    assert_eq!(*seen.borrow(), (1, 3));
}

#[tokio::test]
async fn onion_names_and_other_strange_questions_never_leave() {
    let stage = Stage::new(&["192.0.2.9:53"]).await;
    let seen = stage.resolver("192.0.2.9:53");
    let asked = [&[0, 5, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1][..], b"a\x05OnIoN\0\0\x01\0\x01"].concat();
    assert_eq!(stage.udp(&asked).await[3] & 0x0F, 3);
    let mut chaos = ask(1);
    *chaos.last_mut().unwrap() = 3;
    assert_eq!(stage.udp(&chaos).await[3] & 0x0F, 5);
    let mut transfer = ask(1);
    let at = transfer.len() - 3;
    transfer[at] = 252;
    assert_eq!(stage.udp(&transfer).await[3] & 0x0F, 4);
    assert_eq!(seen.borrow().1, 0);
    assert_eq!(stage.meter.view().errors.get("onion_name"), Some(&1));
}

/// A record of this type.
fn record(kind: u8, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).unwrap().to_be_bytes();
    [&[0xC0, 12, 0, kind, 0, 1, 0, 0, 0, 60], &length[..], data].concat()
}

#[tokio::test]
async fn a_name_does_not_lead_into_the_house() {
    // As a page that rebinds its name: first an address of its own, for no time at all, then the router's.
    let stage = Stage::new(&["192.0.2.9:53"]).await;
    let seen = stage.resolver_with("192.0.2.9:53", |number| {
        let mut first = record(1, &[192, 0, 2, 1]);
        first[9] = 0;
        if number == 1 { first } else { record(1, &[192, 168, 1, 1]) }
    });
    let asked = [&ask(1)[..11], &[1], &ask(1)[12..], &[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]].concat();
    let first = stage.udp(&asked).await;
    assert!(first[7] == 1 && first.windows(4).any(|four| four == [192, 0, 2, 1]), "{first:?}");
    for number in 2..4 {
        let answer = stage.udp(&asked).await;
        assert_eq!((answer[3] & 0x0F, answer[7], seen.borrow().1), (0, 0, number));
        assert!(answer.ends_with(&[0, 15, 0, 2, 0, 15]), "blocked, it says: {answer:?}");
    }
    assert_eq!(stage.meter.view().errors.get("private_answer"), Some(&2));
}

#[tokio::test]
async fn neither_does_any_other_record_unless_the_owner_lets_it() {
    let loopback = std::net::Ipv6Addr::LOCALHOST.octets();
    let hint = [&[0, 1, 0, 0, 4, 0, 4][..], &[10, 0, 0, 1]].concat();
    for bad in [record(28, &loopback), record(65, &hint), record(64, &hint), record(1, &[0; 4])] {
        for lets in [false, true] {
            let upstreams = vec!["192.0.2.9:53".to_owned()];
            let stage = Stage::with(Dns { upstreams, private_answers: lets, ..Dns::default() }).await;
            let record = bad.clone();
            stage.resolver_with("192.0.2.9:53", move |_| record.clone());
            let answer = stage.udp(&ask(1)).await;
            assert_eq!((answer[3] & 0x0F, answer[7] == 1), (0, lets), "{bad:?}");
        }
    }
}

#[tokio::test]
async fn without_a_resolver_the_failure_is_told() {
    let stage = Stage::new(&["192.0.2.9:53"]).await;
    let answer = stage.udp(&ask(1)).await;
    assert_eq!(answer[3] & 0x0F, 2);
    assert_eq!(stage.meter.view().errors.get("refused"), Some(&1));
}
