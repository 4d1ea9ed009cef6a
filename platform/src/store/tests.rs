//! The store suite: whatever happens to the disk, no wrong byte is handed out and no right one is lost.

mod damage;
mod waits;

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{FileExt, symlink};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use bulbil_core::content::merkle;
use bulbil_core::id::BlockId;
use bulbil_core::limits::{BLOCK_LEN, MAX_HASHES, MAX_UNCLES};
use bulbil_core::store::{Store, StoreError};

use super::*;
use crate::config::Fsync;
use crate::hash;
use crate::sys::scratch::Scratch;

const BLOCK: usize = BLOCK_LEN;

/// Files around every block and piece boundary, empty ones and deep ones; 32 KiB pieces.
const FILES: [(&str, usize); 9] = [
    ("a/empty", 0),
    ("a/one", 1),
    ("b/block", BLOCK),
    ("b/block and one", BLOCK + 1),
    ("c/d/e/piece", 2 * BLOCK),
    ("c/piece less one", 2 * BLOCK - 1),
    ("c/pieces", 7 * BLOCK + 5),
    ("five pieces", 10 * BLOCK),
    ("z/ü/last", 3 * BLOCK),
];

fn bytes(seed: usize, length: usize) -> Vec<u8> {
    let mut state = u64::try_from(seed).unwrap() * 0x9e37_79b9 + 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state.to_be_bytes()[0]
    };
    (0..length).map(|_| next()).collect()
}

/// A source share named `share` and what describes it.
struct Source {
    scratch: Scratch,
    content: Arc<Content>,
    served: Served,
}

fn source(files: &[(&str, usize)]) -> Source {
    let scratch = Scratch::new("store");
    for (seed, (path, length)) in files.iter().enumerate() {
        let path = scratch.path().join("share").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes(seed, *length)).unwrap();
    }
    serve(scratch, "share")
}

fn serve(scratch: Scratch, name: &str) -> Source {
    let hashed = hash::run(&[scratch.path().join(name)], None, Some(32 * 1024), |_, _| {}).unwrap();
    let files = hashed.files.iter().map(|file| file.source.clone()).collect();
    let content = Arc::new(Content::new(hashed.info, hashed.layers).unwrap());
    let served = Served::new(Arc::clone(&content), files);
    Source { scratch, content, served }
}

fn block(store: &mut impl Store, content: &Content, id: BlockId) -> Result<(Vec<u8>, Vec<u8>), StoreError> {
    let mut out = vec![0; content.layout().block_len(id).unwrap()];
    let mut proof = vec![0; content.layout().proof_len(id.piece).unwrap() * 32];
    store.read(id, &mut proof, &mut out)?;
    Ok((out, proof))
}

/// Copies a block as a peer would, and checks its proof.
fn copy(source: &mut Source, target: &mut Fetched, id: BlockId) -> Result<(), StoreError> {
    let (bytes, proof) = block(&mut source.served, &source.content, id).unwrap();
    let (leaf, root) = (merkle::leaf(&bytes), source.served.piece_root(id.piece).unwrap());
    assert!(merkle::verify(leaf, u64::from(id.block), &proof, &root));
    target.write(id, &leaf, &bytes)
}

fn fetched(source: &Source, out: &Path) -> Fetched {
    Fetched::open(Arc::clone(&source.content), out, Fsync::Never).unwrap()
}

/// As a node does it.
fn finish(target: &mut Fetched) {
    if let Some(flush) = target.last_flush().unwrap() {
        flush.run().unwrap();
    }
    if let Some(tidy) = target.finish().unwrap() {
        tidy.run().unwrap();
    }
}

fn same(source: &Source, out: &Path, files: &[(&str, usize)]) {
    for (seed, (path, length)) in files.iter().enumerate() {
        assert_eq!(fs::read(out.join("share").join(path)).unwrap(), bytes(seed, *length), "{path}");
    }
    assert!(!out.join(".share.bulbil").exists());
    assert_eq!(source.content.name(), "share");
}

#[test]
fn every_block_crosses_and_the_share_appears_whole() {
    let mut source = source(&FILES);
    let out = Scratch::new("store");
    let mut target = fetched(&source, out.path());
    for id in source.content.clone().blocks() {
        assert!(!target.has(id) && !out.path().join("share").exists());
        copy(&mut source, &mut target, id).unwrap();
        assert!(target.has(id));
    }
    assert_eq!(target.done(), source.content.layout().total());
    finish(&mut target);
    assert!(target.is_finished());
    same(&source, out.path(), &FILES);
    for id in source.content.blocks() {
        assert_eq!(block(&mut target, &source.content, id), block(&mut source.served, &source.content, id));
    }
}

