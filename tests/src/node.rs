//! A real node: the program `bulbil run`, driven by the command line as its owner would.

use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::net::Network;
use crate::ports::Ports;
use crate::process::Process;
use crate::scratch::Scratch;
use crate::talk::{Said, Talk};
use crate::usage::Usage;
use crate::{program, wait};

/// What differs from one node to the next.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// For people who read the log of a test.
    pub name: String,
    /// Lanes to each peer, fewest and most; the program's own choice without.
    pub lanes: Option<(u8, u8)>,
    /// The `memory` setting, such as `96 MiB`; the program's own choice without.
    pub memory: Option<String>,
    /// The `[proxy]` sections; without, nothing listens for other programs.
    pub proxy: Option<String>,
    /// More lines for the end of the configuration file.
    pub more: String,
    /// A program with its first arguments that runs the node's own command line, such as one that enters a namespace.
    pub launcher: Vec<String>,
    /// Variables of the node's environment.
    pub environment: Vec<(String, String)>,
}

impl Settings {
    /// Everything as the program chooses.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }
}

/// One node. Dropping it kills it and removes its state.
#[derive(Debug)]
pub struct Node {
    process: Option<Process>,
    settings: Settings,
    program: PathBuf,
    folder: Scratch,
    page: u16,
    /// Highest resident memory of the processes before the present one, in bytes.
    rss_peak: u64,
    /// CPU seconds of the processes before the present one.
    cpu_s: f64,
    _ports: Ports,
}

impl Node {
    /// Starts a node on `network` and waits until conversations can be opened.
    pub fn start(network: &Network, settings: Settings) -> io::Result<Self> {
        let mut node = Self::prepare(&network.arti_toml(), settings)?;
        node.restart()?;
        node.wait_ready()?;
        Ok(node)
    }

    /// Writes the configuration of a node and starts nothing. `arti` is Arti's TOML for the network to use.
    pub fn prepare(arti: &str, settings: Settings) -> io::Result<Self> {
        let folder = Scratch::in_memory("node")?;
        let mut ports = Ports::reserve(Ipv4Addr::LOCALHOST)?;
        let page = ports.take()?;
        fs::write(folder.join("network.toml"), arti)?;
        fs::write(folder.join("config.toml"), config(&folder, page, &settings))?;
        Ok(Self {
            process: None,
            settings,
            program: program::bulbil()?,
            folder,
            page,
            rss_peak: 0,
            cpu_s: 0.0,
            _ports: ports,
        })
    }

    /// Starts the program, again or for the first time, on the state it left. Kills it first if it runs.
    pub fn restart(&mut self) -> io::Result<()> {
        self.kill()?;
        let mut command = match self.settings.launcher.split_first() {
            None => Command::new(&self.program),
            Some((launcher, first)) => {
                let mut command = Command::new(launcher);
                command.args(first).arg(&self.program);
                command
            }
        };
        command.arg("run").arg("--config").arg(self.config_path());
        command.envs(self.settings.environment.iter().map(|(name, value)| (name, value)));
        self.process = Some(Process::start(&self.settings.name, &mut command, &self.log_path())?);
        Ok(())
    }

    /// Waits until the node says that conversations can be opened.
    pub fn wait_ready(&mut self) -> io::Result<()> {
        let what = format!("node {} to be ready", self.settings.name);
        wait::found(READY_LIMIT, &what, || {
            self.fail_if_ended()?;
            let ready = self.status().ok().and_then(|status| status.pointer("/net/ready")?.as_bool());
            Ok((ready == Some(true)).then_some(()))
        })
    }

