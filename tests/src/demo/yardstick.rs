//! The story `baseline`: what C tor, nginx and curl do on the private networks, without Bulbil.

use std::io;

use serde_json::json;

use super::Options;
use super::report::Report;
use crate::baseline::Baseline;
use crate::content;
use crate::measure::Measured;
use crate::net::{Network, Shape};
use crate::scratch::Scratch;

/// Bytes of the file that all measurements move.
pub(super) const FILE: u64 = 64 << 20;

/// Milliseconds added per hop and way on the slow network: 0.29 s round trip between the ends of an onion circuit.
pub(super) const LATENCY_MS: u64 = 20;

/// Serves a fresh file through a C tor onion service on `network` and reads it once.
pub(super) fn measure(network: &Network) -> io::Result<Measured> {
    let folder = Scratch::new("served")?;
    let sha256 = content::write_file(&folder.join("file.bin"), FILE, 9)?;
    let measured = Baseline::start(network, folder.path())?.fetch("file.bin", &sha256)?;
    if measured.verified {
        Ok(measured)
    } else {
        Err(io::Error::other("the file fetched by curl has the wrong SHA-256"))
    }
}

pub(super) fn run(options: &Options) -> io::Result<bool> {
    println!("starting a private Tor network");
    let plain = measure(&Network::start(Shape::default())?)?;
    println!("starting one with {LATENCY_MS} ms more per hop");
    let slow = measure(&Network::start(Shape::with_latency_ms(LATENCY_MS))?)?;
    print!("{}", Report::yardstick_lines(&plain, &slow));
    options.write_json(&json!({
        "verified": plain.verified && slow.verified,
        "throughput_mib_s": { "c_tor_http": plain.mib_s(), "c_tor_http_latency": slow.mib_s() },
        "cpu_s_per_100mib": {
            "c_tor_serve": plain.serve_cpu_s_per_100mib(),
            "c_tor_fetch": plain.fetch_cpu_s_per_100mib(),
        },
    }))?;
    Ok(plain.verified && slow.verified)
}
