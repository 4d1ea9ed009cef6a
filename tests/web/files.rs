//! Sharing, fetching, publishing, searching.

use std::fs;

use bulbil_tests::browser::Browser;
use bulbil_tests::content;
use bulbil_tests::wait::found;

use super::{SOON, Stage, TOR_LIMIT, must_show, shows};

pub(crate) fn share_a_folder(stage: &Stage, browser: &Browser) {
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

pub(crate) fn fetch_a_link(stage: &Stage, browser: &Browser) {
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
/// `look` is shown the pages that lead there.
pub(crate) fn publish_cleaned(stage: &Stage, browser: &Browser, name: &str, look: fn(&Browser, &str)) {
    let picture = b"\xff\xd8\xff\xfe\0\x14taken by Alice Doe\xff\xda\0\x02river\xff\xd9";
    let (folder, copy) = (stage.files.join(name), format!("{name}, cleaned"));
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("river.jpg"), picture).unwrap();
    browser.press("Files").unwrap();
    browser.press(stage.files.path().to_str().unwrap()).unwrap();
    browser.press(&format!("{name}/")).unwrap();
    must_show(browser, "river.jpg");
    look(browser, "a folder");
    browser.press("Share this whole folder").unwrap();
    must_show(browser, "Who is meant to fetch it?");
    look(browser, "the question before sharing");
    browser.press("Share").unwrap();
    must_show(browser, "Give the link");
    browser.press("Publish").unwrap();
    must_show(browser, "1 file tells something about who made it");
    look(browser, "publish, with findings");
    stage.keep(browser, &format!("publish-{name}"));
    browser.fill("#tags", "river, ferry").unwrap();
    browser.fill("#text", "The river in summer.").unwrap();
    browser.press("Publish a cleaned copy").unwrap();
    found(SOON, "the cleaned copy to be public", || {
        stage.open(browser, "/shares");
        Ok((shows(browser, &copy) && shows(browser, "public")).then_some(()))
    })
    .unwrap();
    stage.keep(browser, &format!("published-{name}"));
    let cleaned = fs::read(stage.files.join(&copy).join("river.jpg")).unwrap();
    assert!(!cleaned.windows(5).any(|window| window == b"Alice") && cleaned.ends_with(b"river\xff\xd9"));
    assert_eq!(fs::read(folder.join("river.jpg")).unwrap(), picture);
    assert!(stage.link_of(&copy).contains("/public/"));
    browser.press(&copy).unwrap();
    must_show(browser, "The river in summer.");
    browser.fill("#tags", "river,ferry,swans").unwrap();
    browser.press("Save").unwrap();
    must_show(browser, "Saved.");
    let status = stage.board.status().unwrap();
    let published = status["shares"].as_array().unwrap().iter().find(|share| share["name"] == copy.as_str());
    assert_eq!(published.unwrap()["tags"], "river,ferry,swans");
}

pub(crate) fn publish(stage: &Stage, browser: &Browser) {
    publish_cleaned(stage, browser, "holiday", |_, _| {});
    browser.press("Make it private again").unwrap();
    must_show(browser, "Its public link is dead for good");
    stage.keep(browser, "retreat");
    browser.press("Make it private now").unwrap();
    must_show(browser, "It is private again");
    assert!(stage.link_of("holiday, cleaned").contains("/private/"));
    browser.press("Publish").unwrap();
    must_show(browser, "Nothing was found");
    browser.press("Publish as it is").unwrap();
    must_show(browser, "in the public catalogue");
    withdraw_it(browser);
}

/// Asked first, and let be; then done.
fn withdraw_it(browser: &Browser) {
    browser.press("Withdraw").unwrap();
    must_show(browser, "Its link is dead for good");
    browser.press("Leave it").unwrap();
    browser.press("Withdraw").unwrap();
    browser.press("Withdraw it now").unwrap();
    must_show(browser, "Nobody can fetch it any more");
}

pub(crate) fn trust_and_search(stage: &Stage, browser: &Browser) {
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
    stage.found.set(url_path(browser)).unwrap();
    browser.press("Fetch").unwrap();
    must_show(browser, "Fetch something");
    assert!(browser.source().unwrap().contains("/public/"), "the link is filled in");
}

pub(crate) fn withdraw(stage: &Stage, browser: &Browser) {
    stage.open(browser, "/shares");
    must_show(browser, "album");
    withdraw_it(browser);
    assert_eq!(stage.board.status().unwrap()["shares"].as_array().unwrap().len(), 0);
}
