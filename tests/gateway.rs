//! The HTTP gateway, the library, the self-check and the figures of a real node, on a private network, by foreign clients.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "all of this file is a test")]

#[path = "gateway/chaff.rs"]
mod chaff;
#[path = "gateway/library.rs"]
mod library;
#[path = "gateway/site.rs"]
mod site;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Command, Output};
use std::time::Duration;

use bulbil_tests::net::{Network, Shape};
use bulbil_tests::node::{Node, Settings};
use bulbil_tests::ports::Ports;
use bulbil_tests::process::Process;
use bulbil_tests::program;
use bulbil_tests::scratch::Scratch;
use bulbil_tests::story::Story;
use bulbil_tests::talk::Talk;
use bulbil_tests::wait::eventually;
use serde_json::Value;
use site::Site;

/// Longest that one command may take here.
const LIMIT: Duration = Duration::from_mins(1);

struct Stage {
    node: Node,
    site: Site,
    gateway: u16,
    socks: u16,
}

#[test]
fn the_gateway_serves_and_guards() {
    let network = Network::start(Shape::default()).unwrap();
    let (site, dull) = (Site::open().unwrap(), chaff::Place::open().unwrap());
    let mut ports = Ports::reserve(Ipv4Addr::LOCALHOST).unwrap();
    let (gateway, socks, moved) = (ports.take().unwrap(), ports.take().unwrap(), ports.take().unwrap());
    let settings = Settings {
        proxy: Some(format!(
            "[proxy.socks]\nlisten = \"127.0.0.1:{moved}\"\n[proxy.dns]\nenabled = false\n\
             [proxy.http]\nlisten = \"127.0.0.1:{gateway}\"\nallow_private = true\nrequest_limit = \"2 MiB\"\n\
             check_urls = [\"{check}\"]\n[selfcheck]\nresolve = \"www.local.test\"\nfetch = \"{check}\"\n\
             [metrics]\nevery = 0\nround = 1\n[chaff]\nevery = \"10 s\"\nurls = [\"{dull}\"]\n",
            check = site.url("/check"),
            dull = dull.url()
        )),
        // The file says another port: the environment wins.
        environment: vec![
            ("COMMON_SOCKS_PROXY_PORT".into(), socks.to_string()),
            ("RUST_LOG".into(), "info,arti".into()),
            ("TORGO_ENABLE_CHAFF".into(), "1".into()),
        ],
        ..Settings::named("gateway")
    };
    let node = Node::start(&network, settings).unwrap();
    let stage = Stage { node, site, gateway, socks };
    let mut story = Story::default();
    story.scene("what curl gets", || what_curl_gets(&stage));
    story.scene("bodies both ways", || bodies(&stage));
    story.scene("tunnels", || tunnels(&stage));
    story.scene("foreign pages and names", || strangers(&stage));
    story.scene("smuggled requests", || smuggling(&stage));
    story.scene("names from the environment", || environment(&stage));
    story.scene("a listener on the LAN", || lan_listener(&stage));
    story.scene("the library", || library::scene(&network, &stage));
    story.scene("figures", || figures(&stage));
    story.scene("strict where it cannot be", strict);
    story.scene("selfcheck", || selfcheck(&stage));
    story.scene("selfcheck without the node", || fresh_selfcheck(&stage));
    story.scene("a selfcheck that is stopped", || stopped_selfcheck(&stage));
    story.scene("chaff", || chaff::scene(&dull));
    story.scene("what the log says", || log(&stage));
    story.end().unwrap();
}

impl Stage {
    fn at(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.gateway)
    }

    fn proxied(&self, path: &str) -> String {
        let url = self
            .site
            .url(path)
            .replace(':', "%3A")
            .replace('/', "%2F")
            .replace('?', "%3F")
            .replace('=', "%3D");
        self.at(&format!("/proxy?url={url}"))
    }
}

fn curl(arguments: &[&str]) -> Output {
    let mut command = Command::new("curl");
    command.args(["-sS", "--max-time", "40", "--noproxy", ""]).args(arguments);
    command.env_remove("http_proxy").output().unwrap()
}

