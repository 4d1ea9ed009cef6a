//! What a browser finds at a link.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::LocalSet;

use super::*;
use crate::link::Link;
use crate::net::{AccessKey, Circuit, NetError, Stream};
use crate::node::porch::STRANGERS;
use crate::status::ShareState;

/// An answer as it came.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn code(&self) -> u16 {
        self.head.split(' ').nth(1).unwrap().parse().unwrap()
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// A stream to the service of this link, with or without the link's key.
pub(super) async fn dial(network: &Memory, link: &Link, key: bool) -> Result<Stream, NetError> {
    let access = key.then(|| AccessKey::derive(link.token.as_bytes()));
    let circuit = Circuit { swarm: 0, lane: 0 };
    Network::Memory(network.clone()).connect(link.address, access.as_ref(), circuit).await
}

/// Sends a request without a body and reads until the other side closes.
pub(super) async fn ask(mut stream: Stream, line: &str, more: &str) -> Answer {
    let request = format!("{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{more}\r\n");
    let exchange = async {
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await.unwrap();
        all
    };
    let all = tokio::time::timeout(DEADLINE, exchange).await.unwrap();
    let end = all.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    Answer { head: String::from_utf8(all[..end].to_vec()).unwrap(), body: all[end + 4..].to_vec() }
}

/// A node that shares the stage's folder, and the link.
async fn shared(stage: &Stage, public: bool, browser: bool) -> (Handle, Link) {
    let seed = start(&stage.network, stage.here.path());
    let request = ShareRequest { browser, ..request(&stage.here.path().join("things"), public) };
    let share = seed.share(request).await.unwrap();
    until(&seed, |status| status.shares[0].state == ShareState::Reachable).await;
    (seed, share.link.parse().unwrap())
}

/// Path of a part of the share.
fn path(link: &Link, rest: &str) -> String {
    let kind = if link.public { "public" } else { "private" };
    format!("/{kind}/{}{rest}", link.token.reveal())
}

#[tokio::test]
async fn a_page_says_what_is_there_and_gives_no_file_without_leave() {
    let set = LocalSet::new();
    set.run_until(async {
        let stage = Stage::new("landing-closed");
        let (seed, link) = shared(&stage, false, false).await;
        assert_eq!(dial(&stage.network, &link, false).await.unwrap_err(), NetError::Unauthorized);
        let get = async |rest: &str| {
            let stream = dial(&stage.network, &link, true).await.unwrap();
            ask(stream, &format!("GET {}", path(&link, rest)), "").await
        };
        let page = get("").await;
        assert_eq!(page.code(), 200);
        let info_hash = seed.status().shares[0].info_hash.clone();
        for word in ["<h1>", "things", "3.0 MiB", "deep/large", info_hash.as_str(), "bulbil fetch http://"] {
            assert!(page.text().contains(word), "{word}: {}", page.text());
        }
        assert!(!page.text().contains("<script") && !page.text().contains("/files/"));
        assert_eq!(get("/").await.body, page.body);
        assert_eq!(get("/files/0").await.code(), 403);
        for rest in ["/from/1", "/from/500", "/files/x", "/torrent"] {
            assert_eq!(get(rest).await.code(), 404, "{rest}");
        }
        let stream = dial(&stage.network, &link, true).await.unwrap();
        let posted = ask(stream, &format!("POST {}", path(&link, "")), "Content-Length: 0\r\n").await;
        assert_eq!((posted.code(), posted.header("allow")), (405, Some("GET, HEAD")));
        for header in
            ["content-security-policy", "referrer-policy", "x-content-type-options", "cache-control"]
        {
            assert!(page.header(header).is_some() && posted.header(header).is_some(), "{header}");
        }
        assert!(page.header("date").is_none() && page.header("server").is_none(), "{}", page.head);
        let style = page.header("content-security-policy").unwrap();
        assert!(style.starts_with("default-src 'none'; style-src 'sha256-"), "{style}");
    })
    .await;
}

