//! What one answer with hashes costs, and what choosing a block costs, in a share with very many pieces.
//!
//! `cargo run -p bulbil-core --example costs`

use std::hint::black_box;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use bulbil_core::bits::{Bits, words_for};
use bulbil_core::content::{Hash, Layout, Span, layer, merkle};
use bulbil_core::id::{BlockId, InfoHash, PeerKey};
use bulbil_core::limits::{BLOCK_LEN, MAX_FRAME, MAX_HASHES, MAX_PIECES, MAX_UNCLES};
use bulbil_core::store::{Store, StoreError};
use bulbil_core::swarm::{LaneId, Settings, Swarm, block_slots};
use bulbil_core::time::Millis;
use bulbil_core::wire::Message;

type Large = Swarm<Vec<u64>, Vec<Span>, 16, 8>;

/// Blocks received in each measurement.
const BLOCKS: u32 = 300;

/// A share whose blocks are all alike and make up a piece each.
struct Alike(Vec<u8>);

impl Store for Alike {
    fn piece_root(&self, _: u32) -> Option<Hash> {
        Some(merkle::leaf(&self.0))
    }
    fn read(&mut self, _: BlockId, _: &mut [u8], _: &mut [u8]) -> Result<(), StoreError> {
        Err(StoreError::Missing)
    }
    fn write(&mut self, _: BlockId, _: &Hash, _: &[u8]) -> Result<(), StoreError> {
        Ok(())
    }
    fn info(&self, _: u32, _: &mut [u8]) -> usize {
        0
    }
    fn info_hash(&self) -> InfoHash {
        InfoHash([0; 32])
    }
    fn info_len(&self) -> u32 {
        0
    }
    fn hashes(&self, _: u32, _: u32, _: &mut [u8]) -> Option<(usize, usize)> {
        None
    }
}

fn main() -> ExitCode {
    let done = answers(MAX_PIECES).and_then(|()| {
        println!("choosing a block of a piece each, two seeds and fetchers with odd pieces");
        [(196_608, 0), (196_608, 196_000), (MAX_PIECES, 0), (MAX_PIECES, 1_048_000)]
            .into_iter()
            .try_for_each(|(pieces, here)| picks(pieces, here))
    });
    if done.is_some() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// One answer to `AskHashes`, beside hashing the layer once.
fn answers(pieces: u32) -> Option<()> {
    let layer: Vec<u8> = (0..pieces).flat_map(|piece| merkle::leaf(&piece.to_be_bytes()).0).collect();
    let mut crown = vec![0; layer::crown_len(pieces)];
    let start = Instant::now();
    layer::crown(&layer, 0, &mut crown)?;
    let whole = start.elapsed();
    let mut uncles = [0; MAX_UNCLES * 32];
    let start = Instant::now();
    let runs = (0..pieces).step_by(MAX_HASHES);
    let count = u32::try_from(runs.len()).ok()?;
    for index in runs {
        black_box(layer::run(&layer, &crown, 0, index, &mut uncles)?);
    }
    let each = start.elapsed() / count;
    println!(
        "{pieces} pieces: the layer hashed once {whole:.1?}, an answer {each:.1?}, {} bytes kept",
        crown.len()
    );
    Some(())
}

/// Receives blocks of a share of which the first pieces are `here`, and prints what each request took.
fn picks(pieces: u32, here: u32) -> Option<()> {
    let mut store = Alike(vec![7; BLOCK_LEN]);
    let length = u64::from(pieces) * 16 * 1024;
    let span = Span { file: 0, first_piece: 0, length, root: Hash::default() };
    let layout = Layout::new(16 * 1024, vec![span]).ok()?;
    let bits = |len: u32| Bits::new(vec![0; words_for(len)], len).ok();
    let slots = block_slots(&layout)?;
    let mut blocks = bits(slots)?;
    (0..here).for_each(|slot| _ = blocks.set(slot));
    let all = (bits(pieces)?, blocks, bits(slots)?);
    let now = Millis(1_000);
    let mut swarm = Box::new(Large::new(layout, all, PeerKey([0; 32]), Settings::default(), 7, now).ok()?);
    let mut lanes = Vec::new();
    for (peer, held) in [0xff, 0xff, 0x55, 0x33].into_iter().enumerate() {
        let key = PeerKey([u8::try_from(peer).ok()? + 1; 32]);
        let lane = swarm.lane_open(now, key, Some(b"peer"), bits).ok()?;
        exchange(&mut swarm, now, lane, &mut store)?;
        for first in (0..pieces).step_by(BLOCK_LEN * 8) {
            let held = vec![held; usize::try_from((pieces - first).div_ceil(8)).ok()?.min(BLOCK_LEN)];
            hear(&mut swarm, now, lane, &Message::Haves { first, bits: &held }, &mut store)?;
        }
        hear(&mut swarm, now, lane, &Message::Choke(false), &mut store)?;
        lanes.push(lane);
    }
    let (took, asked) = (0..BLOCKS).try_fold((Duration::ZERO, 0), |(took, asked), turn| {
        let lane = *lanes.get(usize::try_from(turn).ok()? % lanes.len())?;
        let (more, requests) = exchange(&mut swarm, now.plus(u64::from(turn)), lane, &mut store)?;
        Some((took + more, asked + requests))
    })?;
    println!("{pieces} pieces, {here} here: {:.1?} a request, {asked} of them", took / asked.max(1));
    Some(())
}

fn hear(
    swarm: &mut Large,
    now: Millis,
    lane: LaneId,
    message: &Message<'_>,
    store: &mut Alike,
) -> Option<()> {
    let mut buf = [0; MAX_FRAME];
    swarm.hear(now, lane, message.encode(&mut buf).ok()?, store).ok().map(|_| ())
}

/// Lets a lane say all it has to say, and answers its requests. Gives the time that asking took, and the requests.
fn exchange(swarm: &mut Large, now: Millis, lane: LaneId, store: &mut Alike) -> Option<(Duration, u32)> {
    let (mut tx, mut wanted) = ([0; MAX_FRAME], Vec::new());
    let (mut took, mut start) = (Duration::ZERO, Instant::now());
    while let Ok(len @ 1..) = swarm.say(now, lane, &mut tx, store) {
        if let Ok(Message::Request(id)) = Message::decode(tx.get(..len)?) {
            wanted.push(id);
            took += start.elapsed();
        }
        start = Instant::now();
    }
    let bytes = store.0.clone();
    for id in &wanted {
        hear(swarm, now, lane, &Message::Block { id: *id, proof: &[], bytes: &bytes }, store)?;
    }
    Some((took, u32::try_from(wanted.len()).ok()?))
}