/// What curl printed; it must have been content.
fn text(arguments: &[&str]) -> String {
    let output = curl(arguments);
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn code(arguments: &[&str]) -> String {
    let mut all = vec!["-o", "/dev/null", "-w", "%{http_code}"];
    all.extend(arguments);
    text(&all)
}

fn what_curl_gets(stage: &Stage) {
    let health: Value = serde_json::from_str(&text(&[&stage.at("/health")])).unwrap();
    assert_eq!(health["status"], "ok");
    assert_eq!(health["tor"]["ready"], true);
    assert_eq!(text(&[&stage.at("/verify-tor")]), r#"{"exitIp":"192.0.2.7","isTor":true}"#);
    assert_eq!(text(&[&stage.at("/ip")]), r#"{"ip":"192.0.2.7"}"#);
    let page = text(&[
        "-i",
        "-A",
        "Odd/1",
        "-H",
        "Cookie: secret=1",
        "-H",
        "X-Forwarded-For: 10.1.2.3",
        &stage.proxied("/a?b=c"),
    ]);
    assert!(page.contains("200 OK") && page.ends_with("you asked for /a?b=c"), "{page}");
    let asked = stage.site.last();
    assert!(!asked.contains("secret") && !asked.contains("10.1.2.3") && !asked.contains("Odd/1"), "{asked}");
    let moved = text(&["-i", &stage.proxied("/moved")]);
    assert!(moved.contains("302") && moved.contains("location: /proxy?url=http"), "{moved}");
    assert!(text(&["-L", &stage.proxied("/moved")]).ends_with("you asked for /there"));
    let refused = stage.at("/proxy?url=http://www.local.test:1/");
    assert_eq!(code(&[&refused]), "403", "port 1 is not the web's");
    assert_eq!(code(&[&stage.at("/proxy?url=http://nx.test:8080/")]), "502");
    assert_eq!(code(&[&stage.at("/proxy?url=file:///etc/passwd")]), "400");
}

fn bodies(stage: &Stage) {
    let folder = Scratch::new("bodies").unwrap();
    let (file, back) = (folder.join("up"), folder.join("down"));
    let bytes: Vec<u8> = (0..1_500_000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    std::fs::write(&file, &bytes).unwrap();
    let data = format!("@{}", file.display());
    for coding in ["Transfer-Encoding: chunked", "X: y"] {
        let url = stage.proxied("/echo");
        let arguments =
            ["--data-binary", &data, "-H", coding, "-H", "Expect:", "-o", back.to_str().unwrap(), &url];
        assert!(curl(&arguments).status.success());
        assert_eq!(std::fs::read(&back).unwrap(), bytes, "{coding}");
    }
    std::fs::write(&file, vec![7; 3 << 20]).unwrap();
    assert_eq!(code(&["--data-binary", &data, "-H", "Expect:", &stage.proxied("/echo")]), "413");
    // Half of it comes before anybody can know: the answer tells, or the connection ends.
    let output = curl(&[
        "--data-binary",
        &data,
        "-H",
        "Transfer-Encoding: chunked",
        "-H",
        "Expect:",
        "-w",
        "%{http_code}",
        "-o",
        "/dev/null",
        &stage.proxied("/echo"),
    ]);
    assert_ne!(String::from_utf8_lossy(&output.stdout), "200");
}

fn tunnels(stage: &Stage) {
    let proxy = format!("http://127.0.0.1:{}", stage.gateway);
    let said = text(&["-p", "-x", &proxy, &stage.site.url("/through")]);
    assert_eq!(said, "you asked for /through");
    assert!(!stage.site.last().contains("Proxy-Connection"));
    assert_eq!(
        text(&["-x", &proxy, "-H", "Cookie: kept", &stage.site.url("/plain")]),
        "you asked for /plain"
    );
    assert!(stage.site.last().to_lowercase().contains("cookie: kept"));
    let output = curl(&["-p", "-x", &proxy, "http://nx.test:8080/"]);
    assert_eq!(output.status.code(), Some(56), "{output:?}");
}

fn strangers(stage: &Stage) {
    let rebound = format!("evil.example:{}:127.0.0.1", stage.gateway);
    let url = format!("http://evil.example:{}/ip", stage.gateway);
    assert_eq!(code(&["--resolve", &rebound, &url]), "421", "a foreign name that leads here");
    for path in ["/ip", "/health", "/verify-tor", "/proxy?url=http%3A%2F%2Fwww.local.test"] {
        assert_eq!(code(&["-H", "Origin: http://evil.example", &stage.at(path)]), "403");
        assert_eq!(code(&["-H", "Sec-Fetch-Site: cross-site", &stage.at(path)]), "403");
        assert_eq!(code(&["-X", "POST", "-H", "Origin: null", &stage.at(path)]), "403");
    }
    // What a page of the LAN's browser can make it send to an address that is not loopback: no sign of the page at all.
    let (lan, browser) = ("Host: 192.168.1.9:3080", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0)");
    let asked = stage.site.count();
    for url in [stage.proxied("/picture"), stage.at("/ip"), stage.at("/verify-tor")] {
        assert_eq!(code(&["-H", lan, "-A", browser, &url]), "403");
        assert_eq!(code(&["-H", lan, "-A", "Odd/1", "-H", "Accept-Language: de,en;q=0.5", &url]), "403");
    }
    assert_eq!(stage.site.count(), asked);
    assert_eq!(code(&["-H", lan, "-A", browser, &stage.at("/health")]), "200");
    let told = text(&["-H", lan, "-A", browser, &stage.proxied("/picture")]);
    assert!(told.contains("X-Bulbil-Program: 1"), "{told}");
    let program = ["-H", lan, "-A", browser, "-H", "X-Bulbil-Program: 1"];
    assert!(text(&[&program[..], &[&stage.proxied("/picture")]].concat()).ends_with("/picture"));
    assert!(!stage.site.last().to_lowercase().contains("x-bulbil"));
    assert!(text(&["-H", lan, &stage.proxied("/curl")]).ends_with("/curl"), "curl as it is");
    let said = text(&["-i", "-H", "Origin: http://localhost:3000", &stage.proxied("/")]);
    assert!(said.contains("access-control-allow-origin: http://localhost:3000"), "{said}");
}

fn smuggling(stage: &Stage) {
    let before = stage.site.count();
    for lines in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\n X: y",
        "Content-Length: 1, 1",
    ] {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, stage.gateway)).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let inner =
            format!("GET /proxy?url={} HTTP/1.1\r\nHost: localhost\r\n\r\n", stage.site.url("/inner"));
        let request = format!("POST /health HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n\r\n0\r\n\r\n{inner}");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer); // what was not read resets the connection
        assert!(answer.starts_with("HTTP/1.1 400") && !answer.contains("HTTP/1.1 200"), "{answer}");
    }
    assert_eq!(stage.site.count(), before);
}

