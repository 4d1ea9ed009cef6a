//! Other people's programs, so that nothing is only ever spoken to by our own.

pub mod lookups;
pub mod matrix;

use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::packages::{self, Need};
use crate::talk::{Said, Talk};

/// What the stories about proxies need from Debian.
pub const PROGRAMS: [Need; 6] = [
    Need { program: "torsocks", package: "torsocks" },
    Need { program: "proxychains4", package: "proxychains4" },
    Need { program: "dig", package: "dnsutils" },
    Need { program: "kdig", package: "knot-dnsutils" },
    Need { program: "python3", package: "python3" },
    Need { program: "python3 -m ensurepip", package: "python3-venv" },
];

/// What only the table of all clients needs.
pub const NODE: [Need; 2] = [
    Need { program: "node", package: "nodejs" },
    Need { program: "/usr/share/nodejs/socks/package.json", package: "node-socks" },
];

/// From the Python index.
const WHEELS: [&str; 3] = ["PySocks==1.7.1", "python-socks==2.7.2", "dnspython==2.7.0"];

/// SOCKS clients in Python.
const SOCKS: &str = include_str!("foreign/socks.py");

/// A program that knows nothing of proxies, to be run by one that does.
const SCRIPT_WRAPPED: &str = include_str!("foreign/wrapped.py");

/// A SOCKS client in Node.
const SCRIPT_NODE: &str = include_str!("foreign/socks.js");

/// DNS clients in Python.
const DNS: &str = include_str!("foreign/dns.py");

/// A Python with the libraries.
#[derive(Debug)]
pub struct Python(PathBuf);

impl Python {
    /// Makes a virtual environment once, in the system's folder for temporary files.
    pub fn ensure() -> io::Result<Self> {
        packages::ensure(&PROGRAMS)?;
        let venv = std::env::temp_dir().join("bulbil-tests-python");
        let python = venv.join("bin/python3");
        let has = |python: &PathBuf| {
            let mut command = Command::new(python);
            command.args(["-c", "import socks, python_socks, dns.message"]).stderr(Stdio::null());
            command.status().is_ok_and(|status| status.success())
        };
        if !has(&python) {
            let _ = fs::remove_dir_all(&venv);
            run(Command::new("python3").args(["-m", "venv"]).arg(&venv), PREPARE)?;
            run(Command::new(&python).args(["-m", "pip", "install", "--quiet"]).args(WHEELS), PREPARE)?;
        }
        if has(&python) {
            Ok(Self(python))
        } else {
            Err(io::Error::other("the Python libraries are missing"))
        }
    }

    /// Runs the SOCKS clients: a list of targets `[case, host, port]` for each, and what became of them:
    /// `{"client": {"case": "answer or reply code"}}`.
    pub fn socks(&self, proxy: u16, targets: &Value) -> io::Result<Value> {
        self.socks_by(proxy, targets, &["pysocks", "python_socks", "plain"], LIMIT)
    }

    /// The same of some of them.
    fn socks_by(&self, proxy: u16, targets: &Value, clients: &[&str], limit: Duration) -> io::Result<Value> {
        self.json(SOCKS, &[&proxy.to_string(), &targets.to_string(), &clients.join(",")], limit)
    }

    /// Asks so many questions on one connection before it reads an answer. Returns how many were answered.
    pub fn pipeline(&self, dns: u16, questions: u32) -> io::Result<Value> {
        self.json(DNS, &[&dns.to_string(), &questions.to_string()], LIMIT)
    }

    fn json(&self, script: &str, arguments: &[&str], limit: Duration) -> io::Result<Value> {
        let mut command = Command::new(&self.0);
        run(command.args(["-c", script]).args(arguments), limit)?.json()
    }
}

/// Runs a program to its end; an error with what it said where it fails.
pub fn run(command: &mut Command, limit: Duration) -> io::Result<Said> {
    let said = Talk::begin(command)?.end(limit)?;
    if said.code == Some(0) {
        Ok(said)
    } else {
        Err(io::Error::other(format!("{command:?} failed: {said:?}")))
    }
}

/// For any one program.
pub const LIMIT: Duration = Duration::from_mins(3);

/// For making the environment.
const PREPARE: Duration = Duration::from_mins(5);
