//! The page in a real browser, with scripts and without: its owner's first day, what is refused, and whether everybody can
//! use it. Pictures of every page stay in the folder `web` of what tests leave in cargo's target folder.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "all of this file is a test")]

#[path = "web/bridges.rs"]
mod bridges;
#[path = "web/everybody.rs"]
mod everybody;
#[path = "web/files.rs"]
mod files;
#[path = "web/onion.rs"]
mod onion;
#[path = "web/power_cut.rs"]
mod power_cut;
#[path = "web/refusals.rs"]
mod refusals;
#[path = "web/services.rs"]
mod services;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use bulbil_tests::browser::{BROWSER, Browser, Look};
use bulbil_tests::net::{Network, Shape};
use bulbil_tests::node::{Node, Settings};
use bulbil_tests::packages;
use bulbil_tests::scratch::Scratch;
use bulbil_tests::story::Story;
use bulbil_tests::wait::eventually;

use bridges::enter_bridges;
use everybody::{before_the_first_run, everybody, must_suit};
use files::{fetch_a_link, publish, publish_cleaned, share_a_folder, trust_and_search, withdraw};
use onion::own_onion;
use power_cut::power_cut;
use refusals::refusals;
use services::give_out_a_key;

const PASSWORD: &str = "seven words would be even better";

const NEW_PASSWORD: &str = "and here is another phrase";

const PASSPHRASE: &str = "eight words would be better still";

/// For what crosses Tor.
const TOR_LIMIT: Duration = Duration::from_secs(90);

/// For what the page shows after a click.
const SOON: Duration = Duration::from_secs(20);

struct Stage {
    seed: Node,
    board: Node,
    files: Scratch,
    pictures: PathBuf,
    /// Where the page shows what a search found.
    found: OnceLock<String>,
}

#[test]
fn the_page_in_a_browser() {
    packages::ensure(&BROWSER).unwrap();
    let network = Network::start(Shape::default()).unwrap();
    let seed = Node::start(&network, Settings::named("seed")).unwrap();
    let more = "[[publish]]\nname = \"shop\"\ncheck = \"none\"\n[publish.ports]\n80 = [\"127.0.0.1:9\"]\n";
    let settings = Settings { more: more.into(), ..Settings::named("board") };
    let board = Node::start(&network, settings).unwrap();
    let pictures = Path::new(env!("CARGO_TARGET_TMPDIR")).join("web");
    fs::create_dir_all(&pictures).unwrap();
    let files = Scratch::new("web").unwrap();
    let mut stage = Stage { seed, board, files, pictures, found: OnceLock::new() };
    let plain = Browser::start(&Look { scripts: false, ..Look::default() }).unwrap();
    let rich = Browser::start(&Look::default()).unwrap();
    let mut story = Story::default();
    story.scene("everybody can begin", || before_the_first_run(&stage, &rich));
    story.scene("first run, without scripts", || first_run(&stage, &plain));
    story.scene("share a folder", || share_a_folder(&stage, &plain));
    story.scene("fetch a link", || fetch_a_link(&stage, &plain));
    story.scene("publish what tells too much, cleaned, and unpublish", || publish(&stage, &plain));
    story.scene("trust a node and search it", || trust_and_search(&stage, &plain));
    story.scene("withdraw", || withdraw(&stage, &plain));
    story.scene("sign in from another browser, with scripts", || sign_in(&stage, &rich));
    story.scene("the same cleaning, with scripts", || publish_cleaned(&stage, &rich, "evening", must_suit));
    story.scene("give out a key of a service", || give_out_a_key(&stage, &rich));
    story.scene("enter bridges", || enter_bridges(&stage, &network, &plain));
    story.scene("change the password", || change_the_password(&stage, &rich, &plain));
    story.scene("everybody can use it", || everybody(&stage, &rich));
    story.scene("through its own onion", || own_onion(&stage, &network, &rich));
    story.scene("other names, pages and tokens are refused", || refusals(&stage, &rich));
    story.scene("a power cut", || power_cut(&mut stage, &rich));
    story.end().unwrap();
}

