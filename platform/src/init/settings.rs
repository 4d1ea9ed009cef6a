//! The owner's file on the boot partition, believed key by key. One wrong key costs that key alone.

use std::fmt;
use std::net::Ipv4Addr;

use serde::Deserialize;
use toml::{Table, Value};

use super::boot::{self, OURS, Page};
use super::console::say;
use crate::config::Config;
use crate::status::board::{Note, Verdict};
use crate::sys::board::link;
use crate::sys::board::process::machine_memory;

/// Everything the owner said.
#[derive(Debug, Default)]
pub(super) struct Settings {
    /// For the first process.
    pub(super) board: BoardSettings,
    /// For the node.
    pub(super) node: NodeSettings,
    /// What became of each key.
    pub(super) notes: Vec<Note>,
}

/// The section `[board]`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub(super) struct BoardSettings {
    /// The machine's name on the local network.
    pub(super) name: Option<HostName>,
    /// An address instead of DHCP.
    pub(super) address: Option<Network>,
    /// The router, with `address`.
    pub(super) gateway: Option<Ipv4Addr>,
    /// Whether `name.local` is answered for on the local network; it is unless told otherwise.
    pub(super) mdns: Option<bool>,
    /// Whether the hardware's watchdog is used; it is unless told otherwise.
    pub(super) watchdog: Option<bool>,
}

/// A name of letters, digits and hyphens (RFC 1123).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(try_from = "String")]
pub(super) struct HostName(pub(super) String);

impl TryFrom<String> for HostName {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let fits = (1..=63).contains(&text.len());
        let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if fits && plain && !text.starts_with('-') && !text.ends_with('-') {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err("a name has 1 to 63 letters, digits and hyphens")
        }
    }
}

/// An address and the length of its network, such as `192.168.1.20/24`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(try_from = "String")]
pub(super) struct Network {
    pub(super) address: Ipv4Addr,
    pub(super) prefix: u8,
}

impl Network {
    /// Whether this address belongs to it.
    pub(super) fn holds(self, address: Ipv4Addr) -> bool {
        let mask = link::mask(self.prefix).to_bits();
        address.to_bits() & mask == self.address.to_bits() & mask
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl TryFrom<String> for Network {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let parts = text.split_once('/').and_then(|(address, prefix)| {
            let prefix = prefix.parse().ok().filter(|prefix| (1..=31).contains(prefix))?;
            Some(Self { address: address.parse().ok()?, prefix })
        });
        parts.ok_or("an address looks like \"192.168.1.20/24\"")
    }
}

/// The node's configuration: what a board needs, under what its owner said.
#[derive(Clone, Debug, Default)]
pub(super) struct NodeSettings(Table);

impl NodeSettings {
    /// As a configuration file.
    pub(super) fn text(&self) -> String {
        toml::to_string(&self.0).unwrap_or_default()
    }
}

/// Finds and reads the files, and says on the console what is wrong with them.
pub(super) async fn read() -> Settings {
    let settings = gather(boot::read().await);
    for note in settings.notes.iter().filter(|note| note.verdict == Verdict::Wrong) {
        say(&format!("{OURS}: {}: {}", note.key, note.why));
    }
    settings
}

/// Puts together what the files say.
fn gather(pages: Vec<Page>) -> Settings {
    let mut text = String::new();
    let mut notes = Vec::new();
    for page in pages {
        match page.text {
            Ok(own) if page.name == OURS => text = own,
            Ok(_) => {}
            Err(why) => notes.push(Note { key: page.name.to_owned(), verdict: Verdict::Wrong, why }),
        }
    }
    let mut settings = understand(&text, defaults());
    settings.notes.splice(0..0, notes);
    settings
}

/// What a board's node is told without being asked: state in memory, half of the machine's memory (32 to 512 MiB), and its page on
/// the local network.
fn defaults() -> Table {
    let (total, _) = machine_memory();
    let memory = ((total / 2) >> 20).clamp(32, 512);
    let mut table = Table::new();
    table.insert("state_dir".to_owned(), "/run/bulbil/state".into());
    table.insert("memory".to_owned(), format!("{memory} MiB").into());
    let page = [("listen", "0.0.0.0:80"), ("first_run", "network")];
    let page = Table::from_iter(page.map(|(key, value)| (key.to_owned(), Value::from(value))));
    table.insert("page".to_owned(), page.into());
    table
}

/// Sorts the owner's keys into those that are right and those that are not.
fn understand(text: &str, defaults: Table) -> Settings {
    let mut settings = Settings::default();
    let mut wishes: Table = toml::from_str(text).unwrap_or_else(|error: toml::de::Error| {
        // The message does not repeat the text: a password may stand there.
        let line =
            error.span().map_or(0, |span| text.get(..span.start).unwrap_or_default().lines().count().max(1));
        let why = format!(
            "line {line} is not TOML: {}; nothing in the file counts until it is mended",
            error.message()
        );
        settings.notes.push(Note { key: OURS.to_owned(), verdict: Verdict::Wrong, why });
        Table::new()
    });
    let board = match wishes.remove("board") {
        Some(Value::Table(board)) => board,
        Some(_) => {
            let why = "is a section: write [board] in a line of its own".to_owned();
            settings.notes.push(Note { key: "board".to_owned(), verdict: Verdict::Wrong, why });
            Table::new()
        }
        None => Table::new(),
    };
    let as_board =
        |table: &Table| table.clone().try_into::<BoardSettings>().map_err(|error| error.message().to_owned());
    let (board, notes) = sift(Table::new(), board, "board.", &as_board);
    settings.notes.extend(notes);
    settings.board = as_board(&board).unwrap_or_default();
    let as_node = |table: &Table| match Config::parse(&toml::to_string(table).unwrap_or_default()) {
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string().lines().last().unwrap_or_default().to_owned()),
    };
    let (ground, _) = sift(Table::new(), defaults, "", &as_node);
    let (node, notes) = sift(ground, wishes, "", &as_node);
    settings.notes.extend(notes);
    settings.node = NodeSettings(node);
    settings
}

