//! Several requests on one stream, and backends that fail between them.

use super::*;
use crate::net::Stream;

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
const POST: &[u8] = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi";

/// What a backend does with a connection.
#[derive(Clone, Copy)]
struct Manner {
    /// Requests that it answers before it says no more.
    answers: usize,
    /// Whether it hangs up then.
    hangs_up: bool,
}

/// Answers requests with its name, each connection in this manner. Counts requests.
async fn play(name: &'static str, manner: Manner) -> (SocketAddr, Rc<Cell<usize>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, asked) = (listener.local_addr().unwrap(), Rc::new(Cell::new(0)));
    let count = Rc::clone(&asked);
    spawn_local(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let count = Rc::clone(&count);
            spawn_local(async move {
                let mut said = [0; 1024];
                let mut answered = 0;
                while stream.read(&mut said).await.unwrap_or(0) > 0 {
                    count.set(count.get() + 1);
                    if answered == manner.answers {
                        if manner.hangs_up {
                            return;
                        }
                        continue;
                    }
                    answered += 1;
                    let length = name.len();
                    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{name}");
                    let _ = stream.write_all(answer.as_bytes()).await;
                }
            });
        }
    });
    (address, asked)
}

const GOOD: Manner = Manner { answers: usize::MAX, hangs_up: false };

async fn stage(backends: &[SocketAddr]) -> Stage {
    let backends: Vec<String> = backends.iter().map(|it| format!("\"{it}\"")).collect();
    let ports = backends.join(", ");
    let stage = Stage::new(&format!("answer_timeout = 1\ncheck = \"none\"\n[publish.ports]\n80 = [{ports}]"));
    stage.settled(|it| it.published).await;
    stage
}

impl Stage {
    async fn open(&self) -> Stream {
        self.network.connect(self.address(80), None, Circuit { swarm: 1, lane: 1 }).await.unwrap()
    }

    fn ups(&self) -> Vec<bool> {
        self.publisher.view()[0].routes[0].backends.iter().map(|backend| backend.up).collect()
    }
}

/// The body of the answer to this request.
async fn exchange(stream: &mut Stream, request: &[u8]) -> String {
    stream.write_all(request).await.unwrap();
    stream.flush().await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"one") && !answer.ends_with(b"two") {
        assert!(stream.read_buf(&mut answer).await.unwrap() > 0, "{}", String::from_utf8_lossy(&answer));
    }
    let answer = String::from_utf8(answer).unwrap();
    assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
    answer.split("\r\n\r\n").nth(1).unwrap().to_owned()
}

#[test]
fn a_later_request_goes_elsewhere_if_its_backend_fell_silent_or_hung_up() {
    run(async {
        for hangs_up in [false, true] {
            let (one, _) = play("one", Manner { answers: 1, hangs_up }).await;
            let (two, _) = play("two", GOOD).await;
            let stage = stage(&[one, two]).await;
            let mut stream = stage.open().await;
            assert_eq!(exchange(&mut stream, GET).await, "one");
            for _ in 0..2 {
                assert_eq!(exchange(&mut stream, GET).await, "two");
            }
            // Servers hang up on connections that were quiet, which is no failure.
            assert_eq!(stage.ups(), [hangs_up, true]);
        }
    });
}

#[test]
fn a_request_that_changes_something_shows_who_hangs_and_the_next_one_goes_elsewhere() {
    run(async {
        let (one, had) = play("one", Manner { answers: 1, hangs_up: false }).await;
        let (two, _) = play("two", GOOD).await;
        let stage = stage(&[one, two]).await;
        // Two streams that stay with the first backend, by the load of others.
        let mut first = stage.open().await;
        assert_eq!(exchange(&mut first, POST).await, "one");
        let mut other = stage.open().await;
        assert_eq!(exchange(&mut other, POST).await, "two");
        let mut second = stage.open().await;
        assert_eq!(exchange(&mut second, POST).await, "one");
        first.write_all(POST).await.unwrap();
        stage.settled(|it| !it.routes[0].backends[0].up).await;
        // Nothing of this one has begun, although its stream was the silent backend's.
        assert_eq!(exchange(&mut second, POST).await, "two");
        assert_eq!(had.get(), 3, "the request in doubt was given once, and to nobody else");
        assert!(timeout(Duration::from_millis(100), first.read_u8()).await.is_err());
    });
}

#[test]
fn an_answer_that_broke_off_is_never_continued_by_another_backend() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let one = listener.local_addr().unwrap();
        spawn_local(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 1024]).await.unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf").await.unwrap();
            // A second request comes before the first is answered.
            let _ = stream.read(&mut [0; 1024]).await.unwrap();
        });
        let (two, had) = play("two", GOOD).await;
        let stage = stage(&[one, two]).await;
        let mut stream = stage.open().await;
        stream.write_all(GET).await.unwrap();
        let mut answer = vec![0; 42];
        stream.read_exact(&mut answer).await.unwrap();
        stream.write_all(GET).await.unwrap();
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
        assert!(answer.ends_with(b"half") && rest.is_empty() && had.get() == 0);
    });
}

/// The head of a POST, with so many bytes to come.
fn upload(length: usize) -> Vec<u8> {
    format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n").into_bytes()
}

/// Sends an upload of so many bytes, as far as anybody takes it.
fn send_upload(to: impl AsyncWriteExt + Unpin + 'static, length: usize) {
    let mut to = to;
    spawn_local(async move {
        let _ = to.write_all(&[upload(length), vec![b'x'; length]].concat()).await;
    });
}

#[test]
fn an_answer_that_comes_before_the_request_is_whole_is_no_failure() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let one = listener.local_addr().unwrap();
        spawn_local(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                // The rest is unread when it hangs up.
                let _ = stream.read(&mut [0; 1024]).await;
                let _ = stream.write_all(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\none").await;
            }
        });
        let stage = stage(&[one]).await;
        // Whether the answer or the broken connection is seen first is chance.
        for _ in 0..20 {
            let (mut from, to) = tokio::io::split(stage.open().await);
            send_upload(to, 1 << 24);
            let mut answer = String::new();
            let _ = from.read_to_string(&mut answer).await;
            assert!(answer.starts_with("HTTP/1.1 413") && answer.ends_with("one"), "{answer}");
            assert_eq!(stage.ups(), [true]);
        }
    });
}

#[test]
fn a_client_that_is_slow_to_ask_makes_no_backend_silent() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let one = listener.local_addr().unwrap();
        spawn_local(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut said = vec![0; upload(2).len() + 2];
            stream.read_exact(&mut said).await.unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none").await.unwrap();
            let _ = stream.read(&mut said).await;
        });
        let stage = stage(&[one]).await;
        let mut stream = stage.open().await;
        let slow = upload(2);
        let pieces = [&slow[..9], &slow[9..]];
        for piece in pieces {
            stream.write_all(piece).await.unwrap();
            stream.flush().await.unwrap();
            // Longer than an answer may take.
            assert!(timeout(Duration::from_millis(1500), stream.read_u8()).await.is_err());
            assert_eq!(stage.ups(), [true]);
        }
        assert_eq!(exchange(&mut stream, b"hi").await, "one");
    });
}

#[test]
fn a_backend_that_takes_no_more_of_a_request_is_silent() {
    run(async {
        let stage = stage(&[silent().await]).await;
        // More than sockets hold.
        let (_from, to) = tokio::io::split(stage.open().await);
        send_upload(to, 1 << 26);
        stage.settled(|it| !it.routes[0].backends[0].up).await;
    });
}
