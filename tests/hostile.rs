//! A member of the swarm that corrupts one block in ten. It came in with the link, and others heard of it from the
//! seed like of any other.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "all of this file is a test")]

mod raw;

use std::cell::{Cell, RefCell};
use std::fs;
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use bulbil::hash;
use bulbil::net::{Address, ServiceKey, Stream};
use bulbil::store::{Content, Served};
use bulbil_core::hello::Hello;
use bulbil_core::id::BlockId;
use bulbil_core::limits::BLOCK_LEN;
use bulbil_core::store::Store;
use bulbil_core::wire::Message;
use bulbil_tests::content;
use bulbil_tests::net::{Network, Shape};
use bulbil_tests::node::{COMMAND_LIMIT, Node, Settings};
use bulbil_tests::scratch::Scratch;
use bulbil_tests::talk::Talk;
use bulbil_tests::wait::found;
use raw::{Lane, PATIENCE, Raw, name_of};
use tokio::task::{LocalSet, spawn_local};

const SIZE: u64 = 6 << 20;

/// Slow enough that much is left to be asked of the other one.
const LIMIT: &str = "[swarm]\nupload_limit = \"192 KiB\"\n";

/// One block in so many is corrupted.
const EVERY: usize = 10;

/// Of the key by which it is known to its callers, and of one that nobody sees.
const SEED: u8 = 200;
const DECOY: u8 = 201;

#[test]
fn corrupt_blocks_never_reach_the_disk() {
    let network = Network::start(Shape::default()).unwrap();
    let files = Scratch::new("files").unwrap();
    let path = files.join("film.bin");
    let sha256 = content::write_file(&path, SIZE, 1).unwrap();
    let slow = Settings { more: LIMIT.to_owned(), ..Settings::named("seed") };
    let seed = Node::start(&network, slow).unwrap();
    let link = seed.share(&path).unwrap();
    seed.wait_reachable(&link).unwrap();
    let fetcher = Node::start(&network, Settings::named("fetcher")).unwrap();
    let out = Scratch::new("out").unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        let raw = Raw::start(&network, &link).await.unwrap();
        let hostile = Rc::new(Hostile::new(raw, &path));
        Rc::clone(&hostile).join().await.unwrap();
        let fetching = fetcher.begin(&["fetch", &link, "--out", text(out.path())]).unwrap();
        let folder = out.path().to_owned();
        // The node is watched by a thread of its own, so that the hostile peer goes on talking meanwhile.
        let watching = tokio::task::spawn_blocking(move || watch(fetcher, fetching, &folder));
        let (fetcher, seen) = watching.await.unwrap();
        assert_eq!(content::digest(&out.join("film.bin")).unwrap(), sha256);
        judge(&fetcher, &hostile, &seen);
    });
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Follows the fetch to its end. Returns what was on disk when the hostile peer had been dropped.
fn watch(fetcher: Node, mut fetching: Talk, out: &Path) -> (Node, Vec<u8>) {
    found(COMMAND_LIMIT, "a peer to be dropped", || {
        let dropped = fetcher.status()?["dropped"].clone();
        Ok(dropped.as_array().is_some_and(|dropped| !dropped.is_empty()).then_some(()))
    })
    .unwrap();
    let seen = fs::read(out.join(".film.bin.bulbil/data")).unwrap();
    let said = fetching.end(COMMAND_LIMIT).unwrap();
    assert_eq!(said.code, Some(0), "{said:?}");
    (fetcher, seen)
}

fn judge(fetcher: &Node, hostile: &Hostile, seen: &[u8]) {
    let corrupted = hostile.corrupted.borrow();
    println!("it was asked for {} blocks and corrupted {}", hostile.asked.get(), corrupted.len());
    assert!(!corrupted.is_empty(), "nobody asked the hostile peer for enough blocks");
    for (at, bytes) in corrupted.iter() {
        let at = usize::try_from(*at).unwrap();
        let disk = &seen[at..at + bytes.len()];
        let good = &hostile.bytes[at..at + bytes.len()];
        assert!(
            disk == good || disk.iter().all(|byte| *byte == 0),
            "the corrupt block at {at} reached the disk"
        );
    }
    let status = fetcher.status().unwrap();
    let dropped = status["dropped"].as_array().unwrap();
    assert_eq!(dropped.len(), 1, "{status}");
    assert_eq!(dropped[0]["why"], "sent a block that does not match its hash");
    let named = format!("dropped peer {}: it sent a block that does not match its hash", dropped[0]["id"]);
    assert!(fetcher.log().unwrap().contains(&named), "{named}");
    let fetch = fetcher.last_fetch().unwrap();
    let received = fetch["downloaded"].as_u64().unwrap();
    assert!(received < SIZE + SIZE / 8, "one bad peer cost {} bytes", received - SIZE);
}

