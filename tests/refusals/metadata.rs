//! Metadata that nobody should believe, through `check`, `hash` and `share`, and from a peer. More of what peers may say is
//! in the platform's own tests, which need no Tor.

use std::fs;
use std::os::unix::fs::symlink;
use std::rc::Rc;

use bulbil::link::{Link, Token};
use bulbil::net::{Address, ServiceKey, Stream};
use bulbil_core::hello::Hello;
use bulbil_core::id::InfoHash;
use bulbil_core::wire::Message;
use bulbil_tests::node::COMMAND_LIMIT;
use bulbil_tests::scratch::Scratch;
use sha2::Digest as _;
use tokio::task::{LocalSet, spawn_blocking, spawn_local};

use crate::raw::{Lane, PATIENCE, Raw, name_of};
use crate::{Stage, refused, text};

/// `.torrent` files: what is wrong, the info dictionary, words of the message.
fn cases() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let root = "R".repeat(32);
    let file = |length: &str| format!("d0:d6:lengthi{length}e11:pieces root32:{root}ee");
    let info = |tree: &str, piece: &str| {
        format!("d9:file tree{tree}12:meta versioni2e4:name1:n12:piece length{piece}e").into_bytes()
    };
    let one = |name: &str, entry: &str| format!("d{}:{name}{entry}e", name.len());
    let v1 = b"d6:lengthi5e4:name1:n12:piece lengthi16384e6:pieces20:AAAAAAAAAAAAAAAAAAAAe".to_vec();
    let deep = one("a", &one("..", &one("b", &file("5"))));
    let link = one("f", "d0:d4:attr1:l6:lengthi0e12:symlink pathl2:..6:passwdeee");
    vec![
        ("v1", v1, "BitTorrent v1 torrent; make a v2"),
        ("traversal", info(&one("..", &file("5")), "i16384e"), "would leave the folder of the share"),
        ("deep traversal", info(&deep, "i16384e"), "would leave the folder of the share"),
        ("separator", info(&one("../x", &file("5")), "i16384e"), "would be a path of its own"),
        ("absolute", info(&one("/etc", &file("5")), "i16384e"), "would be a path of its own"),
        ("symlink", info(&link, "i16384e"), "symbolic link"),
        ("piece length", info(&one("f", &file("5")), "i20000e"), "must be a power of two"),
        ("small piece", info(&one("f", &file("5")), "i8192e"), "must be at least 16384 bytes"),
        ("large", info(&one("f", &file("9223372036854775807")), "i16384e"), "longer than"),
        ("overflow", info(&one("f", &file("18446744073709551616")), "i16384e"), "number"),
        ("many pieces", info(&one("f", &file("281474976710656")), "i16384e"), "use a larger piece length"),
        ("negative", info(&one("f", &file("-1")), "i16384e"), "less than zero"),
    ]
}

pub(crate) fn is_refused(stage: &Stage) {
    let folder = Scratch::new("metadata").unwrap();
    for (name, info, words) in cases() {
        let path = folder.join("case.torrent");
        let mut torrent = b"d4:info".to_vec();
        torrent.extend(info);
        torrent.push(b'e');
        fs::write(&path, torrent).unwrap();
        let said = stage.seed.say(&["check", text(&path)]).unwrap();
        println!("{name}: {}", said.err.trim());
        refused(&said, 1, &[words]);
        let said = stage.seed.say(&["check", text(&path), "--json"]).unwrap();
        assert_eq!(said.json().unwrap()["valid"], false);
    }
    fs::write(folder.join("f"), "five!").unwrap();
    let said = stage.seed.say(&["share", text(&folder.join("f")), "--piece-length", "20000"]).unwrap();
    refused(&said, 2, &["not a power of two"]);
    let said = stage.seed.say(&["hash", text(&folder.join("f")), "--piece-length", "8192"]).unwrap();
    refused(&said, 2, &["not a power of two from 16384"]);
    symlink("/etc/passwd", folder.join("link")).unwrap();
    let said = stage.seed.say(&["share", text(folder.path())]).unwrap();
    refused(&said, 1, &["a symbolic link", "remove it"]);
    let said = stage.seed.say(&["share", text(&folder.join("missing"))]).unwrap();
    refused(&said, 1, &["cannot share", "check the path"]);
}

/// A seed made by hand tells of a share that would leave its folder, and then of one that is not what its hash says.
pub(crate) fn is_refused_from_a_peer(stage: &Stage) {
    let out = Scratch::new("out").unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (_, info, words) = cases().into_iter().find(|(name, ..)| *name == "deep traversal").unwrap();
    let right = InfoHash(sha2::Sha256::digest(&info).into());
    LocalSet::new().block_on(&runtime, async {
        for (info_hash, words) in [(right, words), (InfoHash([9; 32]), "does not match its hash")] {
            let key = ServiceKey::random().unwrap();
            let address = key.address(80);
            let link = Link { address, public: false, token: Token::from_bytes([5; 16]) }.to_string();
            let raw = Rc::new(Raw::start(&stage.network, &link).await.unwrap());
            let mut service = raw.net.serve(&key, 80, Some(&raw.access())).await.unwrap();
            let mut reachable = service.reachable();
            tokio::time::timeout(PATIENCE, reachable.wait_for(|up| *up)).await.unwrap().unwrap();
            let info = info.clone();
            let telling = spawn_local(async move {
                while let Some(stream) = service.accept().await {
                    let (raw, info) = (Rc::clone(&raw), info.clone());
                    spawn_local(async move { tell(&raw, stream, address, (info_hash, &info)).await });
                }
            });
            let mut fetching = stage.fetcher.begin(&["fetch", &link, "--out", text(out.path())]).unwrap();
            let said = spawn_blocking(move || fetching.end(COMMAND_LIMIT)).await.unwrap().unwrap();
            refused(&said, 1, &[words, "ask its owner for a new link"]);
            assert_eq!(fs::read_dir(out.path()).unwrap().count(), 0, "{words}");
            telling.abort();
        }
    });
}

/// Answers a caller's first question, and nothing else.
async fn tell(raw: &Raw, stream: Stream, service: Address, (info_hash, info): (InfoHash, &[u8])) {
    let mut lane = Lane { stream };
    let hello = Hello::listen(raw.secrets(201), &name_of(service), [raw.next(); 32]);
    if lane.shake(hello, || Some(raw.secrets(200))).await.is_err() {
        return; // it called twice, and needed one of them
    }
    while let Ok(frame) = lane.recv().await {
        if let Ok(Message::AskInfo(0)) = Message::decode(&frame) {
            let total = u32::try_from(info.len()).unwrap();
            _ = lane.say(&Message::Info { info_hash, total, offset: 0, bytes: info }).await;
        }
    }
}
