//! The same bytes over bare streams of the network plug, by the example `stream`: what Arti costs without our layers.

use std::io;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::measure::Measured;
use crate::net::Network;
use crate::node::{Node, Settings};
use crate::process::Process;
use crate::usage::Machine;
use crate::wait;

/// Moves `bytes` over `streams` circuits at once with the program `stream`. Zeros, which nobody checks.
pub(super) fn measure(network: &Network, stream: &Path, bytes: u64, streams: u8) -> io::Result<Measured> {
    let (part, count) = ((bytes / u64::from(streams)).to_string(), streams.to_string());
    // Nodes that are never started: their configurations are what the program wants.
    let (server, reader) = (idle(network, "bare server")?, idle(network, "bare reader")?);
    let log = server.folder().join("out");
    let mut command = Command::new(stream);
    command.arg("serve").arg(server.config_path()).arg(&part);
    let mut serving = Process::start("bare server", &mut command, &log)?;
    let address = wait::found(REACH_LIMIT, "the bare onion service to be reachable", || {
        if let Some(status) = serving.ended()? {
            return Err(io::Error::other(format!("it ended ({status}): {}", serving.output()?.trim())));
        }
        let said = serving.output()?;
        Ok(said.lines().find(|line| line.contains(".onion:")).map(str::to_owned))
    })?;
    let (cpu_s, machine) = (serving.usage()?.cpu_s, Machine::now()?);
    let mut command = Command::new(stream);
    command.arg("read").arg(reader.config_path()).args([&address, &part, &count]);
    let mut reading = Process::start("bare reader", &mut command, &reader.folder().join("out"))?;
    let (status, ..) = reading.finish(READ_LIMIT)?;
    let said = reading.output()?;
    let figures: Option<Value> = said.lines().last().and_then(|line| serde_json::from_str(line).ok());
    let figure = |key: &str| figures.as_ref()?.get(key)?.as_f64();
    let (Some(seconds), Some(fetch_cpu_s)) = (figure("seconds"), figure("cpu_s")) else {
        return Err(io::Error::other(format!("the bare reader failed ({status}): {}", said.trim())));
    };
    Ok(Measured {
        bytes,
        seconds,
        serve_cpu_s: serving.usage()?.cpu_s - cpu_s,
        fetch_cpu_s,
        busy: Machine::now()?.busy_since(machine),
        verified: status.success(),
    })
}

fn idle(network: &Network, name: &str) -> io::Result<Node> {
    Node::prepare(&network.arti_toml(), Settings::named(name))
}

/// From launch to the service being published.
const REACH_LIMIT: Duration = Duration::from_mins(3);

/// For all bytes: 64 MiB at 0.1 MiB/s.
const READ_LIMIT: Duration = Duration::from_secs(640);