#[tokio::test]
async fn a_browser_downloads_resumes_and_checks() {
    let set = LocalSet::new();
    set.run_until(async {
        let stage = Stage::new("landing-open");
        let bytes: Vec<u8> = (0..(3 << 20) + 5).map(|at: u32| at.to_be_bytes()[2] ^ 7).collect();
        fs::write(stage.here.path().join("things/deep/large"), &bytes).unwrap();
        let (seed, link) = shared(&stage, false, true).await;
        let say = async |line: &str, rest: &str, more: &str| {
            let stream = dial(&stage.network, &link, false).await.unwrap();
            ask(stream, &format!("{line} {}", path(&link, rest)), more).await
        };
        let page = say("GET", "", "").await;
        assert!(page.text().contains(&path(&link, "/files/0")), "{}", page.text());
        let whole = say("GET", "/files/0", "").await;
        assert_eq!((whole.code(), whole.body == bytes), (200, true));
        assert_eq!(whole.header("content-type"), Some("application/octet-stream"));
        let kept = "attachment; filename=\"large\"; filename*=UTF-8''large";
        assert_eq!(whole.header("content-disposition"), Some(kept));
        let tag = whole.header("etag").unwrap();
        let head = say("HEAD", "/files/0", "").await;
        assert_eq!((head.code(), head.body.len()), (200, 0));
        assert_eq!(head.header("content-length"), whole.header("content-length"));
        // An odd place, an odd length, over many blocks, as a download that broke off would ask.
        let resumed = say("GET", "/files/0", &format!("Range: bytes=1000001-\r\nIf-Range: {tag}\r\n")).await;
        assert_eq!((resumed.code(), resumed.body == bytes[1_000_001..]), (206, true));
        assert_eq!(resumed.header("content-range"), Some("bytes 1000001-3145732/3145733"));
        let last = say("GET", "/files/0", "Range: bytes=-3\r\n").await;
        assert_eq!((last.code(), last.body == bytes[bytes.len() - 3..]), (206, true));
        let beyond = say("GET", "/files/0", "Range: bytes=3145733-\r\n").await;
        assert_eq!((beyond.code(), beyond.header("content-range")), (416, Some("bytes */3145733")));
        assert_eq!(say("GET", "/files/0", &format!("If-None-Match: {tag}\r\n")).await.code(), 304);
        let empty = say("GET", "/files/1", "").await;
        assert_eq!((empty.code(), empty.body.len()), (200, 0));
        assert_eq!(say("GET", "/files/2", "").await.body, b"x");
        assert_eq!(say("GET", "/files/3", "").await.code(), 404);
        let sent = until(&seed, |status| status.shares[0].uploaded > 5_000_000).await;
        assert!(sent.shares[0].browser);
        // A node that has the link fetches all the same, though the address wants no key.
        let fetcher = start(&stage.network, stage.there.path());
        let out = stage.there.path().to_owned();
        fetcher.fetch(FetchRequest { link: link.to_string(), out }).await.unwrap();
        until(&fetcher, is(&FetchState::Done)).await;
    })
    .await;
}

#[tokio::test]
async fn a_file_that_changes_breaks_the_download_and_a_withdrawn_share_is_gone_at_once() {
    let set = LocalSet::new();
    set.run_until(async {
        let stage = Stage::new("landing-change");
        let (seed, link) = shared(&stage, true, true).await;
        fs::write(stage.here.path().join("things/deep/large"), vec![8; 3 << 20]).unwrap();
        let stream = dial(&stage.network, &link, false).await.unwrap();
        let broken = ask(stream, &format!("GET {}", path(&link, "/files/0")), "").await;
        assert_eq!((broken.code(), broken.header("content-disposition")), (500, None), "not one wrong byte");
        until(&seed, |status| matches!(status.shares[0].state, ShareState::Failed(_))).await;
        // Another share keeps the catalogue's service up.
        fs::write(stage.here.path().join("other"), b"other").unwrap();
        let other = seed.share(request(&stage.here.path().join("other"), true)).await.unwrap();
        seed.unshare(seed.status().shares[0].info_hash.clone()).await.unwrap();
        let look = async |link: &Link| {
            let stream = dial(&stage.network, link, false).await.unwrap();
            ask(stream, &format!("GET {}", path(link, "")), "").await.code()
        };
        assert_eq!(look(&link).await, 404);
        let other: Link = other.link.parse().unwrap();
        assert_eq!(look(&other).await, 200);
    })
    .await;
}