impl Stage {
    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.board.page_url().trim_end_matches('/'))
    }

    fn open(&self, browser: &Browser, path: &str) {
        browser.go(&self.at(path)).unwrap();
    }

    fn port(&self) -> u16 {
        let url = self.board.page_url();
        url.trim_end_matches('/').rsplit(':').next().unwrap().parse().unwrap()
    }

    fn link_of(&self, name: &str) -> String {
        let status = self.board.status().unwrap();
        let shares = status["shares"].as_array().unwrap();
        let share = shares.iter().find(|share| share["name"] == name).unwrap();
        share["link"].as_str().unwrap().to_owned()
    }

    fn keep_file(&self) -> PathBuf {
        self.files.join("board.keep")
    }

    fn keep(&self, browser: &Browser, name: &str) {
        browser.picture(&self.pictures.join(format!("{name}.png"))).unwrap();
    }
}

/// Whether the page shows these words now.
fn shows(browser: &Browser, words: &str) -> bool {
    browser.read("main").is_ok_and(|text| text.contains(words))
}

#[track_caller]
fn must_show(browser: &Browser, words: &str) {
    let seen = eventually(SOON, words, || shows(browser, words));
    seen.unwrap_or_else(|_| panic!("{words:?} is not in {:?}", browser.read("main")));
}

fn first_run(stage: &Stage, browser: &Browser) {
    fs::create_dir(stage.files.join("album")).unwrap();
    for name in ["one.txt", "two.txt"] {
        fs::write(stage.files.join("album").join(name), name).unwrap();
    }
    fs::create_dir(stage.files.join("incoming")).unwrap();
    stage.open(browser, "/");
    must_show(browser, "Connected");
    browser.press("Set a password").unwrap();
    must_show(browser, "Welcome to your node");
    stage.keep(browser, "first-run");
    browser.fill("#password", PASSWORD).unwrap();
    browser.fill("#again", "something else entirely").unwrap();
    browser.fill("#folders", stage.files.path().to_str().unwrap()).unwrap();
    browser.click(&browser.find("#keep-file").unwrap()).unwrap();
    browser.fill("#keep-path", stage.keep_file().to_str().unwrap()).unwrap();
    browser.press("Begin").unwrap();
    must_show(browser, "the two passwords differ");
    must_show(browser, "Write the passphrase down");
    browser.fill("#password", PASSWORD).unwrap();
    browser.fill("#again", PASSWORD).unwrap();
    browser.fill("#passphrase", PASSPHRASE).unwrap();
    browser.fill("#once-more", PASSPHRASE).unwrap();
    stage.keep(browser, "first-run-filled");
    browser.press("Begin").unwrap();
    must_show(browser, "All set");
    assert!(fs::read(stage.keep_file()).unwrap().starts_with(b"age-encryption.org/v1"));
    assert_eq!(stage.board.status().unwrap()["keep"]["automatic"], true);
    stage.keep(browser, "overview-empty");
    let cookies = browser.cookies().unwrap();
    let strict = |cookie: &serde_json::Value| cookie["httpOnly"] == true && cookie["sameSite"] == "Strict";
    assert!(cookies.len() == 2 && cookies.iter().all(strict), "{cookies:?}");
}

fn sign_in(stage: &Stage, browser: &Browser) {
    stage.open(browser, "/shares");
    must_show(browser, "Sign in");
    stage.keep(browser, "sign-in");
    browser.fill("#password", "not this one").unwrap();
    browser.press("Sign in").unwrap();
    must_show(browser, "that is not the password");
    browser.fill("#password", PASSWORD).unwrap();
    browser.press("Sign in").unwrap();
    must_show(browser, "Connected");
    let scripts = browser.run("return document.scripts.length").unwrap();
    assert_eq!(scripts, 0, "there is nothing to run");
}

fn change_the_password(stage: &Stage, browser: &Browser, other: &Browser) {
    browser.press("Settings").unwrap();
    browser.fill("#present", PASSWORD).unwrap();
    browser.fill("#new", NEW_PASSWORD).unwrap();
    browser.fill("#again", NEW_PASSWORD).unwrap();
    browser.press("Change the password").unwrap();
    must_show(browser, "The password was changed");
    stage.open(other, "/settings");
    must_show(other, "Sign in");
    other.fill("#password", NEW_PASSWORD).unwrap();
    other.press("Sign in").unwrap();
    must_show(other, "Connected");
}
