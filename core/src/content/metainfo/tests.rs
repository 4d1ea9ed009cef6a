//! Metadata written here and by others, whole and broken.

use std::format;
use std::string::String;
use std::vec::Vec;

use super::*;
use crate::content::Hash;
use crate::content::bencode::BencodeFault;
use crate::content::merkle::{FileTree, leaf};
use crate::content::name::NameError;

const PIECE: u32 = 32 * 1024;

/// Root and layer of a file of this many bytes, all `x`.
fn tree(length: usize) -> (Hash, Vec<u8>) {
    let bytes = std::vec![b'x'; length];
    let mut tree = FileTree::new(1);
    let mut layer: Vec<u8> =
        bytes.chunks(16 * 1024).filter_map(|block| tree.push(leaf(block))).flat_map(|hash| hash.0).collect();
    let (last, root) = tree.finish();
    layer.extend(last.into_iter().flat_map(|hash| hash.0));
    (root, layer)
}

fn info(name: &str, files: &[(&str, usize)]) -> Result<Vec<u8>, WriteError> {
    let mut out = Vec::new();
    let files = files.iter().map(|(path, length)| NewFile {
        path: path.split('/'),
        length: *length as u64,
        root: tree(*length).0,
    });
    write_info(name, PIECE, files, |bytes| out.extend_from_slice(bytes))?;
    Ok(out)
}

fn torrent(info: &[u8], layers: &[(Hash, Vec<u8>)]) -> Vec<u8> {
    let mut out = Vec::new();
    let layers = layers.iter().map(|(root, layer)| (*root, layer.as_slice()));
    write_torrent(info, layers, |bytes| out.extend_from_slice(bytes));
    out
}

/// An info dictionary with this file tree, and this before and after it.
fn raw(tree: &str) -> Vec<u8> {
    format!("d9:file tree{tree}12:meta versioni2e4:name1:n12:piece lengthi32768ee").into_bytes()
}

fn refused(bytes: &[u8]) -> InfoError {
    Info::parse(bytes).unwrap_err()
}

#[test]
fn what_is_written_is_read() {
    let files = [("a/b", 100_000), ("a/c/d", 0), ("a.b", 5), ("é", 32_768)];
    let bytes = info("n", &files).unwrap();
    let info = Info::parse(&bytes).unwrap();
    assert_eq!((info.name(), info.piece_len(), info.file_count(), info.pieces()), ("n", PIECE, 4, 6));
    assert_eq!((info.total(), info.is_single_file()), (132_773, false));
    let read: Vec<(String, u64)> = info
        .files()
        .map(|file| (file.path.components().collect::<Vec<_>>().join("/"), file.length))
        .collect();
    assert_eq!(read, files.map(|(path, length)| (path.into(), length as u64)));
    let spans: Vec<(u32, u32)> = info.spans().map(|span| (span.file, span.first_piece)).collect();
    assert_eq!(spans, [(0, 0), (2, 4), (3, 5)]);
}

#[test]
fn one_file_of_the_shares_name_is_a_single_file() {
    assert!(Info::parse(&info("f", &[("f", 3)]).unwrap()).unwrap().is_single_file());
    assert!(!Info::parse(&info("f", &[("g", 3)]).unwrap()).unwrap().is_single_file());
    assert!(!Info::parse(&info("f", &[("f/f", 3)]).unwrap()).unwrap().is_single_file());
}

#[test]
fn disorder_is_not_written() {
    assert_eq!(info("n", &[("b", 1), ("a", 1)]), Err(WriteError::Order(1)));
    assert_eq!(info("n", &[("a", 1), ("a", 1)]), Err(WriteError::Order(1)));
    assert_eq!(info("n", &[("a", 1), ("a/b", 1)]), Err(WriteError::Order(1)));
    assert_eq!(info("n", &[("a.b", 1), ("a/b", 1)]), Err(WriteError::Order(1)));
    assert_eq!(info("n", &[("a/..", 1)]), Err(WriteError::Name(NameError::Above)));
    assert_eq!(info("", &[("a", 1)]), Err(WriteError::Name(NameError::Empty)));
}

#[test]
fn unknown_keys_and_hybrids_are_read() {
    let file = "d1:ad0:d6:lengthi0e5:mtimei1eeee";
    let hybrid = format!(
        "d9:file tree{file}5:filesle12:meta versioni2e4:name1:n12:piece lengthi16384e6:pieces0:7:privatei1ee"
    );
    assert_eq!(Info::parse(hybrid.as_bytes()).map(|info| info.file_count()), Ok(1));
}