#[tokio::test]
async fn the_silent_keep_nobody_out() {
    let set = LocalSet::new();
    set.run_until(async {
        let stage = Stage::new("landing-silent");
        let (_seed, link) = shared(&stage, true, true).await;
        let mut silent = Vec::new();
        // Twice as many as there is room for; the network itself lets no more of them wait.
        while silent.len() < 2 * STRANGERS {
            let half = match dial(&stage.network, &link, false).await {
                Ok(mut stream) => stream.write_all(b"GET /").await.map(|()| silent.push(stream)),
                Err(why) => {
                    assert_eq!(why, NetError::Refused);
                    break;
                }
            };
            half.unwrap();
            tokio::task::yield_now().await;
        }
        assert!(silent.len() > STRANGERS, "{}", silent.len());
        let begun = std::time::Instant::now();
        let found = async {
            loop {
                match dial(&stage.network, &link, false).await {
                    Ok(stream) => break ask(stream, &format!("GET {}", path(&link, "")), "").await,
                    Err(_) => tokio::task::yield_now().await,
                }
            }
        };
        let page = tokio::time::timeout(DEADLINE, found).await.unwrap();
        assert_eq!(page.code(), 200);
        assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    })
    .await;
}

#[tokio::test]
async fn who_makes_noise_is_hung_up_on() {
    let set = LocalSet::new();
    set.run_until(async {
        let stage = Stage::new("landing-noise");
        let (_seed, link) = shared(&stage, true, true).await;
        let long = format!("GET /{} HTTP/1.1\r\n", "x".repeat(10_000));
        for said in
            [&b"\x16\x03\x01"[..], b"get / HTTP/1.1\r\n\r\n", b"\0\x01x", b"G\0T /\r\n\r\n", long.as_bytes()]
        {
            let mut stream = dial(&stage.network, &link, false).await.unwrap();
            stream.write_all(said).await.unwrap();
            stream.flush().await.unwrap();
            let mut heard = Vec::new();
            // Sooner than any deadline of the node.
            tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut heard))
                .await
                .unwrap()
                .unwrap();
            assert!(!heard.starts_with(b"HTTP/1.1 200"), "{said:?}");
        }
    })
    .await;
}

/// Asks for a page and leaves the connection open. `None` if nobody is there any more.
async fn look(stream: &mut Stream, path: &str) -> Option<u16> {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await.ok()?;
    stream.flush().await.ok()?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let answer = Answer { head: String::from_utf8(head).unwrap(), body: Vec::new() };
    let mut body = vec![0; answer.header("content-length").unwrap().parse().unwrap()];
    stream.read_exact(&mut body).await.ok()?;
    Some(answer.code())
}

#[tokio::test(start_paused = true)]
async fn readers_who_only_ask_for_pages_make_room() {
    let set = LocalSet::new();
    set.run_until(async {
        let stage = Stage::new("landing-seats");
        let (_seed, link) = shared(&stage, true, true).await;
        let path = path(&link, "");
        let mut readers = Vec::new();
        for _ in 0..12 {
            let mut stream = dial(&stage.network, &link, false).await.unwrap();
            assert_eq!(look(&mut stream, &path).await, Some(200));
            readers.push(stream);
        }
        let mut late = dial(&stage.network, &link, false).await.unwrap();
        assert_eq!(look(&mut late, &path).await, Some(503), "all seats are taken");
        for _ in 0..2 {
            tokio::time::sleep(Duration::from_secs(16)).await;
            for stream in &mut readers {
                assert_eq!(look(stream, &path).await, Some(200));
            }
        }
        let mut late = dial(&stage.network, &link, false).await.unwrap();
        assert_eq!(look(&mut late, &path).await, Some(200));
        tokio::time::sleep(Duration::from_secs(2)).await;
        let mut gone = 0;
        for stream in &mut readers {
            gone += usize::from(look(stream, &path).await.is_none());
        }
        assert_eq!((gone, look(&mut late, &path).await), (1, Some(200)));
    })
    .await;
}
