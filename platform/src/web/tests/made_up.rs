//! Made-up nodes.

use super::super::messages::Letters;
use super::super::search::Search;
use crate::node::{InLetter, OutLetter};
use crate::publish::command::NewClient;
use crate::status::board::{self, Board, Note, Verdict};
use crate::status::hardening::{self, Measure};
use crate::status::publish::{Backend, Client, Published, Route};
use crate::status::standing::{Standing, StandingState};
use crate::status::{
    Dropped, Fetch, FetchState, Hit, Keep, Lane, Listener, ListenerState, Losses, Mail, Meeting,
    MeetingState, Memory, Mirror, NetStatus, NodeState, Peer, Progress, Proxy, Records, Share, ShareState,
    Status, Trust, TrustCost, Trusted,
};

pub(super) const FILM: &str = "3f1c9a70b2d84e65913a0c77de5512ab3f1c9a70b2d84e65913a0c77de5512ab";
pub(super) const BOOKS: &str = "77aa01d3c5e94410bb6e2f8a90cd31ef77aa01d3c5e94410bb6e2f8a90cd31ef";

pub(super) fn link(letter: &str) -> String {
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

/// A block of the configuration in each state.
fn standing() -> Vec<Standing> {
    let block = |path: &str, state| Standing { path: path.into(), state };
    vec![
        block("/srv/books", StandingState::Shared(BOOKS.into())),
        block("/disks/sda1/films", StandingState::Awaited),
        block("/srv/maps", StandingState::Hashing),
        block("/srv/<old>", StandingState::Failed("it is a device; share files and folders".into())),
    ]
}

/// A node with something in every corner.
pub(super) fn full() -> Status {
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
        net: net(),
        memory: Memory { rss: 31 << 20, rss_peak: 44 << 20, limit: 96 << 20 },
        shares: shares(),
        standing: standing(),
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
        address: Some(onion("f")),
        records: Records { served: 40, seen: 1_200, limit: 65_536 },
        trust: trust(),
        mail: Mail { inbox: 2, undelivered: 1, outbox: 1, warm: 1 },
        publish: vec![published()],
        hardening: vec![Measure {
            name: "core_dumps".into(),
            state: hardening::State::On,
            why: "none".into(),
        }],
        board: Some(board()),
        keep: Keep { would_lose: Losses { shares: 3, letters: 2, ..Losses::default() }, ..Keep::default() },
        meetings: meetings(),
        proxy: proxy(),
        mirrors: vec![Mirror {
            address: onion("m"),
            follow: true,
            progress: Progress { here: 90, there: Some(120) },
            state: NodeState::Copying,
            age_s: Some(4_000),
        }],
        ..Status::default()
    }
}

fn onion(letter: &str) -> String {
    format!("{}.onion", letter.repeat(56))
}

fn trust() -> Trust {
    let anna = Trusted {
        address: onion("a"),
        name: Some("Anna".into()),
        degree: 1,
        told: true,
        records: 900,
        state: NodeState::Current,
        age_s: Some(12),
        ..Trusted::default()
    };
    let far = Trusted {
        address: onion("g"),
        degree: 2,
        through: vec!["Anna".into()],
        state: NodeState::Waiting("it cannot be reached; the next try is in 2 min".into()),
        ..Trusted::default()
    };
    Trust { degree: 2, budget: 200, capped: true, nodes: vec![anna, far], blocked: vec![onion("x")] }
}

pub(super) fn cost() -> TrustCost {
    TrustCost { degree: 3, nodes: 40, added: 38, bytes: 9 << 20, unknown: 4, capped: true, applied: false }
}

pub(super) fn search() -> Search {
    let hit = |name: &str, link: Option<String>| Hit {
        info_hash: FILM.into(),
        name: name.into(),
        size: 3 << 30,
        tags: "film, nature".into(),
        text: "A year by the <river>.".into(),
        age_s: 7_000,
        sources: 3,
        link,
        degree: Some(1),
        through: vec!["Anna".into()],
    };
    let hits = vec![hit("Rivers", Some(link("b"))), hit("Lakes", None)];
    Search { id: 3, words: "river".into(), hits, asked: 4, failed: 1, done: false }
}