#[test]
fn a_single_file_lies_directly_in_the_folder() {
    let scratch = Scratch::new("store");
    fs::write(scratch.path().join("share"), bytes(0, 5 * BLOCK + 1)).unwrap();
    let mut source = serve(scratch, "share");
    let out = Scratch::new("store");
    let mut target = fetched(&source, out.path());
    source.content.clone().blocks().for_each(|id| copy(&mut source, &mut target, id).unwrap());
    finish(&mut target);
    assert_eq!(fs::read(out.path().join("share")).unwrap(), bytes(0, 5 * BLOCK + 1));
}

#[test]
fn an_unfinished_fetch_serves_its_whole_pieces_only() {
    let mut source = source(&[("file", 4 * BLOCK)]);
    let out = Scratch::new("store");
    let mut target = fetched(&source, out.path());
    for (piece, number) in [(0, 0), (1, 1), (1, 0)] {
        copy(&mut source, &mut target, BlockId { piece, block: number }).unwrap();
    }
    assert!(!target.has_piece(0) && target.has_piece(1));
    assert_eq!(block(&mut target, &source.content, BlockId { piece: 0, block: 0 }), Err(StoreError::Missing));
    let id = BlockId { piece: 1, block: 1 };
    assert_eq!(block(&mut target, &source.content, id), block(&mut source.served, &source.content, id));
}

/// Cuts power after every block: the process is gone, and of what it wrote last any part may be missing.
#[test]
fn power_loss_at_every_block_costs_only_what_is_not_on_disk() {
    let mut source = source(&FILES);
    let out = Scratch::new("store");
    let ids: Vec<_> = source.content.blocks().collect();
    for (count, id) in ids.iter().enumerate() {
        // A new process each time, which must find every block but the one spoilt below.
        let mut target = fetched(&source, out.path());
        let lost = count.saturating_sub(1);
        for (at, earlier) in ids.iter().enumerate().take(count) {
            let spoilt = at == lost && count > 0 && count % 2 == 0;
            assert_eq!(target.has(*earlier), !spoilt, "block {at} after {count}");
        }
        for again in ids.iter().take(count) {
            copy(&mut source, &mut target, *again).unwrap();
        }
        copy(&mut source, &mut target, *id).unwrap();
        drop(target);
        if count % 2 == 1 {
            // The leaf reached the disk, the data did not: data is zeros again.
            spoil(&source, out.path(), *id);
        }
    }
}

/// Overwrites the first byte of a block in an unfinished fetch.
fn spoil(source: &Source, out: &Path, id: BlockId) {
    let (place, offset) = source.content.layout().offset(id).unwrap();
    let span = source.content.layout().spans()[place];
    let path = &source.content.paths()[usize::try_from(span.file).unwrap()];
    let file =
        OpenOptions::new().read(true).write(true).open(out.join(".share.bulbil/data").join(path)).unwrap();
    let mut first = [0];
    file.read_exact_at(&mut first, offset).unwrap();
    file.write_all_at(&[!first[0]], offset).unwrap();
}

#[test]
fn a_flipped_bit_in_the_ledger_costs_that_block() {
    let mut source = source(&[("file", 8 * BLOCK)]);
    let out = Scratch::new("store");
    let mut target = fetched(&source, out.path());
    let ids: Vec<_> = source.content.blocks().collect();
    for id in &ids {
        copy(&mut source, &mut target, *id).unwrap();
    }
    drop(target);
    let path = out.path().join(".share.bulbil/leaves");
    let leaves = fs::read(&path).unwrap();
    for bit in (0..leaves.len() * 8).step_by(67) {
        let mut flipped = leaves.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, &flipped).unwrap();
        let target = fetched(&source, out.path());
        for (at, id) in ids.iter().enumerate() {
            assert_eq!(target.has(*id), at != bit / 256, "bit {bit}, block {at}");
        }
    }
}

#[test]
fn a_forged_block_with_its_own_leaf_does_not_survive_its_piece() {
    let mut source = source(&[("file", 4 * BLOCK)]);
    let out = Scratch::new("store");
    let mut target = fetched(&source, out.path());
    let forged = vec![7; BLOCK];
    target.write(BlockId { piece: 0, block: 0 }, &merkle::leaf(&forged), &forged).unwrap();
    assert_eq!(copy(&mut source, &mut target, BlockId { piece: 0, block: 1 }), Err(StoreError::Changed));
    assert!(!target.has(BlockId { piece: 0, block: 0 }) && target.done() == 0);
}

