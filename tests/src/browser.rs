//! A real browser: Chromium, driven through chromedriver by JSON over HTTP (the `WebDriver` standard of the W3C, section 7).

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use data_encoding::BASE64;
use serde_json::{Value, json};

use crate::packages::Need;
use crate::ports::Ports;
use crate::process::Process;
use crate::scratch::Scratch;
use crate::wait;

/// What a browser needs from the system; `npm` brings the accessibility checker.
pub const BROWSER: [Need; 3] = [
    Need { program: "chromium", package: "chromium" },
    Need { program: "chromedriver", package: "chromium-driver" },
    Need { program: "npm", package: "npm" },
];

/// Longest wait for one answer of the driver; opening a page is one.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);

/// Longest wait for the driver to start.
const START_LIMIT: Duration = Duration::from_secs(20);

/// Longest wait for something to click.
const PRESS_LIMIT: Duration = Duration::from_secs(20);

/// What the driver says of parts of a page that is no more, or not yet.
const NOT_THERE: [&str; 2] = ["stale element reference", "no such element"];

/// CSS pixels of a picture's height at most.
const LONGEST_PICTURE: f64 = 4_000.0;

/// What differs from one browser to the next.
#[derive(Clone, Debug)]
pub struct Look {
    /// Whether pages may run scripts.
    pub scripts: bool,
    /// Whether the person prefers dark pages.
    pub dark: bool,
    /// Width and height of the window.
    pub size: (u32, u32),
    /// Port of a SOCKS proxy through which everything but loopback goes.
    pub socks: Option<u16>,
    /// More arguments for Chromium.
    pub more: Vec<String>,
}

impl Default for Look {
    fn default() -> Self {
        Self { scripts: true, dark: false, size: (1100, 1000), socks: None, more: Vec::new() }
    }
}

/// One browser with one window. Dropping it ends it.
#[derive(Debug)]
pub struct Browser {
    driver: Process,
    port: u16,
    session: String,
    scratch: Scratch,
    _ports: Ports,
}

/// A part of the page that is shown now.
#[derive(Clone, Debug)]
pub struct Element(String);

impl Browser {
    /// Starts it with an empty profile.
    pub fn start(look: &Look) -> io::Result<Self> {
        let scratch = Scratch::new("browser")?;
        let mut ports = Ports::reserve(Ipv4Addr::LOCALHOST)?;
        let port = ports.take()?;
        let mut command = Command::new("chromedriver");
        command.arg(format!("--port={port}")).arg("--log-level=WARNING");
        let driver = Process::start("chromedriver", &mut command, &scratch.join("driver.log"))?;
        let mut this = Self { driver, port, session: String::new(), scratch, _ports: ports };
        wait::found(START_LIMIT, "chromedriver to answer", || {
            if let Some(status) = this.driver.ended()? {
                return Err(io::Error::other(format!("it ended ({status}): {}", this.driver.output()?)));
            }
            Ok(this.ask("GET", "/status", &Value::Null).ok())
        })?;
        let started = this.ask("POST", "/session", &capabilities(look, &this.scratch.join("profile")))?;
        let id = started.get("sessionId").and_then(Value::as_str);
        id.ok_or_else(|| io::Error::other("the driver opened no session"))?.clone_into(&mut this.session);
        Ok(this)
    }

    /// Opens an address and waits until the page is there.
    pub fn go(&self, url: &str) -> io::Result<()> {
        self.tell("POST", "/url", &json!({ "url": url })).map(drop)
    }

    /// The address that is shown.
    pub fn url(&self) -> io::Result<String> {
        self.tell("GET", "/url", &Value::Null).and_then(|value| text(&value))
    }

    /// Title of the page.
    pub fn title(&self) -> io::Result<String> {
        self.tell("GET", "/title", &Value::Null).and_then(|value| text(&value))
    }

    /// The page as it stands now.
    pub fn source(&self) -> io::Result<String> {
        self.tell("GET", "/source", &Value::Null).and_then(|value| text(&value))
    }

    /// The first part that a CSS selector names. An error if there is none.
    pub fn find(&self, selector: &str) -> io::Result<Element> {
        self.element("css selector", selector)
    }

    /// The first link or button whose words are exactly these.
    pub fn named(&self, words: &str) -> io::Result<Element> {
        let same = format!("normalize-space(.)='{words}'");
        self.element(
            "xpath",
            &format!(
                "//main//a[{same}] | //main//button[{same}] | //header//a[{same}] | //header//button[{same}]"
            ),
        )
    }

    /// Clicks, and waits for the page that this opens.
    pub fn click(&self, element: &Element) -> io::Result<()> {
        self.tell("POST", &format!("/element/{}/click", element.0), &json!({})).map(drop)
    }

    /// Clicks the first link or button with these words, as soon as it is there: the page before may be leaving.
    pub fn press(&self, words: &str) -> io::Result<()> {
        wait::found(PRESS_LIMIT, &format!("something called {words:?} to click"), || {
            match self.named(words).and_then(|element| self.click(&element)) {
                Ok(()) => Ok(Some(())),
                Err(error) if NOT_THERE.iter().any(|word| error.to_string().starts_with(word)) => Ok(None),
                Err(error) => Err(error),
            }
        })
    }

    /// Types into a field, in place of what stands there.
    pub fn fill(&self, selector: &str, value: &str) -> io::Result<()> {
        let element = self.find(selector)?;
        self.tell("POST", &format!("/element/{}/clear", element.0), &json!({}))?;
        self.tell("POST", &format!("/element/{}/value", element.0), &json!({ "text": value })).map(drop)
    }

