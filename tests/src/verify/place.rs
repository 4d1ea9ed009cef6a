//! Where a check runs: in front, printing as it goes, or beside others, with what these leave of the machine.

use std::env;
use std::io;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::cargo;
use super::counts::Counts;

/// See the module.
pub(super) struct Place {
    /// What is printed when its turn comes; `None` in front.
    held: Option<Mutex<String>>,
}

impl Place {
    /// In front.
    pub(super) const fn front() -> Self {
        Self { held: None }
    }

    /// Beside others.
    pub(super) const fn beside() -> Self {
        Self { held: Some(Mutex::new(String::new())) }
    }

    /// Prints, now or later.
    pub(super) fn say(&self, text: &str) {
        match &self.held {
            None => print!("{text}"),
            Some(held) => held.lock().unwrap_or_else(PoisonError::into_inner).push_str(text),
        }
    }

    /// What was held back.
    pub(super) fn into_said(self) -> String {
        self.held.map(|held| held.into_inner().unwrap_or_else(PoisonError::into_inner)).unwrap_or_default()
    }

    /// The cargo that runs us, with `arguments`.
    pub(super) fn cargo(&self, arguments: &str) -> Command {
        let program = env::var("CARGO").unwrap_or_else(|_| "cargo".into());
        self.tool(&program, arguments)
    }

    /// See [`cargo::tool`]. Beside others it waits for them.
    pub(super) fn tool(&self, program: &str, arguments: &str) -> Command {
        if self.held.is_none() {
            return cargo::tool(program, arguments);
        }
        let mut command = cargo::tool("nice", "-n 19");
        command.arg(program).args(arguments.split_whitespace());
        command
    }

    /// See [`cargo::run`].
    pub(super) fn run(&self, limit: Duration, command: &mut Command) -> io::Result<Counts> {
        cargo::run(self, limit, command)
    }
}
