//! The container image on a real engine, with the compose files that people have today.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::engine::Engine;
use super::{Rows, TARGET, expect, output, packed, top};
use crate::baseline::start_tor;
use crate::net::{Network, Shape};
use crate::ports::Ports;
use crate::process::Process;
use crate::scratch::Scratch;
use crate::wait::found;

/// From `up` to the first answer through Tor, on a busy machine.
const REACH: Duration = Duration::from_mins(3);

/// What the image under test is called.
const IMAGE: &str = "bulbil-under-test";

/// What the image as it ships is called.
const SHIPPED: &str = "bulbil-shipped";

/// What the web server on the clear side answers.
const CLEAR: &str = "a page beyond an exit";

/// A deployment that predates Bulbil: the proxy alone. Its image is called `bulbil-under-test`; nothing else was changed.
const PROXY: &str = "version: '3.8'\n\nservices:\n  torrust:\n    image: bulbil-under-test\n    user: \"10001\"\n    \
                     read_only: true\n    cap_drop:\n      - ALL\n    cap_add:\n      - IPC_LOCK\n    tmpfs:\n      \
                     - /var/lib/tor/state:size=64m,uid=10001,gid=10001,mode=0700\n      \
                     - /tmp:size=16m,uid=10001,gid=10001,mode=1777\n    environment:\n      \
                     - COMMON_SOCKS_PROXY_PORT=9150\n      - COMMON_DNS_PROXY_PORT=5353\n      \
                     - SECMEM_STRICT=1\n      - TORGO_ENABLE_CHAFF=0\n    security_opt:\n      \
                     - no-new-privileges:true\n";

/// Another one: one onion service in front of a web API, keys in a volume.
const ONION: &str = "version: '3.8'\n\nservices:\n  web:\n    image: api-under-test\n    environment:\n      \
                     - TOR_PROXY_URL=socks5://tor:9050\n  tor:\n    image: bulbil-under-test\n    volumes:\n      \
                     - tor-data:/var/lib/tor\n    environment:\n      - HS_ROUTER=web:8000:80\n    depends_on:\n      \
                     - web\n\nvolumes:\n  tor-data:\n";

/// What our files ask the engine for, and an engine inside a container without `CAP_SYS_RESOURCE` cannot give.
const LOCKED: &str = "    ulimits:\n      memlock: -1\n";

struct Stage {
    engine: Engine,
    network: Network,
    scratch: Scratch,
    /// A page of a web server that exits can reach.
    clear: String,
    _web: (Process, Ports),
}

pub(super) fn run(rows: &mut Rows, given: Option<&str>) -> io::Result<()> {
    let stage = Stage::new()?;
    rows.timed("container: the image loads", || stage.load(given));
    rows.timed("container: the API's own image is made", || super::api::build(&stage.engine, &stage.scratch));
    rows.timed("container: the proxy's compose file of before, strict, serves SOCKS and DNS", || {
        stage.proxy(&stage.write("before-proxy.yml", PROXY)?, "torrust")
    });
    rows.timed("container: our proxy.yml does", || stage.proxy(&stage.shipped("proxy.yml")?, "bulbil"));
    rows.timed(
        "container: the onion service's compose file of before serves an API, SOCKS, and keeps its address",
        || stage.onion(&stage.write("before-onion.yml", ONION)?, Out::Through),
    );
    rows.timed("container: our onion.yml does", || stage.onion(&stage.shipped("onion.yml")?, Out::Not));
    rows.timed("container: our both.yml does, and the API goes out through it", || {
        stage.onion(&stage.shipped("both.yml")?, Out::Through)
    });
    Ok(())
}

/// Whether the API is told of the proxy.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Out {
    Through,
    Not,
}