#[test]
fn each_broken_file_is_told_apart() {
    let root = "11:pieces root32:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let leaf = |inner: &str| format!("d1:ad0:d{inner}eee");
    let at = |number, error| InfoError::File { number, error };
    let deep = format!("d{}0:d6:lengthi0eee{}", "1:ad".repeat(66), "e".repeat(66));
    let cases = [
        (leaf(""), at(0, FileError::NoLength)),
        (leaf("6:length1:1"), at(0, FileError::LengthNotNumber)),
        (leaf("6:lengthi-1e"), at(0, FileError::LengthNegative)),
        (leaf(&format!("6:lengthi281474976710657e{root}")), at(0, FileError::TooLong)),
        (leaf("6:lengthi5e"), at(0, FileError::NoRoot)),
        (leaf("6:lengthi5e11:pieces root3:abc"), at(0, FileError::RootNotHash)),
        (leaf(&format!("6:lengthi0e{root}")), at(0, FileError::RootOfNothing)),
        (leaf("4:attr1:l6:lengthi0e"), at(0, FileError::Symlink)),
        (leaf("6:lengthi0e12:symlink pathl1:xe"), at(0, FileError::Symlink)),
        ("d1:ad0:i1eee".into(), at(0, FileError::NotDict)),
        ("d1:ai1ee".into(), at(0, FileError::NotDict)),
        ("d1:adee".into(), at(0, FileError::EmptyFolder)),
        ("d1:ad0:d6:lengthi0ee1:bd0:d6:lengthi0eeeee".into(), at(0, FileError::AlsoFolder)),
        ("d0:d6:lengthi0eee".into(), at(0, FileError::Name(NameError::Empty))),
        ("d2:..d0:d6:lengthi0eeee".into(), at(0, FileError::Name(NameError::Above))),
        ("d1:ad0:d6:lengthi0eee3:b/cd0:d6:lengthi0eeee".into(), at(1, FileError::Name(NameError::Slash))),
        (leaf(&format!("6:lengthi281474976710656e{root}")), InfoError::TooManyPieces),
        ("de".into(), InfoError::NoFiles),
        ("le".into(), InfoError::TreeNotDict),
        ("i1e".into(), InfoError::TreeNotDict),
        (deep, at(0, FileError::TooDeep)),
    ];
    for (tree, error) in cases {
        assert_eq!(refused(&raw(&tree)), error, "{tree}");
    }
}

#[test]
fn each_broken_dictionary_is_told_apart() {
    let tree = "9:file treed1:ad0:d6:lengthi0eeee";
    let with = |rest: &str| format!("d{tree}{rest}e");
    let cases = [
        ("le".into(), InfoError::NotDict),
        ("de".into(), InfoError::NoVersion),
        ("d6:lengthi1e4:name1:n12:piece lengthi16384e6:pieces0:e".into(), InfoError::V1Only),
        ("d12:meta versioni1ee".into(), InfoError::V1Only),
        ("d12:meta versioni3ee".into(), InfoError::Version(3)),
        ("d12:meta version1:2e".into(), InfoError::VersionNotNumber),
        (with("12:meta versioni2e12:piece lengthi16384e"), InfoError::NoName),
        (with("12:meta versioni2e4:namei1e12:piece lengthi16384e"), InfoError::NameNotString),
        (with("12:meta versioni2e4:name2:..12:piece lengthi16384e"), InfoError::Name(NameError::Above)),
        (with("12:meta versioni2e4:name1:n"), InfoError::NoPieceLength),
        (with("12:meta versioni2e4:name1:n12:piece length1:1"), InfoError::PieceLengthNotNumber),
        (with("12:meta versioni2e4:name1:n12:piece lengthi8192e"), InfoError::PieceLengthShort),
        (with("12:meta versioni2e4:name1:n12:piece lengthi-16384e"), InfoError::PieceLengthShort),
        (with("12:meta versioni2e4:name1:n12:piece lengthi16385e"), InfoError::PieceLengthPower),
        (with("12:meta versioni2e4:name1:n12:piece lengthi134217728e"), InfoError::PieceLengthLong),
        ("d12:meta versioni2e4:name1:n12:piece lengthi16384ee".into(), InfoError::NoFileTree),
    ];
    for (info, error) in cases {
        assert_eq!(refused(info.as_bytes()), error, "{info}");
    }
    let trailing = refused(&[raw("d1:ad0:d6:lengthi0eeee"), b"x".to_vec()].concat());
    assert!(matches!(trailing, InfoError::Bencode(error) if error.fault == BencodeFault::Trailing));
}

