//! Content against a foreign program: the `libtorrent` wheel hashes, writes and reads the same trees as we do.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::format_push_string,
    reason = "a test that cannot go on should stop where it is"
)]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use bulbil::check::{self, Fault};
use bulbil::hash::{self, HashError};

/// Trees compared.
const TREES: usize = 220;

/// Version of the wheel that the comparison was made with.
const WHEEL: &str = "libtorrent==2.1.1";

/// Reads lines of `folder TAB piece length TAB our torrent`, writes its own torrent beside ours with `.theirs` added,
/// and prints its info-hash of the folder and of our torrent.
const FOREIGN: &str = r"
import os, sys, warnings
warnings.simplefilter('ignore')
import libtorrent as lt
for line in sys.stdin:
    path, piece, ours = line.rstrip('\n').split('\t')
    files = lt.file_storage()
    lt.add_files(files, path)
    maker = lt.create_torrent(files, piece_size=int(piece), flags=lt.create_torrent.v2_only)
    lt.set_piece_hashes(maker, os.path.dirname(path))
    theirs = lt.bencode(maker.generate())
    open(ours + '.theirs', 'wb').write(theirs)
    print(lt.torrent_info(lt.bdecode(theirs)).info_hashes().v2, lt.torrent_info(ours).info_hashes().v2)
";

/// Pseudo-random numbers (xorshift64*): every run makes the same trees.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % sides
    }

    fn pick<'t>(&mut self, from: &[&'t str]) -> &'t str {
        from[usize::try_from(self.roll(from.len() as u64)).unwrap()]
    }

    /// A size at, just under or just over a boundary of blocks or pieces, or anything small.
    fn size(&mut self, piece: u64) -> u64 {
        let unit = [16_384, piece][usize::try_from(self.roll(2)).unwrap()];
        match self.roll(8) {
            0 => 0,
            1 => self.roll(100_000),
            _ => (unit * (1 + self.roll(4)) + self.roll(3)).saturating_sub(1),
        }
    }

    fn fill(&mut self, size: u64) -> Vec<u8> {
        (0..size).map(|_| self.roll(256).to_le_bytes()[0]).collect()
    }
}

