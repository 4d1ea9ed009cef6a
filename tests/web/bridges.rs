//! Where Tor is blocked.

use std::fs;
use std::net::Ipv4Addr;
use std::process::Command;

use bulbil_tests::browser::Browser;
use bulbil_tests::net::Network;
use bulbil_tests::node::{Node, Settings};
use bulbil_tests::ports::Ports;
use bulbil_tests::process::Process;
use bulbil_tests::wait::found;

use super::{SOON, Stage, TOR_LIMIT, must_show};

/// Bad lines are named; a good one is used, by this node at once and by another from its settings file.
pub(crate) fn enter_bridges(stage: &Stage, network: &Network, browser: &Browser) {
    let (_tor, line, _ports) = bridge(stage, network);
    browser.press("Tor").unwrap();
    browser.fill("#bridge-lines", &format!("{line}\nobfs4 192.0.2.7:443 cert=x")).unwrap();
    browser.press("Save and use").unwrap();
    must_show(browser, "bridge 2 cannot be used: it needs the transport obfs4");
    stage.keep(browser, "bridges-wrong");
    browser.fill("#bridge-lines", &line).unwrap();
    browser.press("Save and use").unwrap();
    must_show(browser, "This node enters Tor by 1 bridge");
    stage.keep(browser, "bridges");
    assert_eq!(stage.board.status().unwrap()["net"]["bridges"], 1);
    // Another node knows nothing else to begin with; its only way in is the bridge.
    let mut hidden = Node::prepare(&network.arti_toml(), Settings::named("hidden")).unwrap();
    let config = fs::read_to_string(hidden.config_path()).unwrap();
    let named = format!("[net.tor]\nbridges = [\"{line}\"]\n");
    fs::write(hidden.config_path(), config.replace("[net.tor]\n", &named)).unwrap();
    hidden.restart().unwrap();
    hidden.wait_ready().unwrap();
    let port: u16 = line.split(' ').next().unwrap().rsplit(':').next().unwrap().parse().unwrap();
    let ports = network.relays().iter().map(|relay| relay.or_port).collect::<Vec<_>>();
    let entered = connected_ports(hidden.pid().unwrap());
    assert!(entered.contains(&port) && !entered.iter().any(|port| ports.contains(port)), "{entered:?}");
    // Without a line it is public relays again.
    stage.open(browser, "/tor");
    browser.fill("#bridge-lines", "").unwrap();
    browser.press("Save and use").unwrap();
    must_show(browser, "enters Tor by public relays");
    browser.press("New identity").unwrap();
    must_show(browser, "A new identity was taken");
}

/// Where a process is connected to (proc(5): `/proc/<pid>/fd`, `/proc/net/tcp`).
fn connected_ports(pid: u32) -> Vec<u16> {
    let inode = |entry: fs::DirEntry| {
        let target = fs::read_link(entry.path()).ok()?.display().to_string();
        Some(target.strip_prefix("socket:[")?.trim_end_matches(']').to_owned())
    };
    let own: Vec<String> =
        fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten().filter_map(inode).collect();
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let rows = table.lines().skip(1).map(|row| row.split_whitespace().collect::<Vec<_>>());
    let rows = rows.filter(|row| own.iter().any(|inode| inode == row[9]));
    rows.map(|row| u16::from_str_radix(row[2].rsplit(':').next().unwrap(), 16).unwrap()).collect()
}

/// A relay that is on no list, and its line.
fn bridge(stage: &Stage, network: &Network) -> (Process, String, Ports) {
    let folder = stage.files.join("bridge");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("empty"), "").unwrap();
    let mut ports = Ports::reserve(Ipv4Addr::LOCALHOST).unwrap();
    let port = ports.take().unwrap();
    let torrc = format!(
        "{0}Nickname bridge\nDataDirectory {1}/data\nGeoIPFile {1}/empty\nGeoIPv6File {1}/empty\nSocksPort 0\n\
         BridgeRelay 1\nORPort 127.0.0.1:{port} IPv4Only\nAddress 127.0.0.1\nAssumeReachable 1\n\
         PublishServerDescriptor 0\nBridgeDistribution none\nExitRelay 0\nContactInfo none\n",
        network.client_torrc(),
        folder.display()
    );
    fs::write(folder.join("torrc"), torrc).unwrap();
    let mut command = Command::new("tor");
    command.arg("-f").arg(folder.join("torrc")).arg("--defaults-torrc").arg(folder.join("empty"));
    let tor = Process::start("bridge", &mut command, &folder.join("bridge.log")).unwrap();
    let print = found(SOON, "the bridge's fingerprint", || {
        let text = fs::read_to_string(folder.join("data/fingerprint")).unwrap_or_default();
        Ok(text.split_whitespace().nth(1).map(str::to_owned))
    });
    found(TOR_LIMIT, "the bridge to know the network", || {
        let log = fs::read_to_string(folder.join("bridge.log")).unwrap_or_default();
        Ok(log.contains("Bootstrapped 100%").then_some(()))
    })
    .unwrap();
    (tor, format!("127.0.0.1:{port} {}", print.unwrap()), ports)
}
