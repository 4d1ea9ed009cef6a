//! `[[publish]]`: onion services in front of other people's programs.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Seconds;
use crate::publish::{Backend, Check};

/// Services at most.
pub const MAX_SERVICES: usize = 16;

/// Virtual ports of one service at most.
const MAX_PORTS: usize = 16;

/// Backends behind one virtual port at most.
const MAX_BACKENDS: usize = 64;

/// Circuits of one service at most: what all services together may have.
const MAX_CIRCUITS: u32 = 256;

/// The name of the service that `HS_ROUTER` makes, and of its folder.
pub const ROUTER_NAME: &str = "hidden_service";

/// One onion service.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Publish {
    /// Its name in commands and on the page: letters, digits, `_` and `-`.
    pub name: String,
    /// What answers at each virtual port: `"80" = ["127.0.0.1:8000", "unix:/run/app.sock"]`.
    pub ports: BTreeMap<String, Vec<Backend>>,
    /// The folder of its keys, laid out as C tor does; in the state directory (memory) without.
    pub key_dir: Option<PathBuf>,
    /// A file that its address is written to, as `http://….onion` or `http://….onion:port`.
    pub url_file: Option<PathBuf>,
    /// Whether `ONION_URL=http://….onion` is printed on standard output at the start.
    pub print_url: bool,
    /// Whether only those with a client key may find it, also while there is none.
    pub restricted: bool,
    /// How backends are checked: `connect`, `none`, or a path such as `/health` that must answer below 500.
    pub check: Check,
    /// Between two checks of a backend.
    pub check_every: Seconds,
    /// How long a backend may take to connect.
    pub connect_timeout: Seconds,
    /// How long it may take to begin its answer before a request that can be repeated goes to another backend.
    pub answer_timeout: Seconds,
    /// Which requests may be given to a second backend after a first one had them.
    pub repeat: Repeat,
    /// What backends are told of the client: a PROXY protocol header with a made-up address for each circuit.
    pub proxy_protocol: ProxyProtocol,
    /// Between two tries to reach the service through Tor ourselves; 0 for never.
    pub probe_every: Seconds,
    /// Streams at a time.
    pub streams: u32,
    /// Streams on one circuit at a time.
    pub streams_per_circuit: u32,
    /// Circuits at a time.
    pub circuits: u32,
    /// Introductions a second through each introduction point, and how many after a quiet time.
    pub introductions: u32,
    /// See `introductions`.
    pub introductions_burst: u32,
    /// 3 to 20.
    pub introduction_points: u8,
}

/// Which requests may be given to a second backend after a first one had them. One that never came to a backend may
/// always be.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Repeat {
    /// None.
    Never,
    /// GET, HEAD and OPTIONS, which by HTTP's rules change nothing.
    #[default]
    Safe,
    /// All.
    Always,
}

/// haproxy's PROXY protocol.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProxyProtocol {
    /// Nothing is said.
    #[default]
    Off,
    /// One line of text, as C tor's `HiddenServiceExportCircuitID haproxy` writes it.
    V1,
    /// The binary form.
    V2,
}

impl Default for Publish {
    fn default() -> Self {
        Self {
            name: String::new(),
            ports: BTreeMap::new(),
            key_dir: None,
            url_file: None,
            print_url: false,
            restricted: false,
            check: Check::Connect,
            check_every: Seconds(10),
            connect_timeout: Seconds(5),
            answer_timeout: Seconds(20),
            repeat: Repeat::Safe,
            proxy_protocol: ProxyProtocol::Off,
            probe_every: Seconds(300),
            streams: 256,
            streams_per_circuit: 64,
            circuits: 128,
            introductions: 25,
            introductions_burst: 200,
            introduction_points: 3,
        }
    }
}

impl Publish {
    /// What `HS_ROUTER` means: `name:port:virtual-port`, several with commas or spaces between them, all of them one
    /// service. Entries with the same virtual port are backends of one another's kind.
    ///
    /// `key_dir` is where its keys lie, if they are to outlive the process.
    pub fn from_router(text: &str, key_dir: Option<PathBuf>) -> Result<Self, String> {
        let mut ports: BTreeMap<String, Vec<Backend>> = BTreeMap::new();
        for entry in text.split([',', ' ', '\t', '\n']).filter(|entry| !entry.is_empty()) {
            let (backend, port) = entry.rsplit_once(':').ok_or_else(|| bad_entry(entry))?;
            virtual_port(port).map_err(|()| bad_entry(entry))?;
            let backend: Backend = backend.parse().map_err(|why| format!("HS_ROUTER: {why}"))?;
            ports.entry(port.to_owned()).or_default().push(backend);
        }
        let this = Self { name: ROUTER_NAME.to_owned(), ports, key_dir, print_url: true, ..Self::default() };
        this.check().map_err(|why| format!("HS_ROUTER: {why}")).map(|()| this)
    }

    /// The virtual ports, lowest first, with their backends.
    pub fn routes(&self) -> impl Iterator<Item = (u16, &[Backend])> {
        let mut routes: Vec<_> = self
            .ports
            .iter()
            .filter_map(|(port, backends)| Some((virtual_port(port).ok()?, backends.as_slice())))
            .collect();
        routes.sort_by_key(|(port, _)| *port);
        routes.into_iter()
    }

