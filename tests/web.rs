//! The page in a real browser, with scripts and without: its owner's first day, what is refused, and whether everybody can
//! use it. Pictures of every page stay in `target/tmp/web`.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "all of this file is a test")]

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use bulbil_tests::browser::{BROWSER, Browser, Look};
use bulbil_tests::net::{Network, Shape};
use bulbil_tests::node::{Node, Settings};
use bulbil_tests::ports::Ports;
use bulbil_tests::process::Process;
use bulbil_tests::scratch::Scratch;
use bulbil_tests::story::Story;
use bulbil_tests::wait::{eventually, found};
use bulbil_tests::{content, packages};

const PASSWORD: &str = "seven words would be even better";

const NEW_PASSWORD: &str = "and here is another phrase";

/// For what crosses Tor.
const TOR_LIMIT: Duration = Duration::from_secs(90);

/// For what the page shows after a click.
const SOON: Duration = Duration::from_secs(20);

struct Stage {
    seed: Node,
    board: Node,
    files: Scratch,
    pictures: PathBuf,
}

#[test]
fn the_page_in_a_browser() {
    packages::ensure(&BROWSER).unwrap();
    let network = Network::start(Shape::default()).unwrap();
    let seed = Node::start(&network, Settings::named("seed")).unwrap();
    let board = Node::start(&network, Settings::named("board")).unwrap();
    let pictures = Path::new(env!("CARGO_TARGET_TMPDIR")).join("web");
    fs::create_dir_all(&pictures).unwrap();
    let stage = Stage { seed, board, files: Scratch::new("web").unwrap(), pictures };
    let plain = Browser::start(&Look { scripts: false, ..Look::default() }).unwrap();
    let mut story = Story::default();
    story.scene("first run, without scripts", || first_run(&stage, &plain));
    story.scene("share a folder", || share_a_folder(&stage, &plain));
    story.scene("fetch a link", || fetch_a_link(&stage, &plain));
    story.scene("publish what tells too much, cleaned, and unpublish", || publish(&stage, &plain));
    story.scene("trust a node and search it", || trust_and_search(&stage, &plain));
    story.scene("withdraw", || withdraw(&stage, &plain));
    let rich = Browser::start(&Look::default()).unwrap();
    story.scene("sign in from another browser, with scripts", || sign_in(&stage, &rich));
    story.scene("change the password", || change_the_password(&stage, &rich, &plain));
    story.scene("everybody can use it", || everybody(&stage, &rich));
    story.scene("through its own onion", || own_onion(&stage, &network, &rich));
    story.scene("other names, pages and tokens are refused", || refusals(&stage, &rich));
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
    browser.press("Begin").unwrap();
    must_show(browser, "the two passwords differ");
    browser.fill("#password", PASSWORD).unwrap();
    browser.fill("#again", PASSWORD).unwrap();
    browser.press("Begin").unwrap();
    must_show(browser, "All set");
    stage.keep(browser, "overview-empty");
    let cookies = browser.cookies().unwrap();
    let strict = |cookie: &serde_json::Value| cookie["httpOnly"] == true && cookie["sameSite"] == "Strict";
    assert!(cookies.len() == 2 && cookies.iter().all(strict), "{cookies:?}");
}

fn share_a_folder(stage: &Stage, browser: &Browser) {
    browser.press("Files").unwrap();
    browser.press(stage.files.path().to_str().unwrap()).unwrap();
    browser.press("album/").unwrap();
    must_show(browser, "one.txt");
    stage.keep(browser, "folder");
    browser.press("Share this whole folder").unwrap();
    must_show(browser, "Who is meant to fetch it?");
    stage.keep(browser, "share-how");
    browser.press("Share").unwrap();
    must_show(browser, "Give the link to those who may have it");
    let link = browser.read("code.select").unwrap();
    assert!(link.contains(".onion") && link.contains("/private/"), "{link}");
    stage.board.wait_reachable(&link).unwrap();
    stage.open(browser, &url_path(browser));
    must_show(browser, "reachable");
    stage.keep(browser, "share");
    let fetched =
        stage.seed.json(&["fetch", &link, "--json", "--out", stage.files.join("incoming").to_str().unwrap()]);
    fetched.unwrap();
    assert_eq!(fs::read(stage.files.join("incoming/album/one.txt")).unwrap(), b"one.txt");
}

