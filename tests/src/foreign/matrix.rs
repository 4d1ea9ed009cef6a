//! Every SOCKS client against every kind of target.

use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{NODE, Python, SCRIPT_NODE, SCRIPT_WRAPPED, run};
use crate::outside::HELLO;
use crate::packages;
use crate::scratch::Scratch;

/// Where everything is.
#[derive(Clone, Debug)]
pub struct Targets {
    /// The node's SOCKS listener.
    pub proxy: u16,
    /// [`Outside`](crate::outside::Outside), on loopback and at `beside`.
    pub outside: u16,
    /// Where nothing listens.
    pub closed: u16,
    /// [`Silent`](crate::outside::Silent), on loopback.
    pub silent: u16,
    /// The same at `beside`.
    pub silent_beside: u16,
    /// An onion service that gives [`HELLO`] at `/hello`.
    pub onion: String,
    /// An address of this machine besides loopback, which torsocks leaves alone; without, torsocks gets onion names only.
    pub beside: Option<Ipv4Addr>,
    /// Bytes of the long stream.
    pub size: u64,
}

/// What became of one client at one kind of target.
#[derive(Clone, Debug)]
pub struct Cell {
    /// The program or library.
    pub client: &'static str,
    /// The kind of target.
    pub case: &'static str,
    /// Seconds, or what it said instead of what it should.
    pub outcome: Result<f64, String>,
}

/// Kinds of targets that are quickly done with. `refused` comes before all others: C tor's exits tell a refusal by the last
/// error of whatever they did.
const QUICK: [&str; 7] = ["name", "IPv4", "IPv6", "onion", "half-close", "unreachable", "timeout"];

