//! Seeds made by hand whose metadata nobody should believe.

use bulbil_core::hello::Secrets;
use bulbil_core::id::InfoHash;
use bulbil_core::limits::MAX_FRAME;
use bulbil_core::transport::{RecvFrame as _, SendFrame as _};
use bulbil_core::wire::Message;
use sha2::Digest as _;

use super::*;
use crate::link::{Link, Token};
use crate::net::{AccessKey, ServiceKey, Stream};
use crate::node::halves::halves;
use crate::node::open::{self, name_of};

const TOKEN: [u8; 16] = [7; 16];

/// What a seed says of its share.
#[derive(Clone)]
struct Tale {
    info: Vec<u8>,
    /// Of the whole info dictionary, as it says.
    info_hash: InfoHash,
    total: u32,
}

impl Tale {
    /// One whose hash is right.
    fn of(info: Vec<u8>) -> Self {
        let info_hash = InfoHash(sha2::Sha256::digest(&info).into());
        Self { total: u32::try_from(info.len()).unwrap(), info, info_hash }
    }
}

/// An info dictionary with this tree of files.
fn info(tree: &str) -> Vec<u8> {
    format!("d9:file tree{tree}12:meta versioni2e4:name1:n12:piece lengthi16384ee").into_bytes()
}

/// A tree with one file, of so many bytes.
fn file(name: &str, length: u32) -> String {
    let root = "R".repeat(32);
    format!("d{}:{name}d0:d6:lengthi{length}e11:pieces root32:{root}eee", name.len())
}

/// Serves a tale, and gives the link to it.
async fn seed(network: &Memory, tale: Tale) -> String {
    let (key, token) = (ServiceKey::random().unwrap(), Token::from_bytes(TOKEN));
    let network = Network::Memory(network.clone());
    let mut service = network.serve(&key, 80, Some(&AccessKey::derive(&TOKEN))).await.unwrap();
    let address = service.address();
    tokio::task::spawn_local(async move {
        while let Some(stream) = service.accept().await {
            tokio::task::spawn_local(tell(stream, name_of(address), tale.clone()));
        }
    });
    Link { address, public: false, token }.to_string()
}

/// Answers what is asked about the metadata, for as long as somebody asks.
async fn tell(stream: Stream, name: [u8; 34], tale: Tale) {
    let mut halves = halves(stream);
    let known = |_, _| Some(Secrets::new(TOKEN, &[8; 32]));
    open::called(&name, &mut halves, known).await.unwrap();
    let mut buf = vec![0; MAX_FRAME];
    while let Ok(frame) = halves.rx.recv().await {
        let hashes = [0x55; 64];
        let answer = match Message::decode(frame).unwrap() {
            Message::AskInfo(offset) => {
                let bytes = &tale.info[usize::try_from(offset).unwrap()..];
                Message::Info { info_hash: tale.info_hash, total: tale.total, offset, bytes }
            }
            Message::AskHashes { file, index } => {
                Message::Hashes { file, index, hashes: &hashes, uncles: &[] }
            }
            _ => continue,
        };
        if halves.tx.send(answer.encode(&mut buf).unwrap()).await.is_err() {
            return;
        }
        _ = halves.tx.flush().await; // who hung up needs no more
    }
}

/// What is told, and words of the message.
fn tales() -> Vec<(Tale, &'static str)> {
    let root = "R".repeat(32);
    let v1 = b"d6:lengthi5e4:name1:n12:piece lengthi16384e6:pieces20:AAAAAAAAAAAAAAAAAAAAe".to_vec();
    let deep = format!("d1:a{}e", file("..", 5));
    let symlink = "d1:fd0:d4:attr1:l6:lengthi0e12:symlink pathl2:..6:passwdeeee";
    let uneven = info(&file("f", 5)).iter().map(|byte| if *byte == b'1' { b'3' } else { *byte }).collect();
    let good = Tale::of(info(&file("f", 5)));
    let other = Tale { info_hash: InfoHash([9; 32]), ..good.clone() };
    let changed =
        Tale { info: info(&format!("d1:gd0:d6:lengthi5e11:pieces root32:{root}eee")), ..good.clone() };
    let longer = Tale { total: good.total + 1, ..good.clone() };
    let endless = Tale { total: u32::MAX, ..good };
    let forged = "does not match its hash";
    vec![
        (Tale::of(info(&file("..", 5))), "would leave the folder of the share"),
        (Tale::of(info(&deep)), "would leave the folder of the share"),
        (Tale::of(info(&file("../x", 5))), "would be a path of its own"),
        (Tale::of(info(&file("/etc", 5))), "would be a path of its own"),
        (Tale::of(info(symlink)), "symbolic link"),
        (Tale::of(v1), "BitTorrent v1"),
        (Tale::of(uneven), "the share cannot be fetched"),
        (Tale::of(b"no dictionary".to_vec()), "the share cannot be fetched"),
        (other, forged),
        (changed, forged),
        // Two pieces, so their hashes are asked for: they do not fit the file's root.
        (Tale::of(info(&file("f", 20_000))), forged),
        (longer, "spoke of pieces or files that do not exist"),
        (endless, "spoke of pieces or files that do not exist"),
    ]
}

#[tokio::test]
async fn nothing_of_bad_metadata_reaches_the_folder() {
    let set = LocalSet::new();
    set.run_until(async {
        let (network, here) = (Memory::new(), Scratch::new("forged"));
        let out = here.path().join("out");
        fs::create_dir(&out).unwrap();
        let fetcher = start(&network, here.path());
        for (number, (tale, words)) in tales().into_iter().enumerate() {
            let link = seed(&network, tale).await;
            fetcher.fetch(FetchRequest { link, out: out.clone() }).await.unwrap();
            let over = |status: &Status| {
                status.fetches.len() == number + 1 && matches!(last(status), Some(FetchState::Failed(_)))
            };
            let status = until(&fetcher, over).await;
            let Some(FetchState::Failed(why)) = last(&status) else { unreachable!() };
            assert!(why.contains(words), "{number}: {words:?} is not in {why:?}");
            assert!(why.ends_with("ask its owner for a new link"), "{number}: {why}");
            assert_eq!(fs::read_dir(&out).unwrap().count(), 0, "{number}");
        }
    })
    .await;
}