/// See the file.
struct Hostile {
    raw: Raw,
    store: RefCell<Served>,
    /// Of the whole file.
    bytes: Vec<u8>,
    asked: Cell<usize>,
    /// Where each corrupted block belongs, and what was sent for it.
    corrupted: RefCell<Vec<(u64, Vec<u8>)>>,
}

impl Hostile {
    fn new(raw: Raw, path: &Path) -> Self {
        let hashed = hash::run(&[path.to_owned()], None, None, |_, _| ()).unwrap();
        let content = Arc::new(Content::new(hashed.info, hashed.layers).unwrap());
        let store = RefCell::new(Served::new(content, vec![path.to_owned()]));
        let bytes = fs::read(path).unwrap();
        Self { raw, store, bytes, asked: Cell::new(0), corrupted: RefCell::default() }
    }

    /// Becomes a member: has a service of its own, and tells the seed its name.
    async fn join(self: Rc<Self>) -> io::Result<()> {
        let key = ServiceKey::random().map_err(io::Error::other)?;
        let served = self.raw.net.serve(&key, 80, Some(&self.raw.access())).await;
        let mut service = served.map_err(io::Error::other)?;
        let address = service.address();
        let mut reachable = service.reachable();
        tokio::time::timeout(PATIENCE, reachable.wait_for(|up| *up))
            .await
            .map_err(io::Error::other)?
            .map_err(io::Error::other)?;
        let guests = Rc::clone(&self);
        spawn_local(async move {
            while let Some(stream) = service.accept().await {
                let host = Rc::clone(&guests);
                spawn_local(async move {
                    if let Ok(lane) = host.welcome(stream, address).await {
                        _ = host.serve(lane).await; // until it is thrown out
                    }
                });
            }
        });
        let mut lane = self.raw.call().await?;
        lane.say(&Message::Join).await?;
        lane.say(&Message::Haves { first: 0, bits: &self.everything() }).await?;
        let mut name = vec![34];
        name.extend(name_of(address));
        lane.say(&Message::Peers(&name)).await?;
        spawn_local(async move { while lane.recv().await.is_ok() {} });
        Ok(())
    }

    /// Opens the conversation with who called.
    async fn welcome(&self, stream: Stream, service: Address) -> io::Result<Lane> {
        let mut lane = Lane { stream };
        let hello = Hello::listen(self.raw.secrets(DECOY), &name_of(service), [self.raw.next(); 32]);
        lane.shake(hello, || Some(self.raw.secrets(SEED))).await?;
        Ok(lane)
    }

    /// One bit for each piece.
    fn everything(&self) -> Vec<u8> {
        let pieces = self.store.borrow().content().layout().pieces();
        (0..pieces.div_ceil(8))
            .map(|byte| (0xff00_u16 >> (pieces - byte * 8).min(8)).to_le_bytes()[0])
            .collect()
    }

    /// Answers whoever called, well enough to be asked again.
    async fn serve(&self, mut lane: Lane) -> io::Result<()> {
        loop {
            let frame = lane.recv().await?;
            match Message::decode(&frame) {
                Ok(Message::Join) => {
                    lane.say(&Message::Haves { first: 0, bits: &self.everything() }).await?;
                    lane.say(&Message::Choke(false)).await?;
                }
                Ok(Message::Request(id)) => {
                    let (proof, bytes) = self.block(id);
                    lane.say(&Message::Block { id, proof: &proof, bytes: &bytes }).await?;
                }
                _ => {}
            }
        }
    }

    fn block(&self, id: BlockId) -> (Vec<u8>, Vec<u8>) {
        let mut store = self.store.borrow_mut();
        let layout = store.content().layout().clone();
        let mut proof = vec![0; layout.proof_len(id.piece).unwrap() * 32];
        let mut bytes = vec![0; layout.block_len(id).unwrap()];
        store.read(id, &mut proof, &mut bytes).unwrap();
        self.asked.set(self.asked.get() + 1);
        if self.asked.get().is_multiple_of(EVERY) {
            bytes[self.asked.get() % BLOCK_LEN] ^= 0x10;
            let (_, at) = layout.offset(id).unwrap();
            self.corrupted.borrow_mut().push((at, bytes.clone()));
        }
        (proof, bytes)
    }
}
