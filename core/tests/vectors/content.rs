//! Hashes and metadata. The constants come from `sha256sum` and Python's `hashlib`, not from core.

use bulbil_core::content::Hash;
use bulbil_core::content::merkle::{FileTree, leaf, prove, verify, zero};
use bulbil_core::content::metainfo::{Info, NewFile, write_info};
use bulbil_core::limits::BLOCK_LEN;

/// Bytes of the file that all vectors speak of: three blocks and a bit.
pub(super) const LENGTH: usize = 3 * BLOCK_LEN + 1234;

/// Pieces of one block each.
pub(super) const PIECES: usize = 4;

/// The file's byte at this place.
pub(super) fn byte(at: usize) -> u8 {
    u8::try_from((at * 7 + (at >> 8)) & 0xff).unwrap()
}

/// One block of the file, in `buf`.
pub(super) fn block(number: usize, buf: &mut [u8; BLOCK_LEN]) -> &[u8] {
    let start = number * BLOCK_LEN;
    let len = BLOCK_LEN.min(LENGTH - start);
    for (at, out) in buf.iter_mut().enumerate() {
        *out = byte(start + at);
    }
    &buf[..len]
}

/// SHA-256 of each block.
pub(super) fn leaves() -> [Hash; PIECES] {
    let mut buf = [0; BLOCK_LEN];
    core::array::from_fn(|number| leaf(block(number, &mut buf)))
}

/// The info dictionary, and how long it is.
pub(super) fn info() -> ([u8; 256], usize) {
    let (mut out, mut len) = ([0; 256], 0);
    let mut tree = FileTree::new(0);
    for leaf in leaves() {
        tree.push(leaf);
    }
    let (_, root) = tree.finish();
    let file = NewFile { path: ["f"].into_iter(), length: LENGTH as u64, root };
    let written = write_info("f", 16 * 1024, [file], |bytes| {
        out[len..len + bytes.len()].copy_from_slice(bytes);
        len += bytes.len();
    });
    written.unwrap();
    (out, len)
}

pub(super) fn hashes() {
    assert_eq!(leaf(b"").0, hex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"));
    assert_eq!(zero(1).0, hex("f5a5fd42d16a20302798ef6ed309979b43003d2320d9f0e8ea9831a92759fb4b"));
    assert_eq!(zero(2).0, hex("db56114e00fdd4c1f85c892bf35ac9a89289aaecb1ebd0a96cde606a748b5d71"));
}

pub(super) fn proofs() {
    let leaves = leaves();
    let root = Hash(hex(ROOT));
    for (index, leaf) in leaves.iter().enumerate() {
        let mut proof = [0; 64];
        assert_eq!(prove(&mut leaves.clone(), index, &mut proof), Some(root));
        assert!(verify(*leaf, index as u64, &proof, &root));
        assert!(!verify(*leaf, index as u64 ^ 1, &proof, &root));
        for bit in [0, 77, 511] {
            let mut bent = proof;
            bent[bit / 8] ^= 1 << (bit % 8);
            assert!(!verify(*leaf, index as u64, &bent, &root));
        }
    }
}

pub(super) fn metadata() {
    let (bytes, len) = info();
    let info = Info::parse(&bytes[..len]).unwrap();
    assert_eq!((info.name(), info.pieces(), info.total()), ("f", 4, LENGTH as u64));
    assert_eq!(info.info_hash().0, hex(INFO_HASH));
    assert!(Info::parse(&bytes[..len - 1]).is_err());
}

pub(super) fn hex(text: &str) -> [u8; 32] {
    let digit = |at: usize| (text.as_bytes()[at] as char).to_digit(16).unwrap();
    core::array::from_fn(|at| u8::try_from(digit(2 * at) << 4 | digit(2 * at + 1)).unwrap())
}

const ROOT: &str = "0d68b73c6cb9adc3b1f8b5e973d96e19a5bc0dc8fd1ea4d774234b6a2fa5e325";
const INFO_HASH: &str = "8ccb0543d56228e68aeb1030ea96ce239d99973edec7204f2bed182ec8a0fd2f";
