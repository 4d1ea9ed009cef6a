//! Other people's proxies on the same network: C tor, and the program `arti` where one is named.

use std::env;
use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::Command;

use crate::net::Network;
use crate::ports::Ports;
use crate::process::Process;
use crate::scratch::Scratch;

/// C tor without the second leg to the same exit (proposal 329), which Arti has no way to ask for yet.
pub(super) const ONE_CIRCUIT: &str = "C tor on one circuit";

/// Names the program `arti` to compare with.
const ARTI: &str = "BULBIL_ARTI";

/// How to get one: what its own `full` proxy has, with the libraries for TLS and databases that Bulbil has.
const GET_ARTI: &str = "cargo install --locked arti --version 2.7.0 --no-default-features --features \
                        tokio,rustls-ring,static-sqlite,onion-service-client,vanguards,dns-proxy,flowctl-cc --root DIR";

/// A proxy that runs.
#[derive(Debug)]
pub(super) struct Rival {
    pub(super) name: &'static str,
    pub(super) socks: u16,
    pub(super) dns: u16,
    pub(super) process: Process,
}

/// All there are.
pub(super) fn all(network: &Network, scratch: &Scratch, ports: &mut Ports) -> io::Result<Vec<Rival>> {
    let mut all = vec![
        tor(("C tor", ""), network, scratch, ports)?,
        tor((ONE_CIRCUIT, "ConfluxEnabled 0\n"), network, scratch, ports)?,
    ];
    match env::var_os(ARTI) {
        Some(program) => all.push(arti(program.into(), network, scratch, ports)?),
        None => println!("to compare with arti: {GET_ARTI}\nand set {ARTI}=DIR/bin/arti"),
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

fn arti(program: PathBuf, network: &Network, scratch: &Scratch, ports: &mut Ports) -> io::Result<Rival> {
    let (socks, dns) = (ports.take()?, ports.take()?);
    let folder = scratch.join("arti");
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
    let process = Process::start("arti", &mut command, &folder.join("output.log"))?;
    Ok(Rival { name: "arti", socks, dns, process })
}
