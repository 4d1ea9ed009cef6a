//! Bytes over streams of the network plug and nothing else: what a transfer costs without shares, proofs and disks.
//!
//! ```text
//! stream serve CONFIG BYTES                     prints an address; gives each caller that many zeros
//! stream read CONFIG ADDRESS BYTES STREAMS      reads that many from each of so many circuits
//! ```
//!
//! CONFIG is a node's configuration, of which `[net]`, `memory` and `state_dir` count. `read` prints the CPU seconds it took once
//! Tor was ready, and how long that was, as one JSON document.

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use bulbil::config::Config;
use bulbil::net::{Address, Circuit, Network, ServiceKey, Stream};
use bulbil::state::StateDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::{JoinSet, LocalSet};

/// As a node has: what a block is read and written by.
const BUFFER: usize = 16 * 1024;

/// For Tor to come up, or for a service to be published.
const READY_LIMIT: Duration = Duration::from_mins(2);

type Outcome<T> = Result<T, Box<dyn Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["serve", config, bytes] => LocalSet::new().run_until(serve(Path::new(config), bytes.parse()?)).await,
        ["read", config, address, bytes, streams] => {
            let (address, bytes, streams) = (address.parse()?, bytes.parse()?, streams.parse()?);
            LocalSet::new().run_until(read(Path::new(config), address, bytes, streams)).await
        }
        _ => Err("usage: stream serve CONFIG BYTES | stream read CONFIG ADDRESS BYTES STREAMS".into()),
    }
}

async fn serve(config: &Path, bytes: u64) -> Outcome<()> {
    let (_state, network) = start(config).await?;
    let mut service = network.serve(&ServiceKey::random()?, 80, None).await?;
    let mut reachable = service.reachable();
    tokio::time::timeout(READY_LIMIT, reachable.wait_for(|up| *up)).await??;
    let address = service.address();
    println!("{}:{}", address.host(), address.port);
    while let Some(stream) = service.accept().await {
        drop(tokio::task::spawn_local(give(stream, bytes)));
    }
    Ok(())
}

/// A caller that goes away ends its stream only.
async fn give(mut stream: Stream, mut bytes: u64) -> std::io::Result<()> {
    let zeros = [0; BUFFER];
    while bytes > 0 {
        let part = usize::try_from(bytes).unwrap_or(BUFFER).min(BUFFER);
        stream.write_all(zeros.get(..part).unwrap_or(&zeros)).await?;
        bytes = bytes.saturating_sub(part as u64);
    }
    stream.flush().await?;
    // The end of a stream overtakes nothing if the reader ends it.
    stream.read(&mut [0]).await.map(|_| ())
}

async fn read(config: &Path, address: Address, bytes: u64, streams: u32) -> Outcome<()> {
    let (_state, network) = start(config).await?;
    let (begun, cpu_s) = (Instant::now(), cpu_s()?);
    let mut lanes = JoinSet::new();
    for lane in 0..streams {
        let network = network.clone();
        lanes.spawn_local(async move {
            Box::pin(take(&network, address, Circuit { swarm: 1, lane }, bytes)).await
        });
    }
    while let Some(lane) = lanes.join_next().await {
        lane??;
    }
    let (cpu_s, seconds) = (self::cpu_s()? - cpu_s, begun.elapsed().as_secs_f64());
    println!("{}", serde_json::json!({ "cpu_s": cpu_s, "seconds": seconds }));
    Ok(())
}

async fn take(network: &Network, address: Address, circuit: Circuit, mut bytes: u64) -> std::io::Result<()> {
    let failed = std::io::Error::other;
    let mut stream = network.connect(address, None, circuit).await.map_err(failed)?;
    let mut buffer = [0; BUFFER];
    while bytes > 0 {
        let came = stream.read(&mut buffer).await?;
        if came == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        bytes = bytes.saturating_sub(came as u64);
    }
    Ok(())
}

/// The state directory must outlive the network.
async fn start(config: &Path) -> Outcome<(StateDir, Network)> {
    let config = Config::load(config)?;
    let state = StateDir::open(&config.state_dir(), config.allow_disk_state)?;
    let network = Network::start(&config, state.path()).await?;
    tokio::time::timeout(READY_LIMIT, network.ready()).await??;
    Ok((state, network))
}

/// CPU seconds of this process so far, all threads: fields 14 and 15 (the third follows the name) of `/proc/self/stat` (proc(5)), in hundredths.
fn cpu_s() -> Outcome<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(')').ok_or("the kernel's process file has an unknown form")?;
    let ticks: Vec<u32> = fields.split_whitespace().skip(11).take(2).flat_map(str::parse).collect();
    Ok(ticks.into_iter().map(f64::from).sum::<f64>() / 100.0)
}