    /// What can be read in the first part that a selector names.
    pub fn read(&self, selector: &str) -> io::Result<String> {
        let element = self.find(selector)?;
        self.tell("GET", &format!("/element/{}/text", element.0), &Value::Null).and_then(|value| text(&value))
    }

    /// Cookies of the page, as the driver sees them.
    pub fn cookies(&self) -> io::Result<Vec<Value>> {
        let all = self.tell("GET", "/cookie", &Value::Null)?;
        Ok(all.as_array().cloned().unwrap_or_default())
    }

    /// Runs a function's body within the page and gives what it returns.
    pub fn run(&self, script: &str) -> io::Result<Value> {
        self.tell("POST", "/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// The same for a function that calls its last argument when it is done.
    pub fn run_async(&self, script: &str) -> io::Result<Value> {
        self.tell("POST", "/execute/async", &json!({ "script": script, "args": [] }))
    }

    /// Makes the window as large as this.
    pub fn resize(&self, (width, height): (u32, u32)) -> io::Result<()> {
        self.tell("POST", "/window/rect", &json!({ "width": width, "height": height })).map(drop)
    }

    /// Lays pages out for a screen of this width, narrower than any window may be.
    pub fn narrow(&self, width: u32) -> io::Result<()> {
        let screen = json!({ "width": width, "height": 800, "deviceScaleFactor": 1, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", &screen).map(drop)
    }

    /// Chromium's own commands, where the standard has none.
    fn devtools(&self, command: &str, with: &Value) -> io::Result<Value> {
        self.tell("POST", "/goog/cdp/execute", &json!({ "cmd": command, "params": with }))
    }

    /// Keeps a picture of the whole page, to its end or to [`LONGEST_PICTURE`].
    pub fn picture(&self, file: &Path) -> io::Result<()> {
        let page = self.devtools("Page.getLayoutMetrics", &json!({}))?;
        let size = |side: &str| page.pointer(&format!("/cssContentSize/{side}")).and_then(Value::as_f64);
        let (width, height) = size("width").zip(size("height")).ok_or_else(|| io::Error::other("no size"))?;
        let clip =
            json!({ "x": 0, "y": 0, "width": width, "height": height.min(LONGEST_PICTURE), "scale": 1 });
        let how = json!({ "format": "png", "captureBeyondViewport": true, "clip": clip });
        let image = self.devtools("Page.captureScreenshot", &how)?;
        let image = text(image.get("data").unwrap_or(&Value::Null))?;
        fs::write(file, BASE64.decode(image.as_bytes()).map_err(io::Error::other)?)
    }

    fn element(&self, by: &str, what: &str) -> io::Result<Element> {
        let found = self.tell("POST", "/element", &json!({ "using": by, "value": what }))?;
        let id = found.as_object().and_then(|object| object.values().next()).and_then(Value::as_str);
        id.map(|id| Element(id.to_owned())).ok_or_else(|| io::Error::other(format!("no {what}")))
    }

    fn tell(&self, method: &str, path: &str, body: &Value) -> io::Result<Value> {
        self.ask(method, &format!("/session/{}{path}", self.session), body)
    }

    /// One request on a connection of its own.
    fn ask(&self, method: &str, path: &str, body: &Value) -> io::Result<Value> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
        stream.set_read_timeout(Some(ANSWER_LIMIT))?;
        let body = if body.is_null() { String::new() } else { body.to_string() };
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )?;
        let answer: Value = serde_json::from_slice(&body_of(stream)?).map_err(io::Error::other)?;
        let value = answer.get("value").cloned().unwrap_or_default();
        match value.get("error").and_then(Value::as_str) {
            None => Ok(value),
            Some(error) => {
                let more = value.get("message").and_then(Value::as_str).unwrap_or_default();
                Err(io::Error::other(format!("{error}: {}", more.lines().next().unwrap_or_default())))
            }
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() {
            let _ = self.tell("DELETE", "", &Value::Null); // killing the driver makes a second attempt
        }
    }
}

/// The body of an answer that says how long it is.
fn body_of(stream: TcpStream) -> io::Result<Vec<u8>> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().map_err(io::Error::other)?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(body)
}

fn capabilities(look: &Look, profile: &Path) -> Value {
    let mut arguments: Vec<String> = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--hide-scrollbars",
    ]
    .map(str::to_owned)
    .to_vec();
    arguments.push(format!("--user-data-dir={}", profile.display()));
    arguments.push(format!("--window-size={},{}", look.size.0, look.size.1));
    if look.dark {
        arguments.push("--blink-settings=preferredColorScheme=0".to_owned());
    }
    if let Some(port) = look.socks {
        // Names are for the proxy to resolve, never for this machine.
        arguments.push(format!("--proxy-server=socks5://127.0.0.1:{port}"));
        arguments.push("--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1".to_owned());
    }
    arguments.extend(look.more.iter().cloned());
    let allowed = if look.scripts { 1 } else { 2 };
    json!({ "capabilities": { "alwaysMatch": {
        "browserName": "chrome",
        "pageLoadStrategy": "normal",
        "goog:chromeOptions": {
            "args": arguments,
            "prefs": { "profile.managed_default_content_settings.javascript": allowed },
        },
    } } })
}

fn text(value: &Value) -> io::Result<String> {
    value.as_str().map(str::to_owned).ok_or_else(|| io::Error::other("the driver gave no text"))
}
