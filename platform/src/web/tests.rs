//! Pages on a made-up node, and the real listener against bare requests.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::status::{Dropped, Fetch, FetchState, Lane, Memory, NetStatus, Peer, Share, ShareState};

const FILM: &str = "3f1c9a70b2d84e65913a0c77de5512ab3f1c9a70b2d84e65913a0c77de5512ab";
const BOOKS: &str = "77aa01d3c5e94410bb6e2f8a90cd31ef77aa01d3c5e94410bb6e2f8a90cd31ef";

fn link(letter: &str) -> String {
    format!("http://{}.onion:80/private/{}", letter.repeat(56), letter.repeat(26))
}

fn lane(rtt_ms: u32, in_flight: u32, depth: u32, rate: u64) -> Lane {
    Lane { rtt_ms, in_flight, depth, rate }
}

/// A fetch in each state.
fn fetches() -> Vec<Fetch> {
    vec![
        Fetch {
            id: 4,
            name: Some("Seed catalogue".into()),
            out: "/srv/incoming".into(),
            size: Some(8 << 20),
            done: 8 << 20,
            state: FetchState::Done,
            ..Fetch::default()
        },
        Fetch {
            id: 3,
            name: Some("Backup".into()),
            out: "/mnt/usb".into(),
            size: Some(4 << 30),
            done: 3 << 30,
            state: FetchState::Failed(
                "no room left in the folder; make room and fetch again, what was verified is kept".into(),
            ),
            ..Fetch::default()
        },
        Fetch {
            id: 2,
            name: Some("Atlas of <river> deltas".into()),
            out: "/srv/incoming".into(),
            size: Some(96 << 20),
            done: 12 << 20,
            state: FetchState::Waiting("no peer answers; the next try is in 40 s".into()),
            ..Fetch::default()
        },
        Fetch {
            id: 1,
            info_hash: Some(FILM.into()),
            name: Some("Field recordings, winter 2025.flac".into()),
            out: "/srv/incoming".into(),
            size: Some(734 << 20),
            done: 311 << 20,
            downloaded: 312 << 20,
            uploaded: 42 << 20,
            rate: 1_460_000,
            lanes: 6,
            peers: 2,
            state: FetchState::Fetching,
        },
    ]
}

/// A share in each state.
fn shares() -> Vec<Share> {
    vec![
        Share {
            info_hash: BOOKS.into(),
            name: "Public domain books".into(),
            size: 2_400 << 20,
            files: 512,
            link: link("b"),
            state: ShareState::Reachable,
            uploaded: 880 << 20,
            peers: 3,
            ..Share::default()
        },
        Share {
            info_hash: "00".repeat(32),
            name: "notes.txt".into(),
            size: 4_211,
            files: 1,
            link: link("c"),
            public: true,
            ..Share::default()
        },
        Share {
            info_hash: "11".repeat(32),
            name: "Photos".into(),
            size: 12 << 30,
            files: 3_180,
            link: link("d"),
            state: ShareState::Failed(
                "a file was changed since it was shared; share the folder again".into(),
            ),
            ..Share::default()
        },
    ]
}

/// A node with something in every corner.
fn full() -> Status {
    let peer = |id, info_hash: &str, lanes| Peer {
        id,
        info_hash: info_hash.into(),
        lanes,
        has_percent: 100,
        downloaded: 200 << 20,
        uploaded: 12 << 20,
        chokes_us: id == 9,
        choked: id == 11,
    };
    Status {
        version: "0.1.0".into(),
        uptime_s: 93_000,
        net: NetStatus {
            kind: "tor".into(),
            ready: true,
            percent: 100,
            doing: "Ready to share and fetch".into(),
            clock_skew_s: Some(-95),
            services: 4,
            services_reachable: 3,
            ..NetStatus::default()
        },
        memory: Memory { rss: 31 << 20, rss_peak: 44 << 20, limit: 96 << 20 },
        shares: shares(),
        fetches: fetches(),
        peers: vec![
            peer(7, FILM, vec![lane(290, 12, 16, 420_000), lane(305, 8, 12, 380_000), lane(0, 2, 8, 60_000)]),
            peer(9, FILM, vec![lane(610, 4, 8, 210_000), lane(580, 4, 8, 190_000)]),
            peer(11, BOOKS, vec![lane(330, 0, 8, 0)]),
        ],
        dropped: vec![Dropped {
            id: 5,
            info_hash: FILM.into(),
            why: "sent a block that does not match its hash".into(),
        }],
        ..Status::default()
    }
}

#[test]
fn everything_in_the_status_is_on_the_page() {
    let page = body(&full()).into_string();
    for words in [
        "Connected",
        "3 of 4 reachable",
        "31.0 MiB of 96.0 MiB",
        "1 min 35 s behind",
        "Field recordings, winter 2025.flac",
        "value=\"42\"",
        "311 MiB of 734 MiB",
        "6 lanes",
        "no peer answers",
        "no room left",
        "Public domain books",
        "512 files",
        "a file was changed",
        "#7",
        "290 ms",
        "12/16 asked",
        "does not match its hash",
    ] {
        assert!(page.contains(words), "{words:?} is missing");
    }
}