#[test]
fn a_file_changed_while_shared_is_an_error_of_its_own() {
    let change: [fn(&Path); 4] = [
        |path| fs::write(path, bytes(9, 4 * BLOCK)).unwrap(),
        |path| OpenOptions::new().write(true).open(path).unwrap().set_len(100).unwrap(),
        |path| fs::write(path, bytes(0, 4 * BLOCK + 1)).unwrap(),
        |path| fs::remove_file(path).unwrap(),
    ];
    for change in change {
        let mut source = source(&[("file", 4 * BLOCK), ("other", 4 * BLOCK)]);
        let first = BlockId { piece: 0, block: 0 };
        block(&mut source.served, &source.content, first).unwrap();
        change(&source.scratch.path().join("share/file"));
        // A removed file may be served as long as it is mapped; a new look finds out.
        source.served = Served::new(
            Arc::clone(&source.content),
            ["file", "other"].map(|name| source.scratch.path().join("share").join(name)).to_vec(),
        );
        assert_eq!(block(&mut source.served, &source.content, first), Err(StoreError::Changed));
        block(&mut source.served, &source.content, BlockId { piece: 2, block: 0 }).unwrap();
    }
}

#[test]
fn a_file_cut_under_the_map_is_an_error_and_the_node_lives() {
    let mut source = source(&[("file", 8 * BLOCK)]);
    let id = BlockId { piece: 3, block: 1 };
    block(&mut source.served, &source.content, id).unwrap();
    let path = source.scratch.path().join("share/file");
    OpenOptions::new().write(true).open(path).unwrap().set_len(10).unwrap();
    assert_eq!(block(&mut source.served, &source.content, id), Err(StoreError::Changed));
}

#[test]
fn whatever_has_the_name_already_is_left_alone() {
    let source = source(&[("file", 4 * BLOCK)]);
    let out = Scratch::new("store");
    fs::write(out.path().join("share"), "precious").unwrap();
    let refused = Fetched::open(Arc::clone(&source.content), out.path(), Fsync::Never);
    assert!(matches!(refused, Err(OpenError::Exists(_))));
    assert_eq!(fs::read(out.path().join("share")).unwrap(), b"precious");
}

#[test]
fn a_name_taken_during_the_fetch_is_not_overwritten() {
    let mut source = source(&[("file", 4 * BLOCK)]);
    let out = Scratch::new("store");
    let mut target = fetched(&source, out.path());
    source.content.clone().blocks().for_each(|id| copy(&mut source, &mut target, id).unwrap());
    fs::write(out.path().join("share"), "precious").unwrap();
    assert!(matches!(target.finish(), Err(OpenError::Exists(_))));
    assert_eq!(fs::read(out.path().join("share")).unwrap(), b"precious");
    fs::remove_file(out.path().join("share")).unwrap();
    finish(&mut target);
    same(&source, out.path(), &[("file", 4 * BLOCK)]);
}

#[test]
fn the_finished_share_is_found_again() {
    let mut source = source(&FILES);
    let out = Scratch::new("store");
    let mut target = fetched(&source, out.path());
    source.content.clone().blocks().for_each(|id| copy(&mut source, &mut target, id).unwrap());
    assert!(Fetched::saved(out.path(), "share", source.content.info_hash()).is_some());
    finish(&mut target);
    let again = fetched(&source, out.path());
    assert!(again.is_finished() && again.done() == source.content.layout().total());
    assert!(Fetched::saved(out.path(), "share", source.content.info_hash()).is_none());
}

#[test]
fn links_planted_in_the_folder_lead_nowhere() {
    let mut source = source(&[("deep/file", 4 * BLOCK)]);
    let (out, elsewhere) = (Scratch::new("store"), Scratch::new("store"));
    drop(fetched(&source, out.path()));
    let data = out.path().join(".share.bulbil/data");
    fs::remove_dir_all(data.join("deep")).unwrap();
    symlink(elsewhere.path(), data.join("deep")).unwrap();
    let refused = Fetched::open(Arc::clone(&source.content), out.path(), Fsync::Never);
    assert!(matches!(refused, Err(OpenError::Write(..))));
    fs::remove_file(data.join("deep")).unwrap();
    let mut target = fetched(&source, out.path());
    fs::remove_dir_all(data.join("deep")).unwrap();
    symlink(elsewhere.path(), data.join("deep")).unwrap();
    assert_eq!(copy(&mut source, &mut target, BlockId { piece: 0, block: 0 }), Err(StoreError::Failed));
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
}