fn url_path(browser: &Browser) -> String {
    let url = browser.url().unwrap();
    let path = url.splitn(4, '/').nth(3).unwrap();
    format!("/{}", path.split('?').next().unwrap())
}

fn fetch_a_link(stage: &Stage, browser: &Browser) {
    let film = stage.files.join("film.bin");
    content::write_file(&film, 3 * 1024 * 1024, 7).unwrap();
    let link = stage.seed.share(&film).unwrap();
    stage.seed.wait_reachable(&link).unwrap();
    browser.press("Fetches").unwrap();
    browser.press("Fetch something").unwrap();
    browser.fill("#link", "http://example.com/private/no").unwrap();
    browser.press("Fetch").unwrap();
    must_show(browser, "does not name an onion address");
    stage.keep(browser, "fetch-mistake");
    browser.press("Files").unwrap();
    browser.press(stage.files.path().to_str().unwrap()).unwrap();
    browser.press("incoming/").unwrap();
    browser.press("Fetch into this folder").unwrap();
    browser.fill("#link", &link).unwrap();
    browser.press("Fetch").unwrap();
    must_show(browser, "The fetch has begun");
    stage.keep(browser, "fetching");
    found(TOR_LIMIT, "the film", || {
        stage.open(browser, "/fetches");
        Ok(shows(browser, "3.0 MiB verified").then_some(()))
    })
    .unwrap();
    let fetched = fs::read(stage.files.join("incoming/film.bin")).unwrap();
    assert!(fetched == fs::read(&film).unwrap());
    stage.keep(browser, "fetched");
}

/// A picture with a remark that names someone, in a folder; its public copy does not have it.
fn publish(stage: &Stage, browser: &Browser) {
    let picture = b"\xff\xd8\xff\xfe\0\x14taken by Alice Doe\xff\xda\0\x02river\xff\xd9";
    fs::create_dir(stage.files.join("holiday")).unwrap();
    fs::write(stage.files.join("holiday/river.jpg"), picture).unwrap();
    browser.press("Files").unwrap();
    browser.press(stage.files.path().to_str().unwrap()).unwrap();
    browser.press("holiday/").unwrap();
    browser.press("Share this whole folder").unwrap();
    browser.press("Share").unwrap();
    must_show(browser, "Give the link");
    browser.press("Publish").unwrap();
    must_show(browser, "1 file tells something about who made it");
    stage.keep(browser, "publish");
    browser.press("Publish a cleaned copy").unwrap();
    found(SOON, "the cleaned copy to be public", || {
        stage.open(browser, "/shares");
        Ok((shows(browser, "holiday, cleaned") && shows(browser, "public")).then_some(()))
    })
    .unwrap();
    stage.keep(browser, "published");
    let cleaned = fs::read(stage.files.join("holiday, cleaned/river.jpg")).unwrap();
    assert!(!cleaned.windows(5).any(|window| window == b"Alice") && cleaned.ends_with(b"river\xff\xd9"));
    assert_eq!(fs::read(stage.files.join("holiday/river.jpg")).unwrap(), picture);
    assert!(stage.link_of("holiday, cleaned").contains("/public/"));
    browser.press("holiday, cleaned").unwrap();
    browser.press("Make it private again").unwrap();
    must_show(browser, "It is private again");
    assert!(stage.link_of("holiday, cleaned").contains("/private/"));
    browser.press("Publish").unwrap();
    must_show(browser, "Nothing was found");
    browser.press("Publish as it is").unwrap();
    must_show(browser, "in the public catalogue");
    browser.press("Withdraw").unwrap();
    must_show(browser, "Nobody can fetch it any more");
}

fn trust_and_search(stage: &Stage, browser: &Browser) {
    let songs = stage.files.join("songs.txt");
    fs::write(&songs, "la la la").unwrap();
    stage.seed.json(&["share", songs.to_str().unwrap(), "--public", "--json"]).unwrap();
    let address = found(TOR_LIMIT, "the seed's own address", || {
        let status = stage.seed.status()?;
        let up = status["address_reachable"] == true;
        Ok(status["address"].as_str().filter(|_| up).map(str::to_owned))
    })
    .unwrap();
    browser.press("Trust").unwrap();
    browser.fill("#trust-node", "no address at all").unwrap();
    browser.click(&browser.find("form button.main").unwrap()).unwrap();
    must_show(browser, "onion");
    assert!(browser.find("[role=alert]").is_ok());
    browser.fill("#trust-node", &address).unwrap();
    browser.fill("#name", "The seed").unwrap();
    browser.click(&browser.find("form button.main").unwrap()).unwrap();
    must_show(browser, "The seed");
    stage.keep(browser, "trust");
    found(TOR_LIMIT, "the song to be found", || {
        browser.press("Search")?;
        browser.fill("#words", "songs")?;
        browser.click(&browser.find("main form button.main")?)?;
        Ok(shows(browser, "songs.txt").then_some(()))
    })
    .unwrap();
    stage.keep(browser, "found");
    browser.press("Fetch").unwrap();
    must_show(browser, "Fetch something");
    assert!(browser.source().unwrap().contains("/public/"), "the link is filled in");
}

