//! Whether everybody can use it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use bulbil_tests::browser::{Browser, Look};

use super::{NEW_PASSWORD, Stage, shows};

/// The narrowest screen, in CSS pixels.
const NARROW: u32 = 360;

const PAGES: [&str; 16] = [
    "/",
    "/shares",
    "/fetches",
    "/fetches/new",
    "/files",
    "/search",
    "/trust",
    "/messages",
    "/proxies",
    "/services",
    "/machine",
    "/peers",
    "/tor",
    "/statistics",
    "/log",
    "/settings",
];

/// The first run, which nobody sees later; and the checker is awake: it finds what is wrong with a page that was spoilt.
pub(crate) fn before_the_first_run(stage: &Stage, browser: &Browser) {
    let checker = fs::read_to_string(axe()).unwrap();
    for path in ["/first/restore", "/first"] {
        stage.open(browser, path);
        must_suit(browser, path);
    }
    browser.run("document.querySelector('main').append(document.createElement('img'))").unwrap();
    let spoilt = check(browser, &checker, "a picture without words", "{}");
    assert!(spoilt.iter().any(|fault| fault.contains("image-alt")), "{spoilt:?}");
}

/// The page that is open has nothing that axe calls serious or critical. The browser must run scripts.
#[track_caller]
pub(crate) fn must_suit(browser: &Browser, place: &str) {
    let faults = check(browser, &fs::read_to_string(axe()).unwrap(), place, "{}");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// What axe calls serious or critical, on every page; colours in dark too, and no page wider than a narrow screen.
pub(crate) fn everybody(stage: &Stage, browser: &Browser) {
    let checker = fs::read_to_string(axe()).unwrap();
    let dark = Browser::start(&Look { dark: true, size: (500, 1000), ..Look::default() }).unwrap();
    dark.narrow(NARROW).unwrap();
    stage.open(&dark, "/login");
    let mut faults = check(&dark, &checker, "/login, dark", "{}");
    dark.fill("#password", NEW_PASSWORD).unwrap();
    dark.press("Sign in").unwrap();
    let (light, dark) = std::thread::scope(|both| {
        let light = both.spawn(|| walk(stage, browser, &checker, "light", "{}"));
        let dark = both.spawn(|| walk(stage, &dark, &checker, "dark", "{runOnly: ['color-contrast']}"));
        (light.join().unwrap(), dark.join().unwrap())
    });
    faults.extend(light.into_iter().chain(dark));
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Looks at every page, at those whose address tells what they are about, and at one that is none; gives what is wrong.
fn walk(stage: &Stage, browser: &Browser, checker: &str, look: &str, options: &str) -> Vec<String> {
    let share = stage.board.status().unwrap()["shares"][0]["info_hash"].as_str().unwrap().to_owned();
    stage.open(browser, "/files");
    let folder =
        browser.run("return document.querySelector('main a[href^=\"/files/\"]').getAttribute('href')");
    let folder = folder.unwrap().as_str().unwrap().to_owned();
    let more = [
        ("share", format!("/shares/{share}")),
        ("into", folder.replace("/files/", "/fetches/new/")),
        ("folder-root", folder),
        ("found-again", stage.found.get().unwrap().clone()),
        ("nowhere", "/nowhere".to_owned()),
    ];
    let named = more.iter().map(|(name, path)| ((*name).to_owned(), path.as_str()));
    let all = PAGES.into_iter().map(|path| (path.trim_matches('/').replace('/', "-"), path)).chain(named);
    let mut faults = Vec::new();
    for (name, path) in all {
        stage.open(browser, path);
        let missing = shows(browser, "Nothing here");
        assert_eq!(missing, name == "nowhere", "{path}");
        stage.keep(browser, &format!("{look}-{}", if name.is_empty() { "overview" } else { &name }));
        faults.extend(check(browser, checker, &format!("{path}, {look}"), options));
        let wider = browser.run("return document.documentElement.scrollWidth - innerWidth").unwrap();
        if wider.as_i64().unwrap() > 0 {
            faults.push(format!("{path}, {look}: {wider} px wider than the window"));
        }
    }
    faults
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
