//! One command to a node, with what it prints on either output.

use std::fs;
use std::io;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::process::Process;
use crate::scratch::Scratch;
use crate::wait;

/// A command that runs. Dropping it kills it.
#[derive(Debug)]
pub struct Talk {
    process: Process,
    folder: Scratch,
}

/// What a command printed, and how it ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Said {
    /// Its exit code; `None` while it runs, or when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Talk {
    /// Starts `command`.
    pub fn begin(command: &mut Command) -> io::Result<Self> {
        let folder = Scratch::new("talk")?;
        let name = command.get_args().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ");
        let process = Process::start_apart(&name, command, &folder.join("out"), &folder.join("err"))?;
        Ok(Self { process, folder })
    }

    /// Waits until it ends by itself, for `limit` at most.
    pub fn end(&mut self, limit: Duration) -> io::Result<Said> {
        let what = format!("the end of: {}", self.process.name());
        let ended = wait::found(limit, &what, || self.process.ended());
        let mut said = self.so_far()?;
        match ended {
            Ok(status) => said.code = status.code(),
            Err(error) => return Err(io::Error::new(error.kind(), format!("{error}; so far: {said:?}"))),
        }
        Ok(said)
    }

    /// Waits until `word` stands on either output, for `limit` at most. It is an error if the command ends before.
    pub fn hear(&mut self, word: &str, limit: Duration) -> io::Result<()> {
        let what = format!("{word:?} from: {}", self.process.name());
        let heard = wait::found(limit, &what, || {
            let said = self.so_far()?;
            if said.out.contains(word) || said.err.contains(word) {
                return Ok(Some(()));
            }
            match self.process.ended()? {
                Some(status) => Err(io::Error::other(format!("it ended ({status}): {said:?}"))),
                None => Ok(None),
            }
        });
        let said = self.so_far()?;
        heard.map_err(|error| io::Error::new(error.kind(), format!("{error}; so far: {said:?}")))
    }

    /// What it has printed until now.
    pub fn so_far(&self) -> io::Result<Said> {
        let text = |name| {
            Ok::<_, io::Error>(String::from_utf8_lossy(&fs::read(self.folder.join(name))?).into_owned())
        };
        Ok(Said { code: None, out: text("out")?, err: text("err")? })
    }
}

impl Said {
    /// The one JSON document on standard output.
    pub fn json(&self) -> io::Result<Value> {
        serde_json::from_str(&self.out)
            .map_err(|error| io::Error::other(format!("no JSON document: {error}; {self:?}")))
    }

    /// The last line of standard output.
    #[must_use]
    pub fn last_line(&self) -> &str {
        self.out.lines().last().unwrap_or_default()
    }
}
