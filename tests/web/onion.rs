//! The page through its own onion service.

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use bulbil_tests::browser::{Browser, Look};
use bulbil_tests::net::Network;
use bulbil_tests::ports::Ports;
use bulbil_tests::process::Process;
use bulbil_tests::wait::found;

use super::everybody::must_suit;
use super::{NEW_PASSWORD, Stage, TOR_LIMIT, must_show, shows};

/// Chromium behind a C tor client that was given the client key.
pub(crate) fn own_onion(stage: &Stage, network: &Network, browser: &Browser) {
    stage.open(browser, "/tor");
    browser.press("Switch on").unwrap();
    must_show(browser, "http://");
    found(TOR_LIMIT, "the page's onion to be reachable", || {
        stage.open(browser, "/tor");
        Ok(browser.read(".card.link .good").is_ok_and(|word| word == "reachable").then_some(()))
    })
    .unwrap();
    stage.keep(browser, "tor-onion");
    must_suit(browser, "/tor with its onion on");
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
    another_address(stage, &far, &url);
}

/// Who came by the address sees the next one before this one ends, and may still let it be.
fn another_address(stage: &Stage, far: &Browser, url: &str) {
    far.press("Tor").unwrap();
    far.press("New address and key").unwrap();
    must_show(far, "You are here by this very address");
    let next = far.read("code.select").unwrap();
    assert!(next.ends_with(".onion/") && next != url, "{next}");
    stage.keep(far, "another-address");
    far.press("Leave it").unwrap();
    must_show(far, "Client key");
    assert_eq!(far.read("code.select").unwrap(), url);
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