fn meetings() -> Vec<Meeting> {
    let words = Some("eight plain words to read out to a friend".into());
    let waiting = Meeting {
        id: 1,
        words,
        left_s: 3_000,
        wrong_guesses: 2,
        state: MeetingState::Waiting,
        ..Meeting::default()
    };
    let failed = MeetingState::Failed("nobody came within an hour; agree on new words".into());
    vec![waiting, Meeting { id: 2, name: Some("Bob".into()), state: failed, ..Meeting::default() }]
}

fn proxy() -> Proxy {
    let socks = Listener {
        kind: "socks".into(),
        address: "127.0.0.1:9150".into(),
        open: 3,
        requests: 4_000,
        up: 9 << 20,
        down: 700 << 20,
        errors: [("host_unreachable".to_owned(), 3)].into(),
        ..Listener::default()
    };
    let state = ListenerState::Failed("the port is taken; choose another one".into());
    let dns = Listener { kind: "dns".into(), address: "127.0.0.1:5353".into(), state, ..Listener::default() };
    Proxy { listeners: vec![socks, dns], streams: 3, identities: 1, ..Proxy::default() }
}

pub(super) fn letters() -> Letters {
    let came = InLetter {
        number: 1,
        peer: onion("a"),
        name: Some("Anna".into()),
        at_s: 1_000,
        text: "Look at <this>:\nhttp://…".into(),
        link: Some(link("b")),
        undelivered: false,
    };
    let back = InLetter { number: 2, undelivered: true, name: None, link: None, ..came.clone() };
    let waits = OutLetter {
        id: 3,
        peer: onion("c"),
        name: None,
        text: "Are you there?".into(),
        age_s: 90,
        failures: 2,
        next_s: Some(40),
    };
    Letters { inbox: vec![came, back], outbox: vec![waits], now_s: 4_600, ..Letters::default() }
}

fn published() -> Published {
    let backend = Backend { target: "10.0.0.5:8080".into(), up: true, streams: 2, served: 900 };
    let down = Backend { target: "10.0.0.6:8080".into(), ..Backend::default() };
    Published {
        name: "shop".into(),
        host: onion("s"),
        urls: vec![format!("http://{}", onion("s"))],
        trouble: Some("one of two backends does not answer; start it".into()),
        reachable: Some(true),
        probed_s: Some(40),
        restricted: true,
        clients: vec![Client { name: "Anna".into(), key: "descriptor:x25519:AAAA".into() }],
        routes: vec![Route { port: 80, backends: vec![backend, down] }],
        ..Published::default()
    }
}

pub(super) fn key() -> NewClient {
    NewClient {
        client: "Bob".into(),
        key: "descriptor:x25519:AAAA".into(),
        private: Some("…:descriptor:x25519:BBBB".into()),
    }
}

fn board() -> Board {
    let link = board::Link {
        interface: "eth0".into(),
        address: Some("192.168.1.20/24".into()),
        doing: "has an address until 14:00".into(),
    };
    let note = |file: &str, key: &str, verdict, why: &str| Note {
        file: file.into(),
        key: key.into(),
        verdict,
        why: why.into(),
    };
    Board {
        image: "virt".into(),
        name: "bulbil".into(),
        memory: 512 << 20,
        available: 400 << 20,
        links: vec![link],
        notes: vec![
            note("bulbil.toml", "board.name", Verdict::Understood, ""),
            note("bulbil.toml", "boord", Verdict::Wrong, "no such key"),
            note("user-data", "users", Verdict::Ignored, "no users here"),
            note("firstrun.sh", "", Verdict::Ignored, "never run"),
            note("", "Wi-Fi wlan0", Verdict::Wrong, "not joined"),
        ],
    }
}

fn net() -> NetStatus {
    NetStatus {
        kind: "tor".into(),
        ready: true,
        percent: 100,
        doing: "Ready to share and fetch".into(),
        clock_skew_s: Some(-95),
        services: 4,
        services_reachable: 3,
        ..NetStatus::default()
    }
}