impl Stage {
    fn new() -> io::Result<Self> {
        let engine = Engine::find()?;
        let address = engine.gateway()?;
        let network = Network::start(Shape { address, ..Shape::default() })?;
        let scratch = Scratch::new("container")?;
        fs::write(scratch.join("page"), CLEAR)?;
        let mut ports = Ports::reserve(address)?;
        let listen = format!("{address}:{}", ports.take()?);
        let mut command = Command::new("busybox");
        command.args(["httpd", "-f", "-p", &listen, "-h"]).arg(scratch.path());
        let http = Process::start("httpd", &mut command, &scratch.join("httpd.log"))?;
        Ok(Self { engine, network, scratch, clear: format!("http://{listen}/page"), _web: (http, ports) })
    }

    /// The image as it ships, and on top of it nothing but the private network's description.
    fn load(&self, given: Option<&str>) -> io::Result<()> {
        if given.is_none() {
            let shipped = packed(&["container", "--target", TARGET, "--tag", SHIPPED])?;
            self.engine.docker(&["load", "-i", &shipped.to_string_lossy()])?;
        }
        let config = fs::read_to_string(top().join("boards/container/bulbil.toml"))?;
        let config = format!("{config}\n[net.tor]\nnetwork_file = \"/etc/network.toml\"\n");
        let arti = self.network.arti_toml();
        self.build(
            IMAGE,
            &format!("FROM {}\nCOPY bulbil.toml network.toml /etc/\n", given.unwrap_or(SHIPPED)),
            &[("bulbil.toml", config.as_bytes()), ("network.toml", arti.as_bytes())],
        )
    }

    fn build(&self, tag: &str, recipe: &str, files: &[(&str, &[u8])]) -> io::Result<()> {
        let folder = self.scratch.join(tag);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("Dockerfile"), recipe)?;
        for (name, bytes) in files {
            let path = folder.join(name);
            fs::write(&path, bytes)?;
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            fs::set_permissions(&path, mode)?;
        }
        self.engine.docker(&["build", "-t", tag, &folder.to_string_lossy()]).map(drop)
    }

    fn proxy(&self, file: &Path, service: &str) -> io::Result<()> {
        let up = Up::new(&self.engine, file, "bulbilproxy")?;
        let container = format!("bulbilproxy_{service}_1");
        let address = self.engine.address(&container)?;
        let serves = || curl(&format!("{address}:9150"), &self.clear).map(|page| page == CLEAR);
        up.wait("SOCKS to serve", serves)?;
        // Started again, a container finds the folders below its mounts as its engine left them.
        self.engine.docker(&["restart", &container])?;
        let address = self.engine.address(&container)?;
        let serves = || curl(&format!("{address}:9150"), &self.clear).map(|page| page == CLEAR);
        up.wait("SOCKS to serve after a restart", serves)?;
        // The private network has no resolver that a name could be asked of; this one is answered by rule.
        for way in ["+notcp", "+tcp"] {
            let words = ["-p", "5353", way, "+tries=1", &format!("@{address}"), "unknown.onion"];
            let said = output(Command::new("dig").args(words))?;
            expect(said.contains("NXDOMAIN"), "DNS answers for an onion name")?;
        }
        let state =
            self.engine.docker(&["inspect", &container, "--format", "{{json .HostConfig.CapDrop}}"])?;
        expect(state.contains("ALL"), "the container runs without capabilities")
    }

    fn onion(&self, file: &Path, out: Out) -> io::Result<()> {
        let kept = self.twice(file, out);
        self.engine.compose(file, "bulbilonion", &["down", "-v"])?;
        kept
    }

    /// Up, down, and up again on the same volume.
    fn twice(&self, file: &Path, out: Out) -> io::Result<()> {
        let before = self.serves(&Up::new(&self.engine, file, "bulbilonion")?, out)?;
        let after = self.serves(&Up::new(&self.engine, file, "bulbilonion")?, out)?;
        expect(before == after, "the address is that of the volume")
    }

    /// The address that people read, once the API answers there.
    fn serves(&self, up: &Up, out: Out) -> io::Result<String> {
        let tor = "bulbilonion_tor_1";
        let hostname = found(REACH, "the hostname file", || {
            let file = "/var/lib/tor/hidden_service/hostname";
            Ok(self.engine.docker(&["exec", tor, "cat", file]).ok().map(|text| text.trim().to_owned()))
        })?;
        let logs = self.engine.docker(&["logs", tor])?;
        expect(logs.contains(&format!("ONION_URL=http://{hostname}")), "the log names the address")?;
        let mut ports = Ports::reserve(std::net::Ipv4Addr::LOCALHOST)?;
        let socks = ports.take()?;
        let folder = Scratch::new("client")?;
        let _client = start_tor(&folder, &self.network, "client", &format!("SocksPort 127.0.0.1:{socks}\n"))?;
        let tor_client = format!("127.0.0.1:{socks}");
        up.wait("the API to answer C tor", || {
            let said = curl(&tor_client, &format!("http://{hostname}/v1/info"))?;
            Ok(said.contains("an api behind an onion") && said.contains(&hostname))
        })?;
        let echo = output(
            Command::new("curl")
                .args([
                    "-sS",
                    "--fail",
                    "--max-time",
                    "30",
                    "--socks5-hostname",
                    &tor_client,
                    "--json",
                    "[1, 2, 3]",
                ])
                .arg(format!("http://{hostname}/v1/chat")),
        )?;
        expect(echo.contains("[1, 2, 3]"), "the API got what was posted")?;
        if out == Out::Through {
            let url = format!("http://{hostname}/v1/outside?url={}", self.clear);
            up.wait("the API to reach the world", || {
                curl(&tor_client, &url).map(|said| said.contains(CLEAR))
            })?;
        }
        let address = self.engine.address(tor)?;
        up.wait("SOCKS on 9050", || curl(&format!("{address}:9050"), &self.clear).map(|page| page == CLEAR))?;
        Ok(hostname)
    }

    /// A compose file of ours, with the images under test.
    fn shipped(&self, name: &str) -> io::Result<PathBuf> {
        let text = fs::read_to_string(top().join("boards/container").join(name))?;
        let mut text = text.replace("bulbil:latest", IMAGE).replace("nginx:alpine", super::api::IMAGE);
        if text.contains(LOCKED) && !may_raise_limits() {
            println!(
                "        this machine lets nobody raise limits (CAP_SYS_RESOURCE): {name} without its `ulimits`"
            );
            text = text.replace(LOCKED, "");
        }
        self.write(name, &format!("version: '3.8'\n{text}"))
    }

    fn write(&self, name: &str, text: &str) -> io::Result<PathBuf> {
        let path = self.scratch.join(name);
        fs::write(&path, text)?;
        Ok(path)
    }
}

