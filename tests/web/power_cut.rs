//! What survives.

use std::fs;

use bulbil_tests::browser::Browser;
use bulbil_tests::wait::eventually;

use super::everybody::must_suit;
use super::{NEW_PASSWORD, PASSPHRASE, SOON, Stage, must_show};

/// What lay in memory is gone; the page of the new node brings the old one back from its keep file.
pub(crate) fn power_cut(stage: &mut Stage, browser: &Browser) {
    let before = stage.board.status().unwrap();
    stage.board.kill().unwrap();
    fs::remove_dir_all(stage.board.folder().join("state")).unwrap();
    stage.board.restart().unwrap();
    stage.board.wait_ready().unwrap();
    assert_ne!(stage.board.status().unwrap()["address"], before["address"]);
    stage.open(browser, "/first");
    browser.press("Bring it back").unwrap();
    must_show(browser, "Bring back a node");
    // Once as a file of the machine with the browser, once as one of the node's.
    browser.fill("#keep-upload", stage.keep_file().to_str().unwrap()).unwrap();
    browser.fill("#passphrase", "not the right passphrase").unwrap();
    browser.press("Bring it back").unwrap();
    must_show(browser, "does not open this keep file");
    stage.keep(browser, "bring-back");
    must_suit(browser, "bringing back, refused");
    browser.fill("#keep-path", stage.keep_file().to_str().unwrap()).unwrap();
    browser.fill("#passphrase", PASSPHRASE).unwrap();
    browser.press("Bring it back").unwrap();
    must_show(browser, "The node starts again as the one it was");
    eventually(SOON, "the node to end", || stage.board.status().is_err()).unwrap();
    // Here the test is what a board's first process or systemd is.
    stage.board.restart().unwrap();
    stage.board.wait_ready().unwrap();
    stage.open(browser, "/login");
    browser.fill("#password", NEW_PASSWORD).unwrap();
    browser.press("Sign in").unwrap();
    must_show(browser, "Connected");
    let after = stage.board.status().unwrap();
    assert_eq!(after["address"], before["address"]);
    assert_eq!(after["trust"]["nodes"][0]["name"], "The seed");
    // It goes on keeping itself where it was brought back from, until its owner ends that.
    assert_eq!(after["keep"]["automatic"], true);
    stage.open(browser, "/settings");
    must_show(browser, "This node keeps itself");
    browser.press("Stop keeping").unwrap();
    must_show(browser, "is saved to no file by itself");
    stage.keep(browser, "stop-keeping");
    browser.press("Stop keeping now").unwrap();
    must_show(browser, "does not save itself any more");
    assert_eq!(stage.board.status().unwrap()["keep"]["automatic"], false);
}
