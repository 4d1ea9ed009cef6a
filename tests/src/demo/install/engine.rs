//! A container engine: the one that runs, or one of our own for as long as this value lives.

use std::io;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::output;
use crate::process::Process;
use crate::scratch::Scratch;
use crate::wait;

/// From its start to its first answer.
const START: Duration = Duration::from_mins(1);

/// Docker. Its containers are gone with it if it is ours.
pub(super) struct Engine {
    /// Where it listens, if it is ours.
    host: Option<String>,
    own: Option<(Process, Scratch)>,
}

impl Engine {
    pub(super) fn find() -> io::Result<Self> {
        let running = Self { host: None, own: None };
        if running.docker(&["info"]).is_ok() {
            return Ok(running);
        }
        let folder = Scratch::new("engine")?;
        let host = format!("unix://{}", folder.join("socket").display());
        let mut command = Command::new("dockerd");
        command.arg("-H").arg(&host).arg("--data-root").arg(folder.join("data"));
        command.arg("--exec-root").arg(folder.join("run")).arg("--pidfile").arg(folder.join("pid"));
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{path}:/usr/sbin:/sbin"));
        let daemon = Process::start("dockerd", &mut command, &folder.join("log"))?;
        let mut engine = Self { host: Some(host), own: Some((daemon, folder)) };
        wait::found(START, "the container engine to answer", || {
            if let Some((daemon, _)) = &mut engine.own
                && let Some(status) = daemon.ended()?
            {
                return Err(io::Error::other(format!("dockerd ended ({status}): {}", daemon.output()?)));
            }
            Ok(engine.docker(&["info"]).is_ok().then_some(()))
        })?;
        Ok(engine)
    }

    pub(super) fn docker(&self, words: &[&str]) -> io::Result<String> {
        output(self.environment(&mut Command::new("docker")).args(words))
    }

    /// `docker-compose` for one project.
    pub(super) fn compose(&self, file: &Path, project: &str, words: &[&str]) -> io::Result<String> {
        let mut command = Command::new("docker-compose");
        command.arg("-f").arg(file).args(["-p", project]).args(words);
        output(self.environment(&mut command))
    }

    /// The machine's own address on the containers' usual network: the first one in it.
    pub(super) fn gateway(&self) -> io::Result<Ipv4Addr> {
        let format = "{{range .IPAM.Config}}{{.Subnet}}{{end}}";
        let printed = self.docker(&["network", "inspect", "bridge", "--format", format])?;
        let network = printed.split('/').next().and_then(|text| text.trim().parse::<Ipv4Addr>().ok());
        let network = network.ok_or_else(|| io::Error::other(format!("no network: {printed}")))?;
        Ok(Ipv4Addr::from_bits(network.to_bits().saturating_add(1)))
    }

    /// A container's address.
    pub(super) fn address(&self, container: &str) -> io::Result<String> {
        let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
        Ok(self.docker(&["inspect", container, "--format", format])?.trim().to_owned())
    }

    fn environment<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        command.envs(self.host.iter().map(|host| ("DOCKER_HOST", host)))
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // In order, so that its mounts go before its folder.
        if let Some((daemon, _)) = &mut self.own {
            let _ = daemon.stop(START);
        }
    }
}