#[test]
fn another_share_of_the_same_name_waits_its_turn() {
    let (one, two) = (source(&[("file", 4 * BLOCK)]), source(&[("file", 5 * BLOCK)]));
    let out = Scratch::new("store");
    drop(fetched(&one, out.path()));
    let refused = Fetched::open(Arc::clone(&two.content), out.path(), Fsync::Never);
    assert!(matches!(refused, Err(OpenError::Other(_))));
}

#[test]
fn layers_are_handed_out_as_they_are_verified() {
    let source = source(&[("big", 5_000 * BLOCK)]);
    let span = source.content.layout().spans()[0];
    let pieces = source.content.layout().pieces();
    let mut out = vec![0; (MAX_HASHES + MAX_UNCLES) * 32];
    for index in (0..pieces).step_by(MAX_HASHES) {
        let (hashes, uncles) = source.served.hashes(0, index, &mut out).unwrap();
        let (run, above) = (&out[..hashes], &out[hashes..hashes + uncles]);
        assert!(bulbil_core::content::layer::verify_run(&span.root, pieces, 1, index, run, above));
    }
    assert_eq!(source.served.hashes(0, 1, &mut out), None);
    assert_eq!(source.served.hashes(1, 0, &mut out), None);
    let mut info = vec![0; usize::try_from(source.served.info_len()).unwrap()];
    assert_eq!(source.served.info(0, &mut info), info.len());
    assert_eq!(source.served.info(u32::MAX, &mut info), 0);
}

const NO_ROOM: &str = "BULBIL_TEST_NO_ROOM";

/// Runs again in a process of its own, whose files may not grow over 64 KiB: a full disk for whoever writes.
#[test]
fn no_room_is_an_error_that_keeps_what_was_verified() {
    if std::env::var_os(NO_ROOM).is_some() {
        return no_room();
    }
    let name = "store::tests::no_room_is_an_error_that_keeps_what_was_verified";
    let this = std::env::current_exe().unwrap();
    let ran = Command::new(this).args(["--exact", name, "--nocapture"]).env(NO_ROOM, "1").output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    assert!(String::from_utf8_lossy(&ran.stdout).contains("1 passed"));
}

fn no_room() {
    let mut source = source(&[("file", 4 * BLOCK), ("more", 8 * BLOCK)]);
    let out = Scratch::new("store");
    let mut target = fetched(&source, out.path());
    let ids: Vec<_> = source.content.blocks().collect();
    crate::sys::process::harden().unwrap();
    crate::sys::process::limit_files(4 * 16_384).unwrap();
    let mut kept = Vec::new();
    for id in &ids {
        match copy(&mut source, &mut target, *id) {
            Ok(()) => kept.push(*id),
            Err(error) => assert_eq!(error, StoreError::Full),
        }
    }
    assert_eq!(kept.len(), 8, "the first file and the first half of the second fit");
    drop(target);
    // What was kept is there for the next process, and new room is found out about at once.
    let again = fetched(&source, out.path());
    assert!(ids.iter().all(|id| again.has(*id) == kept.contains(id)));
    let other = Scratch::new("store");
    let refused = Fetched::open(Arc::clone(&source.content), other.path(), Fsync::Never);
    assert!(matches!(refused, Err(OpenError::Full(..))), "{refused:?}");
}

#[test]
fn a_piece_is_hashed_elsewhere_and_then_not_again() {
    let mut source = source(&FILES);
    let piece = source.content.layout().spans().iter().find(|span| span.length > 9 * BLOCK as u64).unwrap();
    let (piece, place) = (piece.first_piece, source.scratch.path().join("share/five pieces"));
    let first = BlockId { piece, block: 0 };
    let warm = source.served.warming(piece).unwrap().run().unwrap();
    source.served.warmed(warm);
    assert!(source.served.warming(piece).is_none() && source.served.warming(piece + 1).is_some());
    // The other block of the piece changes: whoever hashed the piece again would see it.
    OpenOptions::new().write(true).open(&place).unwrap().write_all_at(&[0x55; BLOCK], BLOCK as u64).unwrap();
    let (_, proof) = block(&mut source.served, &source.content, first).unwrap();
    assert_eq!(proof.len(), 32);
    let second = block(&mut source.served, &source.content, BlockId { piece, block: 1 });
    assert_eq!(second.unwrap_err(), StoreError::Changed);
    let warming = source.served.warming(piece).unwrap();
    assert_eq!(warming.run().unwrap_err(), StoreError::Changed);
    fs::remove_file(&place).unwrap();
    assert_eq!(source.served.warming(piece).unwrap().run().unwrap_err(), StoreError::Changed);
    assert!(source.served.warming(source.content.layout().pieces()).is_none());
}
