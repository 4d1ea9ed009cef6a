//! The container image on a real engine, with the compose files that people have today.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::engine::Engine;
use super::{Rows, TARGET, expect, image, output, top};
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

/// What the API in the other container answers.
const PAGE: &str = "an api behind an onion";

/// What the web server on the clear side answers.
const CLEAR: &str = "a page beyond an exit";

/// A deployment that predates Bulbil: one onion service in front of a web API, keys in a volume.
const ONION: &str = "version: '3.8'\n\nservices:\n  web:\n    image: api-under-test\n    environment:\n      \
                     - TOR_PROXY_URL=socks5://tor:9050\n  tor:\n    image: bulbil-under-test\n    volumes:\n      \
                     - tor-data:/var/lib/tor\n    environment:\n      - HS_ROUTER=web:8000:80\n    depends_on:\n      \
                     - web\n\nvolumes:\n  tor-data:\n";

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
    rows.timed("container: the proxy's own compose file, strict, serves SOCKS", || stage.proxy());
    rows.timed("container: the onion service's own compose file serves an API", || stage.onion());
    Ok(())
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
            let shipped = image(&["container", "--target", TARGET, "--tag", SHIPPED])?;
            self.engine.docker(&["load", "-i", &shipped.to_string_lossy()])?;
        }
        let config = fs::read_to_string(top().join("boards/container/bulbil.toml"))?;
        let config = format!("{config}\n[net.tor]\nnetwork_file = \"/etc/network.toml\"\n");
        let arti = self.network.arti_toml();
        self.build(
            IMAGE,
            &format!("FROM {}\nCOPY bulbil.toml network.toml /etc/\n", given.unwrap_or(SHIPPED)),
            &[("bulbil.toml", config.as_bytes()), ("network.toml", arti.as_bytes())],
        )?;
        let busybox = fs::read("/bin/busybox").or_else(|_| fs::read("/usr/bin/busybox"))?;
        let server = "FROM scratch\nCOPY busybox /busybox\nCOPY page /www/page\nUSER 1000\n\
                      ENTRYPOINT [\"/busybox\", \"httpd\", \"-f\", \"-p\", \"8000\", \"-h\", \"/www\"]\n";
        let files = [("busybox", busybox.as_slice()), ("page", PAGE.as_bytes())];
        self.build("api-under-test", server, &files)
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

    fn proxy(&self) -> io::Result<()> {
        let shipped = fs::read_to_string(top().join("boards/container/proxy.yml"))?;
        let file =
            self.write("proxy.yml", &format!("version: '3.8'\n{}", shipped.replace("bulbil:latest", IMAGE)))?;
        let up = Up::new(&self.engine, &file, "bulbilproxy")?;
        let address = self.engine.address("bulbilproxy_bulbil_1")?;
        up.wait("SOCKS to serve", || curl(&format!("{address}:9150"), &self.clear).map(|page| page == CLEAR))
    }

    fn onion(&self) -> io::Result<()> {
        let file = self.write("onion.yml", ONION)?;
        let before = {
            let up = Up::new(&self.engine, &file, "bulbilonion")?;
            self.serves(&up)?
        };
        // Gone and started again on the same volume.
        let up = Up::new(&self.engine, &file, "bulbilonion")?;
        let after = self.serves(&up)?;
        self.engine.compose(&file, "bulbilonion", &["rm", "-sfv"])?;
        expect(before == after, "the address is that of the volume")
    }

    /// The address that people read, once the API answers there.
    fn serves(&self, up: &Up) -> io::Result<String> {
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
        let url = format!("http://{hostname}/page");
        up.wait("the API to answer C tor", || {
            curl(&format!("127.0.0.1:{socks}"), &url).map(|page| page == PAGE)
        })?;
        let address = self.engine.address(tor)?;
        up.wait("SOCKS on 9050", || curl(&format!("{address}:9050"), &self.clear).map(|page| page == CLEAR))?;
        Ok(hostname)
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

fn curl(socks: &str, url: &str) -> io::Result<String> {
    let words = ["-sS", "--fail", "--max-time", "30", "--socks5-hostname", socks, url];
    output(Command::new("curl").args(words))
}
