//! An owner at a node's page: curl with a jar for cookies, and eyes for the token in a form.

use std::io;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::scratch::Scratch;

/// Seconds that one request may take: a small board hashes a password slowly.
const LIMIT_S: &str = "60";

/// A browser on one page, with a jar for its cookies.
#[derive(Debug)]
pub struct Owner {
    /// Where to connect to.
    port: u16,
    /// What the page is called by.
    host: String,
    jar: PathBuf,
    token: String,
    _folder: Scratch,
}

impl Owner {
    /// An owner at the page behind `port` of this machine, called by the name `host`.
    pub fn new(port: u16, host: &str) -> io::Result<Self> {
        let folder = Scratch::new("owner")?;
        let jar = folder.join("cookies");
        Ok(Self { port, host: host.to_owned(), jar, token: String::new(), _folder: folder })
    }

    /// The status code of the first page, or `None` when nobody answers.
    #[must_use]
    pub fn knock(&self) -> Option<u16> {
        let output =
            self.curl("/").args(["--output", "/dev/null", "--write-out", "%{http_code}"]).output().ok()?;
        String::from_utf8_lossy(&output.stdout).trim().parse().ok().filter(|code| *code != 0)
    }

    /// Reads a page and remembers the token of its forms.
    pub fn get(&mut self, path: &str) -> io::Result<String> {
        let page = run(self.curl(path).args(["--fail-with-body", "--location"]))?;
        if let Some(token) = token(&page) {
            token.clone_into(&mut self.token);
        }
        Ok(page)
    }

    /// Sends a form and returns where it leads.
    pub fn post(&self, path: &str, fields: &[(&str, &str)]) -> io::Result<String> {
        let mut command = self.form(path, fields);
        run(command.args(["--output", "/dev/stderr", "--write-out", "%{redirect_url}"]))
    }

    /// Sends a form and returns the page that answers it.
    pub fn submit(&self, path: &str, fields: &[(&str, &str)]) -> io::Result<String> {
        run(&mut self.form(path, fields))
    }

    fn form(&self, path: &str, fields: &[(&str, &str)]) -> Command {
        let mut command = self.curl(path);
        command.args(["--fail-with-body", "--header", &format!("Origin: http://{}", self.host)]);
        for (name, value) in fields.iter().chain(&[("token", self.token.as_str())]) {
            command.args(["--data-urlencode", &format!("{name}={value}")]);
        }
        command
    }

    /// The status, once signed in.
    pub fn status(&self) -> io::Result<Value> {
        let text = run(self.curl("/status.json").arg("--fail-with-body"))?;
        serde_json::from_str(&text).map_err(io::Error::other)
    }

    fn curl(&self, path: &str) -> Command {
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--noproxy", "*", "--max-time", LIMIT_S]);
        // Connects to our port whatever the name and the port in the address.
        command.args(["--connect-to", &format!("::127.0.0.1:{}", self.port)]);
        command.arg("--cookie").arg(&self.jar).arg("--cookie-jar").arg(&self.jar);
        command.arg(format!("http://{}{path}", self.host));
        command
    }
}

fn run(command: &mut Command) -> io::Result<String> {
    let output = command.output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(io::Error::other(format!("the page refuses: {} {}", said.trim(), text.trim())))
}

/// The value of the hidden field `token`.
fn token(page: &str) -> Option<&str> {
    let field = page.split("<input").find(|field| field.contains("name=\"token\""))?;
    field.split_once("value=\"")?.1.split('"').next()
}

#[cfg(test)]
mod tests {
    use super::token;

    #[test]
    fn the_token_of_a_form_is_found() {
        let page = "<form><input type=\"text\" name=\"a\" value=\"1\"><input type=\"hidden\" name=\"token\" value=\"xyz\">";
        assert_eq!(token(page), Some("xyz"));
        assert_eq!(token("<form>"), None);
    }
}
