//! Metadata that nobody should believe, through `check`, `hash` and `share`.

use std::fs;
use std::os::unix::fs::symlink;

use bulbil_tests::scratch::Scratch;

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