/// A client, and the kinds of targets that it cannot be tried with at all.
type Client = (&'static str, &'static [&'static str]);

/// curl ends no direction by itself; torsocks keeps away from loopback, which is all there is of IPv6 here.
const CLIENTS: [Client; 6] = [
    ("curl", &["half-close"]),
    ("PySocks", &[]),
    ("python-socks", &[]),
    ("torsocks", &["IPv6"]),
    ("proxychains4", &[]),
    ("Node", &[]),
];

/// For everything that is no long stream, with the 20 s that a silent target takes.
const LIMIT: Duration = Duration::from_mins(3);

/// Bytes a second at least, of each of the long streams that all run at once.
const SLOWEST: u64 = 256 * 1024;

/// Plays all of it: all clients at once, but one after the other where nothing listens.
pub fn play(python: &Python, targets: &Targets) -> io::Result<Vec<Cell>> {
    packages::ensure(&NODE)?;
    let folder = Scratch::new("clients")?;
    let chains = folder.join("chains.conf");
    let text = format!("strict_chain\nproxy_dns\n[ProxyList]\nsocks5 127.0.0.1 {}\n", targets.proxy);
    fs::write(&chains, text)?;
    let stage = Stage { python, targets, chains: &chains };
    let mut cells = Vec::new();
    for (client, _) in CLIENTS {
        cells.extend(stage.cell((client, &[]), "refused"));
    }
    for cases in [&QUICK[..], &["stream"]] {
        let played = thread::scope(|scope| {
            let stage = &stage;
            let all: Vec<_> = CLIENTS
                .iter()
                .flat_map(|client| {
                    cases.iter().map(move |case| scope.spawn(move || stage.cell(*client, case)))
                })
                .collect();
            all.into_iter().map(thread::ScopedJoinHandle::join).collect::<Vec<_>>()
        });
        for cell in played {
            cells.extend(cell.map_err(|_| io::Error::other("a client's thread failed"))?);
        }
    }
    Ok(cells)
}

struct Stage<'a> {
    python: &'a Python,
    targets: &'a Targets,
    chains: &'a Path,
}

impl Stage<'_> {
    /// `None` where this client cannot be tried.
    fn cell(&self, (client, without): Client, case: &'static str) -> Option<Cell> {
        let alone = client == "torsocks" && self.targets.beside.is_none() && case != "onion";
        if alone || without.contains(&case) {
            return None;
        }
        let begun = Instant::now();
        let said = self.attempt(client, case).unwrap_or_else(|why| why.to_string());
        let right = self.expected(client, case).contains(&said);
        let outcome = if right { Ok(begun.elapsed().as_secs_f64()) } else { Err(said) };
        Some(Cell { client, case, outcome })
    }

    /// The target of a case: host, port, path.
    fn target(&self, client: &str, case: &str) -> (String, u16, String) {
        let Targets { outside, closed, silent, silent_beside, onion, beside, size, .. } = self.targets;
        let beside = beside.filter(|_| client == "torsocks");
        let local = beside.unwrap_or(Ipv4Addr::LOCALHOST).to_string();
        let name = if beside.is_some() { "www.beside.test" } else { "www.local.test" };
        let (host, port) = match case {
            "name" => (name.to_owned(), *outside),
            "IPv6" => ("::1".to_owned(), *outside),
            "onion" => (onion.clone(), 80),
            "refused" => (local, *closed),
            "unreachable" => ("255.255.255.255".to_owned(), 80),
            "timeout" => (local, if beside.is_some() { *silent_beside } else { *silent }),
            _ => (local, *outside),
        };
        let path = if case == "stream" { format!("/size/{size}") } else { "/hello".to_owned() };
        (host, port, path)
    }

    /// What the client says, in its own words: the body, how much came, or the error.
    fn attempt(&self, client: &str, case: &str) -> io::Result<String> {
        let (host, port, path) = self.target(client, case);
        let targets = json!([[case, host, port, path]]);
        let limit =
            if case == "stream" { LIMIT + Duration::from_secs(self.targets.size / SLOWEST) } else { LIMIT };
        let proxy = self.targets.proxy.to_string();
        let said = match client {
            "curl" => return self.curl(case, &format!("http://{}{path}", at(&host, port)), limit),
            "PySocks" => self.library("pysocks", &targets, limit)?,
            "python-socks" => self.library("python_socks", &targets, limit)?,
            "torsocks" => {
                let mut torsocks = Command::new("torsocks");
                torsocks.args(["-a", "127.0.0.1", "-P", &proxy, "python3", "-c", SCRIPT_WRAPPED]);
                run(torsocks.arg(targets.to_string()), limit)?.json()?
            }
            "proxychains4" => {
                let mut chains = Command::new("proxychains4");
                chains.args(["-q", "-f"]).arg(self.chains).args(["python3", "-c", SCRIPT_WRAPPED]);
                run(chains.arg(targets.to_string()), limit)?.json()?
            }
            _ => {
                let mut node = Command::new("node");
                // Where Debian puts libraries, for whoever's Node it is.
                node.env("NODE_PATH", "/usr/share/nodejs").args(["-e", SCRIPT_NODE, &proxy]);
                run(node.arg(targets.to_string()), limit)?.json()?
            }
        };
        let word = said.get(case).and_then(Value::as_str);
        word.map(str::to_owned).ok_or_else(|| io::Error::other(format!("{client} said {said}")))
    }

    fn library(&self, name: &str, targets: &Value, limit: Duration) -> io::Result<Value> {
        let said = self.python.socks_by(self.targets.proxy, targets, &[name], limit)?;
        Ok(said.get(name).cloned().unwrap_or_default())
    }

    /// Its last number in brackets is the reply code.
    fn curl(&self, case: &str, url: &str, limit: Duration) -> io::Result<String> {
        let mut curl = Command::new("curl");
        curl.args(["-sS", "-g", "-x", &format!("socks5h://curl:x@127.0.0.1:{}", self.targets.proxy), url]);
        if case == "stream" {
            curl.args(["-o", "/dev/null", "-w", "%{size_download}"]);
        }
        let said = crate::talk::Talk::begin(&mut curl)?.end(limit)?;
        if said.code == Some(0) {
            return Ok(said.out);
        }
        let code = said.err.rsplit_once('(').and_then(|(_, rest)| rest.split_once(')')).map(|(code, _)| code);
        Ok(code.map_or_else(|| said.err.clone(), |code| format!("0x{code}")))
    }

    /// What a client that understands the node says. proxychains has one word for every failure.
    fn expected(&self, client: &str, case: &str) -> Vec<String> {
        let words: &[&str] = match (case, client) {
            ("stream", _) => return vec![self.targets.size.to_string()],
            ("refused" | "unreachable" | "timeout", "proxychains4") => &["ECONNREFUSED", "ETIMEDOUT"],
            ("refused", "torsocks") => &["ECONNREFUSED"],
            ("refused", "Node") => &["Socks5 proxy rejected connection - ConnectionRefused"],
            ("refused", _) => &["0x5", "0x05"],
            ("unreachable", "torsocks") => &["ENETUNREACH"],
            ("unreachable", "Node") => &["Socks5 proxy rejected connection - NetworkUnreachable"],
            ("unreachable", _) => &["0x3", "0x03"],
            ("timeout", "torsocks") => &["ETIMEDOUT"],
            ("timeout", "Node") => &["Socks5 proxy rejected connection - TTLExpired"],
            ("timeout", _) => &["0x6", "0x06"],
            _ => &[HELLO],
        };
        words.iter().map(|word| (*word).to_owned()).collect()
    }
}

/// As it stands in a URL.
fn at(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}