/// A project that is up; taken down when dropped, its volumes kept.
struct Up<'e> {
    engine: &'e Engine,
    file: &'e Path,
    project: &'e str,
}

impl<'e> Up<'e> {
    fn new(engine: &'e Engine, file: &'e Path, project: &'e str) -> io::Result<Self> {
        let up = Self { engine, file, project };
        engine.compose(file, project, &["up", "-d"])?;
        Ok(up)
    }

    /// An error carries what the containers said.
    fn wait(&self, what: &str, mut holds: impl FnMut() -> io::Result<bool>) -> io::Result<()> {
        let waited = found(REACH, what, || Ok(holds().is_ok_and(|holds| holds).then_some(())));
        waited.map_err(|error| {
            let said = self.engine.compose(self.file, self.project, &["logs", "--no-color"]);
            io::Error::other(format!("{error}; {}", said.unwrap_or_default()))
        })
    }
}

impl Drop for Up<'_> {
    fn drop(&mut self) {
        let _ = self.engine.compose(self.file, self.project, &["down"]);
    }
}

fn may_raise_limits() -> bool {
    output(Command::new("prlimit").args(["--memlock=unlimited:unlimited", "true"])).is_ok()
}

fn curl(socks: &str, url: &str) -> io::Result<String> {
    let words = ["-sS", "--fail", "--max-time", "30", "--socks5-hostname", socks, url];
    output(Command::new("curl").args(words))
}
