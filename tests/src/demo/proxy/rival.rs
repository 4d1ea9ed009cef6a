//! Other people's proxies on the same network: C tor, and the program `arti` where there is one.

use std::env;
use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::net::Network;
use crate::ports::Ports;
use crate::process::Process;
use crate::scratch::Scratch;

/// C tor without the second leg to the same exit (proposal 329), which Arti has no way to ask for yet.
pub(super) const ONE_CIRCUIT: &str = "C tor on one circuit";

/// Arti's own proxy.
pub(super) const ARTI: &str = "arti";

/// Names the program `arti` to compare with.
const NAMED: &str = "BULBIL_ARTI";

/// How to get one: what its own `full` proxy has, with the libraries for TLS and databases that Bulbil has.
const GET_ARTI: [&str; 8] = [
    "install",
    "--locked",
    "arti",
    "--version",
    "2.7.0",
    "--no-default-features",
    "--features",
    "tokio,rustls-ring,static-sqlite,onion-service-client,vanguards,dns-proxy,flowctl-cc",
];

/// The `arti` to compare with: the one that `BULBIL_ARTI` names, or the one that was built by `--with-arti`, now or before.
pub(super) fn program(build: bool) -> io::Result<Option<PathBuf>> {
    if let Some(named) = env::var_os(NAMED) {
        return Ok(Some(named.into()));
    }
    // `target`, above the folder of the profile.
    let own = env::current_exe()?;
    let target =
        own.ancestors().nth(2).ok_or_else(|| io::Error::other("the demo lies in no target folder"))?;
    let folder = target.join("arti");
    let built = folder.join("bin/arti");
    if !built.is_file() && build {
        println!("building arti (once, some 10 minutes)");
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(GET_ARTI).arg("--root").arg(&folder).arg("--target-dir").arg(folder.join("build"));
        if !cargo.status()?.success() {
            return Err(io::Error::other(format!("arti does not build: see above, or name one in {NAMED}")));
        }
    }
    if !built.is_file() {
        println!("nothing is compared with arti: --with-arti builds it, {NAMED} names one");
    }
    Ok(built.is_file().then_some(built))
}

/// A proxy that runs.
#[derive(Debug)]
pub(super) struct Rival {
    pub(super) name: &'static str,
    pub(super) socks: u16,
    pub(super) dns: u16,
    pub(super) process: Process,
}

/// All there are.
pub(super) fn all(
    program: Option<&Path>,
    network: &Network,
    scratch: &Scratch,
    ports: &mut Ports,
) -> io::Result<Vec<Rival>> {
    let mut all = vec![
        tor(("C tor", ""), network, scratch, ports)?,
        tor((ONE_CIRCUIT, "ConfluxEnabled 0\n"), network, scratch, ports)?,
    ];
    if let Some(program) = program {
        all.push(arti(program, network, scratch, ports)?);
    }
    Ok(all)
}

fn tor(
    (name, more): (&'static str, &str),
    network: &Network,
    scratch: &Scratch,
    ports: &mut Ports,
) -> io::Result<Rival> {
    let (socks, dns) = (ports.take()?, ports.take()?);
    let folder = scratch.join(name.replace(' ', "-"));
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("empty"), "")?;
    let torrc = folder.join("torrc");
    let text = format!(
        "{}DataDirectory {1}/data\nGeoIPFile {1}/empty\nGeoIPv6File {1}/empty\nLog notice file {1}/tor.log\n\
         SocksPort 127.0.0.1:{socks}\nDNSPort 127.0.0.1:{dns}\n{more}",
        network.client_torrc(),
        folder.display()
    );
    fs::write(&torrc, text)?;
    let mut command = Command::new("tor");
    command.arg("-f").arg(&torrc).arg("--defaults-torrc").arg(folder.join("empty")).arg("--hush");
    let process = Process::start("tor", &mut command, &folder.join("output.log"))?;
    Ok(Rival { name, socks, dns, process })
}

fn arti(program: &Path, network: &Network, scratch: &Scratch, ports: &mut Ports) -> io::Result<Rival> {
    let (socks, dns) = (ports.take()?, ports.take()?);
    let folder = scratch.join(ARTI);
    fs::create_dir_all(&folder)?;
    let config = folder.join("arti.toml");
    let text = format!(
        "{}\n[application]\nallow_running_as_root = true\n[proxy]\nsocks_listen = \"{listen}:{socks}\"\n\
         dns_listen = \"{listen}:{dns}\"\n[storage]\ncache_dir = \"{1}/cache\"\nstate_dir = \"{1}/state\"\n",
        network.arti_toml(),
        folder.display(),
        listen = Ipv4Addr::LOCALHOST,
    );
    fs::write(&config, text)?;
    let mut command = Command::new(program);
    command.arg("--config").arg(&config).arg("proxy");
    let process = Process::start(ARTI, &mut command, &folder.join("output.log"))?;
    Ok(Rival { name: ARTI, socks, dns, process })
}