    /// Whether all values are in range; else what to change.
    pub(super) fn check(&self) -> Result<(), String> {
        let name = &self.name;
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
            return Err(format!(
                "publish.name = \"{name}\" is no name; 1 to 64 letters, digits, _ and - are allowed"
            ));
        }
        if self.ports.is_empty() || self.ports.len() > MAX_PORTS {
            return Err(format!(
                "publish.ports of {name} must name 1 to {MAX_PORTS} virtual ports: \
                 \"80\" = [\"127.0.0.1:8000\"]"
            ));
        }
        for (port, backends) in &self.ports {
            virtual_port(port).map_err(|()| {
                format!("publish.ports of {name}: \"{port}\" is no port; 1 to 65535 are allowed")
            })?;
            if backends.is_empty() || backends.len() > MAX_BACKENDS {
                return Err(format!("publish.ports.{port} of {name} must name 1 to {MAX_BACKENDS} backends"));
            }
        }
        self.check_numbers()
    }

    fn check_numbers(&self) -> Result<(), String> {
        let at_least_1 = [
            ("check_every", self.check_every.0),
            ("connect_timeout", self.connect_timeout.0),
            ("answer_timeout", self.answer_timeout.0),
            ("streams", self.streams.into()),
            ("streams_per_circuit", self.streams_per_circuit.into()),
            ("introductions", self.introductions.into()),
        ];
        let name = &self.name;
        if let Some((key, _)) = at_least_1.iter().find(|(_, value)| *value == 0) {
            return Err(format!("publish.{key} of {name} must be at least 1"));
        }
        if !(1..=MAX_CIRCUITS).contains(&self.circuits) {
            return Err(format!(
                "publish.circuits of {name} is out of range; 1 to {MAX_CIRCUITS} are allowed"
            ));
        }
        if self.introductions_burst < self.introductions {
            return Err(format!("publish.introductions_burst of {name} must be at least its introductions"));
        }
        if !(3..=20).contains(&self.introduction_points) {
            return Err(format!(
                "publish.introduction_points of {name} is out of range; 3 to 20 are allowed"
            ));
        }
        Ok(())
    }
}

/// Whether every service is right by itself and beside the others.
pub(super) fn check(all: &[Publish]) -> Result<(), String> {
    if all.len() > MAX_SERVICES {
        return Err(format!("{} services are published; {MAX_SERVICES} is the limit", all.len()));
    }
    for (at, one) in all.iter().enumerate() {
        one.check()?;
        if all.iter().take(at).any(|other| other.name == one.name) {
            return Err(format!("two published services are called {}; rename one", one.name));
        }
    }
    Ok(())
}

fn virtual_port(text: &str) -> Result<u16, ()> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| digits && *port != 0).ok_or(())
}

fn bad_entry(entry: &str) -> String {
    format!("HS_ROUTER: \"{entry}\" is not understood; write name:port:virtual-port, such as web:8000:80")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backends(publish: &Publish) -> Vec<(u16, Vec<String>)> {
        publish
            .routes()
            .map(|(port, backends)| (port, backends.iter().map(ToString::to_string).collect()))
            .collect()
    }

    #[test]
    fn the_router_variable_is_understood() {
        let one = Publish::from_router("routstr:8000:80", None).unwrap();
        assert_eq!(backends(&one), [(80, vec!["routstr:8000".to_owned()])]);
        assert!(one.print_url && one.name == ROUTER_NAME);
        let two = Publish::from_router(" a:1:443, b:2:80 127.0.0.1:3:80,", None).unwrap();
        let expected =
            [(80, vec!["b:2".to_owned(), "127.0.0.1:3".to_owned()]), (443, vec!["a:1".to_owned()])];
        assert_eq!(backends(&two), expected);
    }

    #[test]
    fn a_wrong_router_variable_is_told_how_it_should_look() {
        for text in
            ["", "web", "web:8000", "web:8000:0", "web:8000:http", "web:x:80", ":80:80", "8.8.8.8:80:80"]
        {
            let why = Publish::from_router(text, None).unwrap_err();
            assert!(why.starts_with("HS_ROUTER"), "{text:?} gave {why:?}");
        }
    }

    #[test]
    fn a_block_needs_a_name_and_a_port() {
        let parse = |text: &str| toml::from_str::<Publish>(text).unwrap();
        let good = parse("name = \"shop\"\n[ports]\n80 = [\"127.0.0.1:8000\", \"unix:/run/s\"]");
        assert_eq!(good.check(), Ok(()));
        for (text, word) in [
            ("[ports]\n80 = [\"127.0.0.1:1\"]", "publish.name"),
            ("name = \"a/b\"", "publish.name"),
            ("name = \"a\"", "ports"),
            ("name = \"a\"\n[ports]\n0 = [\"127.0.0.1:1\"]", "no port"),
            ("name = \"a\"\n[ports]\n80 = []", "backends"),
            ("name = \"a\"\ncircuits = 0\n[ports]\n80 = [\"127.0.0.1:1\"]", "circuits"),
            ("name = \"a\"\nintroduction_points = 2\n[ports]\n80 = [\"127.0.0.1:1\"]", "3 to 20"),
            ("name = \"a\"\nanswer_timeout = 0\n[ports]\n80 = [\"127.0.0.1:1\"]", "answer_timeout"),
        ] {
            let why = parse(text).check().unwrap_err();
            assert!(why.contains(word), "{text:?} gave {why:?}");
        }
        assert!(check(&[good.clone(), good]).unwrap_err().contains("two"));
    }
}