fn withdraw(stage: &Stage, browser: &Browser) {
    stage.open(browser, "/shares");
    must_show(browser, "album");
    browser.press("Withdraw").unwrap();
    must_show(browser, "Nobody can fetch it any more");
    assert_eq!(stage.board.status().unwrap()["shares"].as_array().unwrap().len(), 0);
}

/// Chromium behind a C tor client that was given the client key.
fn own_onion(stage: &Stage, network: &Network, browser: &Browser) {
    stage.open(browser, "/tor");
    browser.press("Switch on").unwrap();
    must_show(browser, "http://");
    found(TOR_LIMIT, "the page's onion to be reachable", || {
        stage.open(browser, "/tor");
        Ok(browser.read(".card.link .good").is_ok_and(|word| word == "reachable").then_some(()))
    })
    .unwrap();
    stage.keep(browser, "tor-onion");
    let url = browser.read("code.select").unwrap();
    let key = browser.run("return document.querySelectorAll('code.select')[1].textContent").unwrap();
    let host = url.trim_start_matches("http://").trim_end_matches('/').to_owned();
    let (_tor, socks, _ports) = tor_client(stage, network, &host, key.as_str().unwrap());
    let far = Browser::start(&Look { scripts: false, socks: Some(socks), ..Look::default() }).unwrap();
    found(TOR_LIMIT, "the page through Tor", || Ok(far.go(&url).ok().filter(|()| shows(&far, "Sign in"))))
        .unwrap();
    far.fill("#password", NEW_PASSWORD).unwrap();
    far.press("Sign in").unwrap();
    must_show(&far, "Connected");
    assert!(far.url().unwrap().contains(".onion"));
    stage.keep(&far, "through-tor");
}