fn environment(stage: &Stage) {
    let proxy = format!("127.0.0.1:{}", stage.socks);
    assert_eq!(text(&["--socks5-hostname", &proxy, &stage.site.url("/socks")]), "you asked for /socks");
    for (name, value) in
        [("COMMON_SOCKS_PROXY_PORT", "70000"), ("TORGO_ENABLE_CHAFF", "x"), ("BULBIL__MEMORY", "much")]
    {
        let output = Command::new(program::bulbil().unwrap()).env(name, value).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(2) && said.contains(name), "{said}");
    }
}

fn lan_listener(stage: &Stage) {
    let folder = Scratch::new("lan").unwrap();
    let config = folder.join("config.toml");
    std::fs::write(&config, "[proxy.http]\nlisten = \"0.0.0.0:0\"\n").unwrap();
    let output =
        Command::new(program::bulbil().unwrap()).arg("run").arg("--config").arg(&config).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(2) && said.contains("proxy.http.password"), "{said}");
    drop(stage.node.status().unwrap());
}

fn figures(stage: &Stage) {
    let socket = stage.node.socket();
    let told = text(&["--unix-socket", socket.to_str().unwrap(), "http://bulbil/metrics"]);
    for word in [
        "bulbil_network_ready 1",
        "bulbil_requests_total{listener=\"http\"}",
        "kind=\"foreign_host\"",
        "bulbil_response_seconds_count{listener=\"http\"}",
    ] {
        assert!(told.contains(word), "{word} is missing in {told}");
    }
    assert!(!told.contains("local.test") && !told.contains("127.0.0.1"), "{told}");
    // Where Prometheus' own program is installed, it must find nothing to complain about.
    let mut promtool = Command::new("promtool");
    promtool.args(["check", "metrics"]).stdin(std::process::Stdio::piped());
    // Its package brings all of Prometheus, so it is not installed for this.
    let Ok(mut child) = promtool.stdout(std::process::Stdio::piped()).spawn() else {
        println!("promtool is not installed (Debian: prometheus): the form of the figures was not checked");
        return;
    };
    child.stdin.take().unwrap().write_all(told.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stdout.is_empty(), "{output:?}");
}