#[test]
fn only_who_still_wants_something_is_paused() {
    let mut status = full();
    status.shares.clear();
    let paused = |status: &Status| body(status).into_string().matches(">paused<").count();
    status.peers.iter_mut().for_each(|peer| (peer.chokes_us, peer.choked) = (false, peer.id == 11));
    assert_eq!(paused(&status), 0, "a peer with everything");
    status.peers.iter_mut().for_each(|peer| peer.has_percent = 40);
    assert_eq!(paused(&status), 1);
    status.peers.iter_mut().for_each(|peer| (peer.chokes_us, peer.choked) = (peer.id == 9, false));
    assert_eq!(paused(&status), 1);
    for fetch in &mut status.fetches {
        fetch.state = FetchState::Done;
    }
    assert_eq!(paused(&status), 0, "we have everything");
}

#[test]
fn names_cannot_become_markup() {
    let page = body(&full()).into_string();
    assert!(page.contains("Atlas of &lt;river&gt; deltas") && !page.contains("<river>"));
}

#[test]
fn the_page_needs_no_script_and_no_inline_style() {
    let page = layout::page("Bulbil", Some(5), &body(&full())).into_string();
    assert!(!page.contains("<script") && !page.contains("style=") && !page.contains("onclick"));
    assert!(page.contains("<meta http-equiv=\"refresh\" content=\"5\">"));
    for landmark in ["<main", "<nav", "<header", "<footer", "lang=\"en\"", "scope=\"col\""] {
        assert!(page.contains(landmark), "{landmark}");
    }
    assert_eq!(page.matches("<progress").count(), page.matches("aria-label=").count() - 3);
}

#[test]
fn an_idle_node_says_what_to_do() {
    let page = body(&Status::default()).into_string();
    assert!(page.contains("Connecting to Tor") && page.contains("bulbil share PATH"));
}

#[test]
fn a_stuck_network_says_why() {
    let net = NetStatus { blocked: Some("the clock is wrong by a year".into()), ..NetStatus::default() };
    let page = body(&Status { net, ..Status::default() }).into_string();
    assert!(page.contains("Tor is stuck") && page.contains("the clock is wrong by a year"));
}

/// What the real listener answers to these bytes.
async fn answer(request: &str) -> String {
    let (node, inbox) = Handle::new();
    inbox.status.send_replace(Arc::new(full()));
    let page = Page { listen: ([127, 0, 0, 1], 0).into(), ..Page::default() };
    let web = Web::bind(&page).await.unwrap();
    let address = web.address();
    let (stop, stopped) = watch::channel(false);
    let server = tokio::spawn(web.run(node, stopped));
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.replace("PORT", &address.port().to_string()).as_bytes()).await.unwrap();
    let mut answer = String::new();
    let read = stream.read_to_string(&mut answer);
    tokio::time::timeout(Duration::from_secs(20), read).await.unwrap().unwrap();
    stop.send_replace(true);
    tokio::time::timeout(Duration::from_secs(20), server).await.unwrap().unwrap();
    answer
}

fn get(path: &str, host: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")
}

#[tokio::test]
async fn the_listener_serves_page_style_and_data_with_strict_headers() {
    for (path, words) in
        [("/", "Field recordings"), ("/style.css", "--paper"), ("/status.json", "\"uptime_s\":93000")]
    {
        let answer = answer(&get(path, "127.0.0.1:PORT")).await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(words), "{path}: {answer}");
        for header in ["default-src 'none'", "no-referrer", "nosniff", "frame-ancestors 'none'", "no-store"] {
            assert!(answer.contains(header), "{path} lacks {header}");
        }
    }
    assert!(answer(&get("/x", "localhost:PORT")).await.starts_with("HTTP/1.1 404"));
}

#[tokio::test]
async fn foreign_names_and_writes_are_refused() {
    let foreign = answer(&get("/status.json", "evil.example:PORT")).await;
    assert!(foreign.starts_with("HTTP/1.1 421") && !foreign.contains("onion"));
    let nameless = answer("GET / HTTP/1.0\r\n\r\n").await;
    assert!(nameless.starts_with("HTTP/1.0 421"), "{nameless}");
    let post = answer(&get("/", "localhost:PORT").replace("GET", "POST")).await;
    assert!(post.starts_with("HTTP/1.1 405"), "{post}");
}

/// Writes the page of a full node and of a starting one into the folder named by `BULBIL_PAGES`, to be looked at.
#[test]
fn pages_can_be_written_out() {
    let folder = std::env::var_os("BULBIL_PAGES").map_or_else(std::env::temp_dir, Into::into);
    let starting =
        NetStatus { percent: 45, doing: "Loading the list of relays".into(), ..NetStatus::default() };
    let starting = Status { net: starting, version: "0.1.0".into(), ..Status::default() };
    for (name, status) in [("full", full()), ("starting", starting)] {
        let page = layout::page("Bulbil", None, &body(&status)).into_string();
        let page = page.replace("/style.css", "style.css");
        let file = folder.join(format!("bulbil-page-{name}-{}.html", std::process::id()));
        std::fs::write(&file, &page).unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), page);
        if std::env::var_os("BULBIL_PAGES").is_none() {
            std::fs::remove_file(file).unwrap();
        }
    }
}
