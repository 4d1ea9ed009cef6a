//! Files and file systems that do not play along.

use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};

use bulbil_tests::content;
use bulbil_tests::namespace::run;
use bulbil_tests::node::{COMMAND_LIMIT, Node, Settings};
use bulbil_tests::scratch::Scratch;
use bulbil_tests::wait::eventually;

use crate::{SIZE, Stage, refused, text};

/// Truncated, and written over in place: the share fails and says so, the node and its other shares live on.
pub(crate) fn file_changes(stage: &Stage) {
    let (well, sha256) = stage.share("unchanged.bin", &[]);
    for (name, truncate) in [("truncated.bin", true), ("rewritten.bin", false)] {
        let (link, _) = stage.share(name, &[]);
        let path = stage.files.join(name);
        if truncate {
            File::options().write(true).open(&path).unwrap().set_len(SIZE / 2 + 5).unwrap();
        } else {
            let mut file = File::options().write(true).open(&path).unwrap();
            file.seek(SeekFrom::Start(SIZE / 2)).unwrap();
            file.write_all(&[0x55; 4096]).unwrap();
        }
        let out = Scratch::new("out").unwrap();
        let fetching = stage.fetcher.begin(&["fetch", &link, "--out", text(out.path())]).unwrap();
        eventually(COMMAND_LIMIT, "the share to say that its file changed", || {
            stage.seed.status().is_ok_and(|status| {
                let shares = status["shares"].as_array().cloned().unwrap_or_default();
                shares.last().is_some_and(|share| {
                    let why = share["state"]["why"].as_str().unwrap_or_default().to_owned();
                    share["name"] == name
                        && share["state"]["is"] == "failed"
                        && why.contains("share it again")
                })
            })
        })
        .unwrap();
        assert!(!out.join(name).exists(), "nothing unfinished has the name");
        drop(fetching);
    }
    let out = Scratch::new("out").unwrap();
    let said = stage.fetcher.say(&["fetch", &well, "--out", text(out.path())]).unwrap();
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(content::digest(&out.join("unchanged.bin")).unwrap(), sha256);
}

pub(crate) fn target_exists(stage: &Stage) {
    let (link, sha256) = stage.share("taken.bin", &[]);
    let out = Scratch::new("out").unwrap();
    fs::write(out.join("taken.bin"), "mine").unwrap();
    let said = stage.fetcher.say(&["fetch", &link, "--out", text(out.path())]).unwrap();
    refused(&said, 1, &["exists already and is something else", "move it away"]);
    assert_eq!(fs::read_to_string(out.join("taken.bin")).unwrap(), "mine");
    fs::rename(out.join("taken.bin"), out.join("moved.bin")).unwrap();
    let said = stage.fetcher.say(&["fetch", &link, "--out", text(out.path())]).unwrap();
    assert_eq!(said.code, Some(0), "what stood in the way is gone: {said:?}");
    assert_eq!(content::digest(&out.join("taken.bin")).unwrap(), sha256);
}

pub(crate) fn disk_full(stage: &Stage) {
    let (link, sha256) = stage.share("large.bin", &[]);
    let out = Scratch::new("out").unwrap();
    run(&["mount", "-t", "tmpfs", "-o", "size=1m", "bulbil-test", text(out.path())]).unwrap();
    let mut fetching = stage.fetcher.begin(&["fetch", &link, "--out", text(out.path())]).unwrap();
    fetching.hear("no room", COMMAND_LIMIT).unwrap();
    assert_eq!(stage.fetcher.last_fetch().unwrap()["state"]["is"], "waiting");
    run(&["mount", "-o", "remount,size=8m", text(out.path())]).unwrap();
    let said = fetching.end(COMMAND_LIMIT).unwrap();
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(content::digest(&out.join("large.bin")).unwrap(), sha256);
    run(&["umount", "--lazy", text(out.path())]).unwrap();
}

/// A folder that cannot be written, and a file that cannot be read. Root may do anything, so the second node lacks the
/// capabilities that make it so.
pub(crate) fn no_permission(stage: &Stage) {
    let (link, _) = stage.share("forbidden.bin", &[]);
    let out = Scratch::new("out").unwrap();
    run(&["mount", "-t", "tmpfs", "-o", "ro", "bulbil-test", text(out.path())]).unwrap();
    let said = stage.fetcher.say(&["fetch", &link, "--out", text(out.path())]).unwrap();
    refused(&said, 1, &["cannot write", "check its permissions"]);
    run(&["umount", text(out.path())]).unwrap();

    let without = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all"];
    let launcher = without.map(str::to_owned).to_vec();
    let lesser = Node::start(&stage.network, Settings { launcher, ..Settings::named("lesser") }).unwrap();
    let path = stage.files.join("locked.bin");
    fs::write(&path, "locked").unwrap();
    run(&["chown", "65534:65534", text(&path)]).unwrap();
    run(&["chmod", "600", text(&path)]).unwrap();
    let said = lesser.say(&["share", text(&path)]).unwrap();
    refused(&said, 1, &["ermission denied", "you may read it"]);
}
