//! Whether everybody can use it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use bulbil_tests::browser::{Browser, Look};

use super::{NEW_PASSWORD, Stage};

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
    stage.open(browser, "/first");
    let faults = check(browser, &checker, "/first", "{}");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    browser.run("document.querySelector('main').append(document.createElement('img'))").unwrap();
    let spoilt = check(browser, &checker, "a picture without words", "{}");
    assert!(spoilt.iter().any(|fault| fault.contains("image-alt")), "{spoilt:?}");
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

/// Looks at every page, and at one share; gives what is wrong.
fn walk(stage: &Stage, browser: &Browser, checker: &str, look: &str, options: &str) -> Vec<String> {
    let share = stage.board.status().unwrap()["shares"][0]["info_hash"].as_str().unwrap().to_owned();
    let share = format!("/shares/{share}");
    let mut faults = Vec::new();
    for path in PAGES.into_iter().chain([share.as_str()]) {
        let name = if path == share { "share".to_owned() } else { path.trim_matches('/').replace('/', "-") };
        stage.open(browser, path);
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
