//! The yardstick: a C `tor` onion service in front of nginx, read by curl through a C `tor` client, on the same
//! private network that Bulbil is measured on.

use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::content;
use crate::measure::Measured;
use crate::net::Network;
use crate::ports::Ports;
use crate::process::Process;
use crate::scratch::Scratch;
use crate::usage::Machine;
use crate::wait;

/// A folder served through an onion service, and a client that reaches it.
#[derive(Debug)]
pub struct Baseline {
    http: Process,
    service: Process,
    client: Process,
    onion: String,
    socks: u16,
    scratch: Scratch,
    _ports: Ports,
}

impl Baseline {
    /// Serves `folder` and waits until it can be read through Tor.
    pub fn start(network: &Network, folder: &Path) -> io::Result<Self> {
        let scratch = Scratch::new("baseline")?;
        let mut ports = Ports::reserve(Ipv4Addr::LOCALHOST)?;
        let (web, socks) = (ports.take()?, ports.take()?);
        let http = start_http(&scratch, folder, web)?;
        let hidden = scratch.join("onion");
        let service = start_tor(
            &scratch,
            network,
            "service",
            &format!(
                "SocksPort 0\nHiddenServiceDir {}\nHiddenServicePort 80 127.0.0.1:{web}\n",
                hidden.display()
            ),
        )?;
        let client = start_tor(&scratch, network, "client", &format!("SocksPort 127.0.0.1:{socks}\n"))?;
        let hostname = hidden.join("hostname");
        let onion = wait::found(REACH_LIMIT, "tor to write its onion address", || {
            Ok(fs::read_to_string(&hostname).ok())
        })?;
        let onion = onion.trim().to_owned();
        let mut this = Self { http, service, client, onion, socks, scratch, _ports: ports };
        this.wait_reachable()?;
        Ok(this)
    }

    /// `<56 characters>.onion`, which serves the folder at port 80.
    #[must_use]
    pub fn onion(&self) -> &str {
        &self.onion
    }

    /// The port of its client's SOCKS listener, on 127.0.0.1.
    #[must_use]
    pub const fn socks(&self) -> u16 {
        self.socks
    }

    /// Reads `name` once and compares it with `sha256`. The circuit is open already, which favours the yardstick.
    pub fn fetch(&mut self, name: &str, sha256: &str) -> io::Result<Measured> {
        let out = self.scratch.join("fetched");
        let (before, machine) = ((self.serve_cpu_s()?, self.client.usage()?.cpu_s), Machine::now()?);
        let mut curl = self.curl(name, &out)?;
        let (status, usage, elapsed) = curl.finish(FETCH_LIMIT)?;
        if !status.success() {
            return Err(io::Error::other(format!("curl failed ({status}): {}", curl.output()?.trim())));
        }
        let bytes = fs::metadata(&out)?.len();
        let measured = Measured {
            bytes,
            seconds: elapsed.as_secs_f64(),
            serve_cpu_s: self.serve_cpu_s()? - before.0,
            fetch_cpu_s: self.client.usage()?.cpu_s - before.1 + usage.cpu_s,
            busy: Machine::now()?.busy_since(machine),
            verified: content::digest(&out)? == sha256,
        };
        fs::remove_file(&out)?;
        Ok(measured)
    }

    fn serve_cpu_s(&self) -> io::Result<f64> {
        Ok(self.service.usage()?.cpu_s + self.http.usage()?.cpu_s)
    }

    fn curl(&self, name: &str, out: &Path) -> io::Result<Process> {
        let mut command = Command::new("curl");
        command.args(["-sS", "--fail", "--socks5-hostname", &format!("127.0.0.1:{}", self.socks), "-o"]);
        command.arg(out).arg(format!("http://{}/{name}", self.onion));
        Process::start("curl", &mut command, &self.scratch.join("curl.log"))
    }

    /// Until the descriptor is published a client fails quickly, so reading is tried until it works.
    fn wait_reachable(&mut self) -> io::Result<()> {
        let out = self.scratch.join("probe");
        wait::found(REACH_LIMIT, "the C tor onion service to be reachable", || {
            for process in [&mut self.http, &mut self.service, &mut self.client] {
                if let Some(status) = process.ended()? {
                    let said = process.output().unwrap_or_default();
                    let why = format!("{} ended ({status}): {}", process.name(), said.trim());
                    return Err(io::Error::other(why));
                }
            }
            let (status, ..) = self.curl("", &out)?.finish(REACH_LIMIT)?;
            // Status 22 is an HTTP error: a folder has no index page, and nginx itself has said so.
            Ok((status.success() || status.code() == Some(22)).then_some(()))
        })
    }
}

/// nginx, serving `folder` on loopback. Its own files lie in `scratch`, which is for it alone.
pub fn start_http(scratch: &Scratch, folder: &Path, port: u16) -> io::Result<Process> {
    let own = scratch.join("nginx");
    fs::create_dir_all(&own)?;
    let config: PathBuf = own.join("nginx.conf");
    // One process without a master, so that its CPU time is all there is.
    let text = format!(
        "daemon off;\nmaster_process off;\npid {0}/pid;\nerror_log {0}/error.log;\nevents {{ worker_connections 64; }}\n\
         http {{\n  access_log off;\n  sendfile on;\n  default_type application/octet-stream;\n\
         client_body_temp_path {0}/body;\n  proxy_temp_path {0}/proxy;\n  fastcgi_temp_path {0}/fastcgi;\n\
         uwsgi_temp_path {0}/uwsgi;\n  scgi_temp_path {0}/scgi;\n\
         server {{ listen 127.0.0.1:{port}; listen unix:{0}/web.sock; root \"{1}\"; error_page 405 =200 $uri; }}\n}}\n",
        own.display(),
        folder.display()
    );
    fs::write(&config, text)?;
    let mut command = Command::new("nginx");
    command.arg("-p").arg(&own).arg("-c").arg(&config).arg("-e").arg(own.join("error.log"));
    // Debian puts it where only root's PATH looks.
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{path}:/usr/sbin"));
    Process::start("nginx", &mut command, &own.join("output.log"))
}

/// C tor on the private network, with these lines at the end of its torrc. Its files lie in `scratch` under `name`.
pub fn start_tor(scratch: &Scratch, network: &Network, name: &str, lines: &str) -> io::Result<Process> {
    let folder = scratch.join(name);
    fs::create_dir_all(&folder)?;
    let empty = folder.join("empty");
    fs::write(&empty, "")?;
    let text = format!(
        "{}DataDirectory {1}/data\nGeoIPFile {1}/empty\nGeoIPv6File {1}/empty\nLog notice file {1}/tor.log\n{lines}",
        network.client_torrc(),
        folder.display()
    );
    let torrc = folder.join("torrc");
    fs::write(&torrc, text)?;
    let mut command = Command::new("tor");
    command.arg("-f").arg(&torrc).arg("--defaults-torrc").arg(&empty).arg("--hush");
    Process::start(name, &mut command, &folder.join("output.log"))
}

/// From launch to the first bytes through Tor.
const REACH_LIMIT: Duration = Duration::from_mins(2);

/// For one file: 64 MiB at 0.1 MiB/s.
const FETCH_LIMIT: Duration = Duration::from_secs(640);