#[test]
fn torrents_are_checked_whole() {
    let bytes = info("n", &[("long", 100_000), ("short", 5)]).unwrap();
    let (root, layer) = tree(100_000);
    let good = torrent(&bytes, &[(root, layer.clone())]);
    let read = Torrent::parse(&good).unwrap();
    assert_eq!(read.layer(&root), Some(layer.as_slice()));
    assert_eq!(read.info().bytes(), bytes);

    let mut lie = layer.clone();
    lie[40] ^= 1;
    let text = |bytes: &[u8]| Torrent::parse(bytes).unwrap_err();
    assert_eq!(text(&torrent(&bytes, &[])), TorrentError::LayerMissing);
    assert_eq!(text(&torrent(&bytes, &[(root, lie)])), TorrentError::LayerRoot { number: 0 });
    let short = layer[32..].to_vec();
    assert_eq!(text(&torrent(&bytes, &[(root, short)])), TorrentError::LayerLength { number: 0 });
    let mut both = [(root, layer.clone()), tree(5)];
    both.sort_by_key(|(root, _)| *root);
    assert_eq!(text(&torrent(&bytes, &both)), TorrentError::LayerUnused);

    let around = |rest: &[u8]| [b"d4:info", bytes.as_slice(), rest, b"e"].concat();
    assert_eq!(text(&around(b"")), TorrentError::NoLayers);
    assert_eq!(text(&around(b"12:piece layersi1e")), TorrentError::LayersNotDict);
    assert_eq!(text(&around(b"12:piece layersd1:ai1ee")), TorrentError::LayerKey);
    let number = [b"12:piece layersd32:", root.0.as_slice(), b"i1ee"].concat();
    assert_eq!(text(&around(&number)), TorrentError::LayerNotString);
    assert_eq!(text(b"de"), TorrentError::NoInfo);
    assert_eq!(text(b"le"), TorrentError::NotDict);
    assert_eq!(text(b"d4:infolee"), TorrentError::Info(InfoError::NotDict));
}

#[test]
fn more_layers_than_one_batch_are_matched() {
    let names: Vec<String> = (0..300).map(|n| format!("{n:03}")).collect();
    let mut layers: Vec<(Hash, Vec<u8>)> =
        (0..300_u32).map(|n| (n, [leaf(&n.to_be_bytes()).0, leaf(b"").0].concat())).map(rooted).collect();
    let files = names.iter().zip(&layers).map(|(name, (root, _))| NewFile {
        path: [name.as_str()].into_iter(),
        length: 65_536,
        root: *root,
    });
    let mut bytes = Vec::new();
    write_info("n", PIECE, files, |part| bytes.extend_from_slice(part)).unwrap();
    layers.sort_by_key(|(root, _)| *root);
    assert!(Torrent::parse(&torrent(&bytes, &layers)).is_ok());
    layers.pop();
    assert_eq!(Torrent::parse(&torrent(&bytes, &layers)).unwrap_err(), TorrentError::LayerMissing);
}

fn rooted((_, layer): (u32, Vec<u8>)) -> (Hash, Vec<u8>) {
    (crate::content::layer::root(&layer, 1), layer)
}

/// A small generator of pseudo-random numbers (xorshift64*), so that every run tries the same inputs.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).unwrap() % sides
    }
}

#[test]
fn mangled_torrents_never_panic() {
    let bytes = info("n", &[("a/long", 100_000), ("b", 0), ("c", 5)]).unwrap();
    let good = torrent(&bytes, &[tree(100_000)]);
    let mut dice = Dice(0x5eed);
    let rounds = if cfg!(miri) { 20 } else { 20_000 };
    let mut refused = 0;
    for _ in 0..rounds {
        let mut bad = good.clone();
        for _ in 0..=dice.roll(3) {
            let at = dice.roll(bad.len().max(1));
            match dice.roll(4) {
                _ if bad.is_empty() => break,
                0 => bad[at] ^= 1 << dice.roll(8),
                1 => bad[at] = b"deil0123456789:-"[dice.roll(16)],
                2 => drop(bad.remove(at)),
                _ => bad.truncate(at.max(1)),
            }
        }
        match Torrent::parse(&bad) {
            // Whatever passes must hold together.
            Ok(torrent) => assert_eq!(torrent.info().files().count(), torrent.info().file_count() as usize),
            Err(error) => {
                refused += 1;
                assert!(!format!("{error}").is_empty());
            }
        }
    }
    assert!(refused > rounds / 2);
}