fn tor_client(stage: &Stage, network: &Network, host: &str, key: &str) -> (Process, u16, Ports) {
    let folder = stage.files.join("tor");
    fs::create_dir_all(folder.join("auth")).unwrap();
    for closed in [folder.clone(), folder.join("auth")] {
        fs::set_permissions(closed, fs::Permissions::from_mode(0o700)).unwrap();
    }
    let name = host.trim_end_matches(".onion");
    fs::write(folder.join("auth/page.auth_private"), format!("{name}:descriptor:x25519:{key}\n")).unwrap();
    fs::write(folder.join("empty"), "").unwrap();
    let mut ports = Ports::reserve(Ipv4Addr::LOCALHOST).unwrap();
    let socks = ports.take().unwrap();
    let torrc = format!(
        "{}DataDirectory {1}/data\nGeoIPFile {1}/empty\nGeoIPv6File {1}/empty\nClientOnionAuthDir {1}/auth\nSocksPort {socks}\n",
        network.client_torrc(),
        folder.display()
    );
    fs::write(folder.join("torrc"), torrc).unwrap();
    let mut command = Command::new("tor");
    command.arg("-f").arg(folder.join("torrc")).arg("--defaults-torrc").arg(folder.join("empty"));
    (Process::start("tor", &mut command, &folder.join("tor.log")).unwrap(), socks, ports)
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

const PAGES: [&str; 12] = [
    "/",
    "/shares",
    "/fetches",
    "/fetches/new",
    "/files",
    "/search",
    "/trust",
    "/peers",
    "/tor",
    "/statistics",
    "/log",
    "/settings",
];

/// What axe calls serious or critical, on every page; colours in dark too, and no page wider than a narrow window.
fn everybody(stage: &Stage, browser: &Browser) {
    let checker = fs::read_to_string(axe()).unwrap();
    let dark = Browser::start(&Look { dark: true, size: (500, 1000), ..Look::default() }).unwrap();
    stage.open(&dark, "/login");
    let mut faults = check(&dark, &checker, "/login, dark", "{}");
    dark.fill("#password", NEW_PASSWORD).unwrap();
    dark.press("Sign in").unwrap();
    for path in PAGES {
        let name = path.trim_matches('/').replace('/', "-");
        let looks = [(browser, "light", "{}"), (&dark, "dark", "{runOnly: ['color-contrast']}")];
        for (browser, look, options) in looks {
            stage.open(browser, path);
            stage.keep(browser, &format!("{look}-{}", if name.is_empty() { "overview" } else { &name }));
            faults.extend(check(browser, &checker, &format!("{path}, {look}"), options));
            let wider = browser.run("return document.documentElement.scrollWidth - innerWidth").unwrap();
            assert!(wider.as_i64().unwrap() <= 0, "{path} is {wider} px wider than the window");
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    // The checker is awake: it finds what is wrong with a page that was spoilt.
    browser.run("document.querySelector('main').append(document.createElement('img'))").unwrap();
    let spoilt = check(browser, &checker, "a picture without words", "{}");
    assert!(spoilt.iter().any(|fault| fault.contains("image-alt")), "{spoilt:?}");
}

fn check(browser: &Browser, checker: &str, place: &str, options: &str) -> Vec<String> {
    browser.run(checker).unwrap();
    let run = format!(
        "const done = arguments[arguments.length - 1]; \
         axe.run({options}).then(found => done(found.violations), why => done(String(why)))"
    );
    let found = browser.run_async(&run).unwrap();
    let serious = |fault: &&serde_json::Value| fault["impact"] == "serious" || fault["impact"] == "critical";
    let found = found.as_array().unwrap_or_else(|| panic!("{place}: axe failed: {found}"));
    let tell = |fault: &serde_json::Value| {
        format!("{place}: {}: {} at {}", fault["id"], fault["help"], fault["nodes"][0]["html"])
    };
    found.iter().filter(serious).map(tell).collect()
}

/// The accessibility checker, fetched once into cargo's folder for what tests make.
fn axe() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("axe");
    let script = folder.join("node_modules/axe-core/axe.min.js");
    if !script.is_file() {
        fs::create_dir_all(&folder).unwrap();
        let mut npm = Command::new("npm");
        npm.args(["install", "--silent", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix"]);
        assert!(npm.arg(&folder).arg("axe-core@4.10.3").status().unwrap().success());
    }
    script
}

fn refusals(stage: &Stage, browser: &Browser) {
    let port = stage.port();
    let map = "--host-resolver-rules=MAP evil.example 127.0.0.1".to_owned();
    let stranger = Browser::start(&Look { more: vec![map], ..Look::default() }).unwrap();
    stranger.go(&format!("http://evil.example:{port}/")).unwrap();
    assert!(stranger.source().unwrap().contains("open this page by its own address"));
    // A page on another port of this machine sends a form in the name of who is signed in.
    let before = stage.board.status().unwrap();
    let trap = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/", trap.local_addr().unwrap());
    let form = format!(
        "<form method=post action={}><input name=audience value=password></form><script>document.forms[0].submit()</script>",
        stage.at("/settings/access")
    );
    let server = std::thread::spawn(move || serve_once(&trap, &form));
    browser.go(&address).unwrap();
    server.join().unwrap();
    eventually(SOON, "the answer", || browser.url().is_ok_and(|url| url.contains("/settings/access")))
        .unwrap();
    assert!(browser.source().unwrap().contains("another page sent this"), "{}", browser.source().unwrap());
    // The right page, with another token.
    stage.open(browser, "/settings");
    browser.run("for (const token of document.querySelectorAll('[name=token]')) token.value = 'x'").unwrap();
    browser.press("Save").unwrap();
    must_show(browser, "This form is out of date");
    for (header, status) in [("Host: evil.example", "421"), ("Host: 127.0.0.1:1", "421")] {
        assert!(raw(port, header).starts_with(&format!("HTTP/1.1 {status}")), "{header}");
    }
    assert_eq!(stage.board.status().unwrap()["shares"], before["shares"]);
}

fn serve_once(listener: &TcpListener, page: &str) {
    let (mut stream, _) = listener.accept().unwrap();
    let mut head = [0; 4096];
    _ = stream.read(&mut head).unwrap();
    let length = page.len();
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {length}\r\n\r\n{page}")
        .unwrap();
}

fn raw(port: u16, header: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    write!(stream, "GET / HTTP/1.1\r\n{header}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