/// `SECMEM_STRICT=1` refuses where something is missing, and names it.
fn strict() {
    if !nix::unistd::geteuid().is_root() {
        println!("not root: what strict hardening lacks here is not known, and was not looked at");
        return;
    }
    let folder = Scratch::in_memory("strict").unwrap();
    let config = folder.join("config.toml");
    std::fs::write(&config, format!("state_dir = \"{}\"\n", folder.join("state").display())).unwrap();
    let mut command = Command::new(program::bulbil().unwrap());
    command.args(["run", "--config"]).arg(&config).env("SECMEM_STRICT", "1");
    let said = Talk::begin(&mut command).unwrap().end(LIMIT).unwrap();
    assert!(
        said.code == Some(1) && said.err.contains("user: ") && said.err.contains("SECMEM_STRICT"),
        "{said:?}"
    );
}

/// The command, with these words, of somebody who has the node's configuration.
fn check(stage: &Stage, words: &[&str]) -> Command {
    let mut command = Command::new(program::bulbil().unwrap());
    command.arg("selfcheck").args(words).arg("--config").arg(stage.node.config_path());
    command
}

/// The names of its steps, all of which must have gone well.
fn steps(command: &mut Command) -> Vec<String> {
    let said = Talk::begin(command).unwrap().end(LIMIT * 3).unwrap();
    assert_eq!(said.code, Some(0), "{said:?}");
    let report = said.json().unwrap();
    assert_eq!(report["ok"], true);
    let checks = report["checks"].as_array().unwrap();
    checks.iter().map(|check| check["name"].as_str().unwrap().to_owned()).collect()
}

const STEPS: [&str; 5] = ["bootstrap", "resolve", "fetch", "onion", "leaks"];

/// Checks of other processes: whoever takes them starts one.
fn folders(stage: &Stage) -> usize {
    let names = std::fs::read_dir(stage.node.folder().join("state")).unwrap().flatten();
    names.filter(|entry| entry.file_name().to_string_lossy().starts_with("selfcheck-")).count()
}

/// The node that runs is asked, and once a minute only, as a health check asks again and again.
fn selfcheck(stage: &Stage) {
    let asked = stage.site.count();
    assert_eq!(steps(&mut check(stage, &["--json"])), STEPS);
    assert_eq!(stage.site.count(), asked + 1);
    for _ in 0..3 {
        assert_eq!(steps(&mut check(stage, &["--json"])), STEPS);
    }
    assert!(
        stage.site.count() <= asked + 2,
        "four of them took more than a minute, or cost more than one check"
    );
    let mut command = check(stage, &[]);
    command.env("BULBIL__SELFCHECK__RESOLVE", "nx.test").env("BULBIL__SELFCHECK__ONION", "false");
    let said = Talk::begin(&mut command).unwrap().end(LIMIT * 3).unwrap();
    assert!(said.code == Some(1) && said.out.contains("FAILED") && said.err.contains("resolve"), "{said:?}");
    assert_eq!(folders(stage), 0, "none of them was a Tor of its own");
}

fn fresh_selfcheck(stage: &Stage) {
    assert_eq!(steps(&mut check(stage, &["--json", "--fresh"])), STEPS);
    // Where no node runs, there is no other way.
    let folder = Scratch::in_memory("alone").unwrap();
    let mut command = check(stage, &["--json"]);
    command.env("BULBIL__STATE_DIR", folder.join("state"));
    command.env("BULBIL__CONTROL__SOCKET", folder.join("none.sock"));
    assert_eq!(steps(&mut command), STEPS);
}

/// One that is stopped leaves nothing behind, and takes along what another left that was killed.
fn stopped_selfcheck(stage: &Stage) {
    let state = stage.node.folder().join("state");
    let scratch = Scratch::new("stopped").unwrap();
    for (kills, remains) in [(true, 1), (false, 0)] {
        let mut command = check(stage, &["--fresh"]);
        let mut check = Process::start("selfcheck", &mut command, &scratch.join("log")).unwrap();
        let own = state.join(format!("selfcheck-{}", check.pid()));
        eventually(LIMIT, "the check to begin", || own.join("lock").exists()).unwrap();
        if kills {
            check.kill().unwrap();
        } else {
            assert_eq!(check.stop(LIMIT).unwrap().code(), Some(1));
        }
        assert_eq!(folders(stage), remains);
    }
}

fn log(stage: &Stage) {
    let log = stage.node.log().unwrap();
    for word in ["local.test", "nx.test", "/proxy?url", "evil.example"] {
        assert!(!log.contains(word), "{word} in {log}");
    }
}