/// A folder of its own below the target folder, empty.
fn scratch(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// A Python that has the wheel.
fn python() -> PathBuf {
    bulbil_tests::python::with("libtorrent", WHEEL, Path::new(env!("CARGO_TARGET_TMPDIR"))).unwrap()
}

fn make_tree(dice: &mut Dice, folder: &Path, piece: u64) {
    const NAMES: [&str; 12] =
        ["a", "a.b", "b", "B", "naïve", "日本語", "☃ snow", "zz", "a-b", ".dot", "ünï", "Ω"];
    // One file that is surely not empty: some versions of the wheel refuse shares of no bytes.
    let count = 1 + dice.roll(6);
    for number in 0..count {
        let mut path = folder.to_path_buf();
        for _ in 0..dice.roll(4) {
            path.push(format!("d{}", dice.pick(&NAMES)));
        }
        if dice.roll(20) == 0 {
            (0..20).for_each(|_| path.push("deep"));
        }
        fs::create_dir_all(&path).unwrap();
        path.push(format!("{}{number}", dice.pick(&NAMES)));
        let size = dice.size(piece).max(u64::from(number == 0));
        fs::write(path, dice.fill(size)).unwrap();
    }
}

#[test]
fn agrees_with_libtorrent() {
    let root = scratch("agree");
    let mut dice = Dice(0xb01b_11d5);
    let mut lines = String::new();
    let mut ours = Vec::new();
    for number in 0..TREES {
        let piece = 16_384_u32 << dice.roll(7);
        let tree = root.join(format!("tree {number}"));
        if number % 10 == 0 {
            let size = dice.size(u64::from(piece)).max(1);
            fs::write(&tree, dice.fill(size)).unwrap();
        } else {
            fs::create_dir(&tree).unwrap();
            make_tree(&mut dice, &tree, u64::from(piece));
        }
        let hashed = hash::run(std::slice::from_ref(&tree), None, Some(piece), |_, _| {}).unwrap();
        let torrent = root.join(format!("{number}.torrent"));
        fs::write(&torrent, hashed.torrent()).unwrap();
        lines.push_str(&format!("{}\t{piece}\t{}\n", tree.display(), torrent.display()));
        ours.push((hashed.info_hash.to_string(), torrent, tree));
    }
    let answers = ask_foreign(&lines);
    assert_eq!(answers.lines().count(), TREES);
    for ((hash, torrent, tree), answer) in ours.iter().zip(answers.lines()) {
        assert_eq!(answer, format!("{hash} {hash}"), "{}", tree.display());
        let theirs = torrent.with_extension("torrent.theirs");
        for torrent in [torrent, &theirs] {
            let report = check::run(torrent, Some(tree), |_, _| {}).unwrap();
            assert_eq!((report.error.as_deref(), report.matches), (None, Some(true)), "{report:?}");
            assert_eq!(report.info_hash.as_deref(), Some(hash.as_str()));
            assert_eq!(report.extra, [""; 0]);
        }
    }
}

fn ask_foreign(lines: &str) -> String {
    let mut child = Command::new(python())
        .args(["-c", FOREIGN])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let lines = lines.to_owned();
    let feeder = std::thread::spawn(move || input.write_all(lines.as_bytes()));
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap().unwrap();
    assert!(output.status.success(), "libtorrent failed");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn damage_is_found_and_named() {
    let root = scratch("damage");
    let share = root.join("share");
    fs::create_dir_all(share.join("d")).unwrap();
    let mut dice = Dice(7);
    let whole = dice.fill(100_000);
    fs::write(share.join("a"), dice.fill(5)).unwrap();
    fs::write(share.join("d/b"), &whole).unwrap();
    let hashed = hash::run(std::slice::from_ref(&share), None, Some(32_768), |_, _| {}).unwrap();
    let torrent = hashed.torrent();
    let bad = || check::check(&torrent, Some(&root), |_, _| {}).unwrap().bad.unwrap();

    let mut changed = whole.clone();
    changed[70_000] ^= 1;
    fs::write(share.join("d/b"), &changed).unwrap();
    let found = bad();
    assert_eq!(
        (found.path.as_str(), found.fault, found.block, found.last_block),
        ("d/b", Fault::Content, 4, 5)
    );
    changed = whole.clone();
    changed[99_999] ^= 1;
    fs::write(share.join("d/b"), &changed).unwrap();
    assert_eq!((bad().fault, bad().block, bad().last_block), (Fault::Content, 6, 6));
    fs::write(share.join("d/b"), &whole[..50_000]).unwrap();
    assert_eq!((bad().fault, bad().block), (Fault::Length, 3));
    fs::write(share.join("d/b"), [whole.as_slice(), b"x"].concat()).unwrap();
    assert_eq!((bad().fault, bad().block), (Fault::Length, 6));
    fs::remove_file(share.join("d/b")).unwrap();
    assert_eq!(bad().fault, Fault::Missing);
    fs::create_dir(share.join("d/b")).unwrap();
    assert_eq!(bad().fault, Fault::NotFile);
    fs::remove_dir(share.join("d/b")).unwrap();
    fs::write(share.join("d/b"), &whole).unwrap();
    fs::write(share.join("d/c"), b"more").unwrap();
    let report = check::check(&torrent, Some(&share), |_, _| {}).unwrap();
    assert!(report.is_good());
    assert_eq!(report.extra, ["d/c"]);
}

#[test]
fn what_cannot_be_shared_is_told_apart() {
    let root = scratch("refuse");
    let run = |name: &str| hash::run(&[root.join(name)], None, None, |_, _| {}).unwrap_err();
    let folder = |name: &str| fs::create_dir_all(root.join(name)).unwrap();
    assert!(matches!(run("none"), HashError::Io { .. }));
    folder("empty/er");
    assert!(matches!(run("empty"), HashError::NoFiles));
    folder("link");
    std::os::unix::fs::symlink("/etc/hostname", root.join("link/out")).unwrap();
    assert!(matches!(run("link"), HashError::Symlink(_)));
    folder("socket");
    let _socket = std::os::unix::net::UnixListener::bind(root.join("socket/s")).unwrap();
    assert!(matches!(run("socket"), HashError::Special(_)));
    folder("name");
    fs::write(root.join("name/con.txt"), b"x").unwrap();
    assert!(matches!(run("name"), HashError::Name { .. }));
    fs::write(root.join("f"), b"x").unwrap();
    let paths = [root.join("f"), root.join("name")];
    assert!(matches!(hash::run(&paths, None, None, |_, _| {}), Err(HashError::NoName)));
    assert!(matches!(hash::run(&[], None, None, |_, _| {}), Err(HashError::NoPath)));
    let odd = hash::run(&paths[..1], None, Some(20_000), |_, _| {});
    assert!(matches!(odd, Err(HashError::PieceLength(20_000))));
    let twice = [root.join("f"), root.join("f")];
    assert!(matches!(hash::run(&twice, Some("n"), None, |_, _| {}), Err(HashError::Twice(_))));
}

#[test]
fn a_file_that_grows_while_it_is_read_is_refused() {
    let file = scratch("grow").join("f");
    fs::write(&file, vec![0; 2_000_000]).unwrap();
    let mut grown = false;
    let hashed = hash::run(std::slice::from_ref(&file), None, None, |done, _| {
        if done > 0 && !grown {
            grown = true;
            fs::OpenOptions::new().append(true).open(&file).unwrap().write_all(b"more").unwrap();
        }
    });
    assert!(matches!(hashed, Err(HashError::Changed(_))), "{hashed:?}");
}

/// Torrents that are wrong in one way each.
#[rustfmt::skip]
fn malformed() -> Vec<String> {
    let root = "11:pieces root32:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let tail = "12:meta versioni2e4:name1:n12:piece lengthi16384e";
    let torrent = |info: &str| format!("d4:info{info}12:piece layersdee");
    let tree = |tree: &str| torrent(&format!("d9:file tree{tree}{tail}e"));
    let file = |inner: &str| tree(&format!("d1:ad0:d{inner}eee"));
    let name = |name: &str| tree(&format!("d{}:{name}d0:d6:lengthi0eeee", name.len()));
    let head = |rest: &str| torrent(&format!("d9:file treed1:ad0:d6:lengthi0eeee{rest}e"));
    vec![
        String::new(), "x".into(), "le".into(), "de".into(), "i01e".into(), "i-0e".into(),
        "ie".into(), "i1x".into(), "i99999999999999999999e".into(), "01:a".into(), "5:a".into(),
        "1a".into(), "di1ee".into(), "d1:b0:1:a0:e".into(), "d1:a0:1:a0:e".into(), "d1:ae".into(),
        "dee".into(), format!("d1:a{}", "l".repeat(100)), torrent("le"),
        torrent("d6:lengthi1e4:name1:n12:piece lengthi16384e6:pieces0:e"), torrent("de"),
        head("12:meta versioni3e"), head("12:meta version1:2"),
        head("12:meta versioni2e12:piece lengthi16384e"), head("12:meta versioni2e4:name1:n"),
        head("12:meta versioni2e4:name1:n12:piece lengthi8192e"),
        head("12:meta versioni2e4:name1:n12:piece lengthi20000e"),
        head("12:meta versioni2e4:name1:n12:piece lengthi134217728e"),
        head("12:meta versioni2e4:name1:n12:piece length0:"),
        head("12:meta versioni2e4:namei1e12:piece lengthi16384e"), torrent(&format!("d{tail}e")),
        tree("de"), tree("le"), tree("d1:adee"), tree("d1:ai1ee"),
        tree("d1:ad0:d6:lengthi0ee1:bd0:d6:lengthi0eeeee"), file(""), file("6:length0:"),
        file("6:lengthi-1e"), file(&format!("6:lengthi999999999999999e{root}")),
        file("6:lengthi1e"), file("6:lengthi1e11:pieces root1:a"),
        file(&format!("6:lengthi0e{root}")), file("4:attr1:l6:lengthi0e"),
        file(&format!("6:lengthi281474976710656e{root}")), file(&format!("6:lengthi20000e{root}")),
        name(""), name("."), name(".."), name("a/b"), name("a\\b"), name("a\0"), name("a\n"),
        name("a?"), name("NUL"), name(&"x".repeat(256)),
        format!("d4:infod9:file treed1:ad0:d6:lengthi20000e{root}eee{tail}ee"),
    ]
}

#[test]
fn every_malformed_kind_has_its_own_message() {
    let cases = malformed();
    let mut seen = std::collections::BTreeMap::new();
    for bytes in &cases {
        let report = check::check(bytes.as_bytes(), None, |_, _| {}).unwrap();
        assert!(!report.valid && !report.is_good(), "{bytes}");
        let message = report.error.unwrap();
        if let Some(other) = seen.insert(message.clone(), bytes) {
            panic!("one message for two faults: {message}\n{other}\n{bytes}");
        }
    }
    assert!(seen.len() >= 30, "{}", seen.len());
}