/// Puts `wishes` over `ground`, leaving out what `judge` refuses. A key may need another one, so those refused get a second chance.
fn sift<T>(
    ground: Table,
    wishes: Table,
    prefix: &str,
    judge: &impl Fn(&Table) -> Result<T, String>,
) -> (Table, Vec<Note>) {
    let mut open = Vec::new();
    leaves(wishes, &mut Vec::new(), &mut open);
    let mut table = ground;
    let mut notes = Vec::new();
    for last in [false, true] {
        for (path, value) in std::mem::take(&mut open) {
            let mut tried = table.clone();
            put(&mut tried, &path, value.clone());
            let key = format!("{prefix}{}", path.join("."));
            match judge(&tried) {
                Ok(_) => {
                    table = tried;
                    notes.push(Note { key, verdict: Verdict::Understood, why: String::new() });
                }
                Err(why) if last => {
                    let secret = key.contains("password") || key.contains("key");
                    let why = if secret { "is not what it should be".to_owned() } else { why };
                    notes.push(Note { key, verdict: Verdict::Wrong, why });
                }
                Err(_) => open.push((path, value)),
            }
        }
    }
    (table, notes)
}

/// All values that are no sections, with the way to each.
fn leaves(table: Table, path: &mut Vec<String>, found: &mut Vec<(Vec<String>, Value)>) {
    for (key, value) in table {
        path.push(key);
        match value {
            Value::Table(inner) => leaves(inner, path, found),
            value => found.push((path.clone(), value)),
        }
        path.pop();
    }
}

fn put(table: &mut Table, path: &[String], value: Value) {
    match path {
        [] => {}
        [key] => drop(table.insert(key.clone(), value)),
        [key, rest @ ..] => {
            let inner = table.entry(key.clone()).or_insert_with(|| Table::new().into());
            if let Value::Table(inner) = inner {
                put(inner, rest, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(settings: &Settings) -> Vec<&str> {
        let notes = settings.notes.iter().filter(|note| note.verdict == Verdict::Wrong);
        notes.map(|note| note.key.as_str()).collect()
    }

    #[test]
    fn one_wrong_key_costs_that_key_alone() {
        let text = "memory = \"64 MiB\"\nmemroy = 1\n[board]\nname = \"Attic\"\naddress = \"10.0.0.300\"\n\
                    [swarm]\nlanes_max = 99\nupload_limit = \"1 MiB\"\n";
        let settings = understand(text, defaults());
        assert_eq!(wrong(&settings), ["board.address", "memroy", "swarm.lanes_max"]);
        assert_eq!(settings.board.name, Some(HostName("attic".into())));
        let config = Config::parse(&settings.node.text()).unwrap();
        assert_eq!((config.memory.0, config.swarm.upload_limit.0), (64 << 20, 1 << 20));
        assert_eq!(config.state_dir, Some("/run/bulbil/state".into()), "a board's own default");
    }

    #[test]
    fn keys_that_need_one_another_are_taken_together() {
        let settings = understand("[swarm]\nlanes_min = 8\nlanes_max = 8\n", Table::new());
        assert!(wrong(&settings).is_empty(), "{:?}", settings.notes);
        let config = Config::parse(&settings.node.text()).unwrap();
        assert_eq!((config.swarm.lanes_min, config.swarm.lanes_max), (8, 8));
    }

    #[test]
    fn what_is_no_toml_is_told_by_its_line() {
        let settings = understand("# fine\n[board]\nname = bulbil\"secret\n", defaults());
        let note = settings.notes.first().unwrap();
        assert!(note.why.starts_with("line 3 ") && !note.why.contains("secret"), "{note:?}");
        assert_eq!(settings.board, BoardSettings::default());
        assert!(settings.node.text().contains("state_dir"));
    }

    #[test]
    fn names_and_addresses_are_checked() {
        let network = Network::try_from("192.168.1.20/24".to_owned()).unwrap();
        assert_eq!((network.address, network.prefix), (Ipv4Addr::new(192, 168, 1, 20), 24));
        assert!(network.holds([192, 168, 1, 255].into()) && !network.holds([192, 168, 2, 1].into()));
        for text in ["192.168.1.20", "192.168.1/24", "1.2.3.4/0", "1.2.3.4/33", ""] {
            assert!(Network::try_from(text.to_owned()).is_err(), "{text:?}");
        }
        for text in ["", "-a", "a-", "a b", "ä", "a.b"] {
            assert!(HostName::try_from(text.to_owned()).is_err(), "{text:?}");
        }
    }
}