    /// Number of the process, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::pid)
    }

    /// `kill -9`. The state stays for [`Self::restart`].
    pub fn kill(&mut self) -> io::Result<()> {
        if let Some(mut process) = self.process.take() {
            if let Ok(usage) = process.usage() {
                self.rss_peak = self.rss_peak.max(usage.rss_peak);
                self.cpu_s += usage.cpu_s;
            }
            process.kill()?;
        }
        Ok(())
    }

    /// A command of the program to this node, such as `status`, not yet started.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--socket").arg(self.socket()).args(arguments).stdin(Stdio::null());
        command
    }

    /// Starts a command.
    pub fn begin(&self, arguments: &[&str]) -> io::Result<Talk> {
        Talk::begin(&mut self.command(arguments))
    }

    /// Runs a command to its end, which must come within [`COMMAND_LIMIT`].
    pub fn say(&self, arguments: &[&str]) -> io::Result<Said> {
        self.begin(arguments)?.end(COMMAND_LIMIT)
    }

    /// What `status` says of the fetch that was started last.
    pub fn last_fetch(&self) -> io::Result<Value> {
        let status = self.status()?;
        let last = status.get("fetches").and_then(Value::as_array).and_then(|fetches| fetches.last());
        last.cloned().ok_or_else(|| io::Error::other("the node fetches nothing"))
    }

    /// Waits until the share with this link can be reached.
    pub fn wait_reachable(&self, link: &str) -> io::Result<()> {
        let what = format!("the share of {} to be reachable", self.settings.name);
        wait::found(REACHABLE_LIMIT, &what, || {
            let status = self.status()?;
            let mut shares = status.get("shares").and_then(Value::as_array).into_iter().flatten();
            let share = shares.find(|share| share.get("link").and_then(Value::as_str) == Some(link));
            let state = share.and_then(|share| share.pointer("/state/is")?.as_str());
            Ok((state == Some("reachable")).then_some(()))
        })
    }

    /// Runs a command to its end.
    pub fn output(&self, arguments: &[&str]) -> io::Result<Output> {
        self.command(arguments).output()
    }

    /// Runs a command and reads the JSON it prints. An error carries what it said.
    pub fn json(&self, arguments: &[&str]) -> io::Result<Value> {
        let output = self.output(arguments)?;
        let verb = arguments.first().copied().unwrap_or_default();
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(io::Error::other(format!(
                "bulbil {verb} failed ({}): {}",
                output.status,
                said.trim().replace('\n', "; ")
            )));
        }
        serde_json::from_slice(&output.stdout)
            .map_err(|e| io::Error::other(format!("bulbil {verb} printed no JSON document: {e}")))
    }

    /// The node's own account of itself.
    pub fn status(&self) -> io::Result<Value> {
        self.json(&["status", "--json"])
    }

    /// Shares a file or folder and returns the link.
    pub fn share(&self, path: &Path) -> io::Result<String> {
        let path = path.to_str().ok_or_else(|| io::Error::other("the path must be plain text"))?;
        let printed = self.json(&["share", path, "--json"])?;
        let link = printed.get("link").and_then(Value::as_str);
        link.map(str::to_owned).ok_or_else(|| io::Error::other("bulbil share printed no link"))
    }

    /// Starts fetching `link` into the folder `out`. The JSON it prints goes to `log`, its progress to our standard
    /// error.
    pub fn start_fetch(&self, link: &str, out: &Path, log: &Path) -> io::Result<Process> {
        let mut command = self.command(&["fetch", link, "--json", "--out"]);
        command.arg(out);
        Process::start_shown("fetch", &mut command, log)
    }

    /// CPU seconds so far, over all restarts.
    pub fn cpu_s(&self) -> io::Result<f64> {
        Ok(self.cpu_s + self.usage()?.cpu_s)
    }

    /// Highest resident memory so far, in bytes, over all restarts.
    pub fn rss_peak(&self) -> io::Result<u64> {
        Ok(self.rss_peak.max(self.usage()?.rss_peak))
    }

    /// CPU and memory of the present process; all zero when none runs.
    pub fn usage(&self) -> io::Result<Usage> {
        self.process.as_ref().map_or_else(|| Ok(Usage::default()), Process::usage)
    }

    /// Everything the node has printed so far, over all restarts.
    pub fn log(&self) -> io::Result<String> {
        let bytes = fs::read(self.log_path())?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The port on 127.0.0.1 of its listener of this kind, such as `socks`.
    pub fn listener(&self, kind: &str) -> io::Result<u16> {
        let status = self.status()?;
        let all = status.pointer("/proxy/listeners").and_then(Value::as_array).into_iter().flatten();
        let mut found = all.filter(|listener| listener.get("kind").and_then(Value::as_str) == Some(kind));
        let address = found.find_map(|listener| listener.get("address")?.as_str());
        let port = address.and_then(|address| address.rsplit(':').next()?.parse().ok());
        port.ok_or_else(|| io::Error::other(format!("the node has no {kind} listener: {status}")))
    }

    /// Where its page is.
    #[must_use]
    pub fn page_url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.page)
    }

    /// The name given in [`Settings`].
    #[must_use]
    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// Its configuration file.
    #[must_use]
    pub fn config_path(&self) -> PathBuf {
        self.folder.join("config.toml")
    }

    /// Its control socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.folder.join("control")
    }

    /// The folder with its state, configuration and log.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn log_path(&self) -> PathBuf {
        self.folder.join("log")
    }

    fn fail_if_ended(&mut self) -> io::Result<()> {
        let Some(process) = &mut self.process else { return Ok(()) };
        let Some(status) = process.ended()? else { return Ok(()) };
        let said = process.output()?;
        Err(io::Error::other(format!("node {} ended ({status}): {}", self.settings.name, said.trim())))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.kill(); // before its folder goes
    }
}

/// The configuration file. All knowledge of its keys is here.
fn config(folder: &Scratch, page: u16, settings: &Settings) -> String {
    let path = |name: &str| Value::from(folder.join(name).to_string_lossy()).to_string();
    let (state, socket, network) = (path("state"), path("control"), path("network.toml"));
    let memory = settings.memory.as_ref().map(|memory| format!("memory = \"{memory}\"\n"));
    let lanes = settings.lanes.map(|(min, max)| format!("[swarm]\nlanes_min = {min}\nlanes_max = {max}\n"));
    format!(
        "state_dir = {state}\n{}[control]\nsocket = {socket}\n[page]\nlisten = \"127.0.0.1:{page}\"\n\
         [net]\nkind = \"tor\"\n[net.tor]\nnetwork_file = {network}\n{}{}{}",
        memory.unwrap_or_default(),
        lanes.unwrap_or_default(),
        settings.proxy.as_deref().unwrap_or(NO_PROXY),
        settings.more
    )
}

/// Tests that are not about it want no circuits made ahead, and no ports that others may have taken.
const NO_PROXY: &str = "[proxy.socks]\nenabled = false\n[proxy.dns]\nenabled = false\n\
                        [proxy.http]\nenabled = false\n";

/// A command that a person waits for: fetching some MiB included.
pub const COMMAND_LIMIT: Duration = Duration::from_mins(3);

/// From the share's link to its service being published.
const REACHABLE_LIMIT: Duration = Duration::from_mins(2);

/// From launch to ready: bootstrapping takes less than a second on a private network with an idle machine.
const READY_LIMIT: Duration = Duration::from_mins(1);
