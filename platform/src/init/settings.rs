//! The owner's file on the boot partition, believed key by key. One wrong key costs that key alone.

use std::fmt;
use std::net::Ipv4Addr;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::boot::{self, OURS, Page};
use super::console::say;
use super::imager::{self, Wish};
use super::mdns;
use super::wifi::{self, WifiSettings};
use crate::config::Config;
use crate::config::secret::is_secret;
use crate::status::board::{Note, Verdict};
use crate::sys::board::link;
use crate::sys::board::process::machine_memory;

/// Everything the owner said.
#[derive(Debug, Default)]
pub(super) struct Settings {
    /// For the first process.
    pub(super) board: BoardSettings,
    /// For its Wi-Fi.
    pub(super) wifi: WifiSettings,
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
    /// The only interface that may have `address`; without, it is at the first that is connected.
    pub(super) interface: Option<InterfaceName>,
    /// The router, with `address`.
    pub(super) gateway: Option<Ipv4Addr>,
    /// Whether `name.local` is answered for on the local network; it is unless told otherwise.
    pub(super) mdns: Option<bool>,
    /// A server to keep the clock by; without, Tor's relays tell the time.
    pub(super) time_server: Option<TimeServer>,
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

/// The kernel's name of a network interface, such as `eth0`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(try_from = "String")]
pub(super) struct InterfaceName(pub(super) String);

impl TryFrom<String> for InterfaceName {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let fits = (1..=15).contains(&text.len());
        let plain = text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/');
        if fits && plain {
            Ok(Self(text))
        } else {
            Err("an interface has a name such as \"eth0\" or \"wlan0\"")
        }
    }
}

/// The address of a time server.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(try_from = "String")]
pub(super) struct TimeServer(pub(super) Ipv4Addr);

impl TryFrom<String> for TimeServer {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let server = text.parse().map(Self);
        server.map_err(|_| {
            "a time server is an address such as \"192.168.1.1\"; a name would have to be asked for outside Tor"
        })
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

/// Puts together what the files say: ours first, then Imager's, where ours says nothing.
fn gather(pages: Vec<Page>) -> Settings {
    let mut text = String::new();
    let mut notes = Vec::new();
    let mut wishes = Vec::new();
    for page in pages {
        match page.text {
            Ok(own) if page.name == OURS => text = own,
            Ok(foreign) => {
                let said = imager::read(page.name, &foreign);
                notes.extend(said.notes);
                wishes.extend(said.wishes);
            }
            Err(why) => notes.push(Note { key: page.name.to_owned(), verdict: Verdict::Wrong, why }),
        }
    }
    let mut settings = understand(&text, &wishes, defaults());
    settings.notes.extend(notes);
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

/// Sorts the owner's keys into those that are right and those that are not. `more` are wishes from other files.
fn understand(text: &str, more: &[Wish], defaults: Table) -> Settings {
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
    let board = section(&mut wishes, "board", more, &mut settings.notes, &judge::<BoardSettings>);
    settings.board = judge(&board).unwrap_or_default();
    if settings.board.interface.is_some() && settings.board.address.is_none() {
        let (key, why) = ("board.interface".to_owned(), NO_ADDRESS.to_owned());
        settings.notes.push(Note { key, verdict: Verdict::Ignored, why });
    }
    let wifi = section(&mut wishes, "wifi", more, &mut settings.notes, &judge::<WifiSettings>);
    settings.wifi = judge(&wifi).unwrap_or_default();
    if let Some((key, why)) = settings.wifi.fault() {
        settings.notes.push(Note { key: key.to_owned(), verdict: Verdict::Wrong, why: why.to_owned() });
    }
    let as_node = |table: &Table| match Config::parse(&toml::to_string(table).unwrap_or_default()) {
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string().lines().last().unwrap_or_default().to_owned()),
    };
    let (ground, _) = sift(Table::new(), defaults, "", &as_node);
    let (node, notes) = sift(ground, wishes, "", &as_node);
    settings.notes.extend(notes);
    if takes_the_port(&node) {
        settings.board.mdns = Some(false);
        let (key, why) = ("board.mdns".to_owned(), PORT_TAKEN.to_owned());
        settings.notes.push(Note { key, verdict: Verdict::Ignored, why });
    }
    settings.node = NodeSettings(node);
    settings
}

/// Whether the node listens where names of the local network are asked for: then only one of both can.
fn takes_the_port(node: &Table) -> bool {
    let dns = Config::parse(&toml::to_string(node).unwrap_or_default()).map(|config| config.proxy.dns);
    dns.is_ok_and(|dns| dns.enabled && dns.listen.port() == mdns::PORT && dns.listen.ip().is_unspecified())
}

/// What becomes of an interface without an address.
const NO_ADDRESS: &str = "says where board.address belongs, and there is none";

/// What is told then.
const PORT_TAKEN: &str =
    "proxy.dns.listen takes port 5353, so nobody finds this board by its name; give it port 53";

/// Whether a section is right.
fn judge<T: DeserializeOwned>(table: &Table) -> Result<T, String> {
    table.clone().try_into().map_err(|error| error.message().to_owned())
}

/// Takes a section of ours out of the file, and fills it up with what other files say of it.
fn section<T>(
    wishes: &mut Table,
    name: &str,
    more: &[Wish],
    notes: &mut Vec<Note>,
    judge: &impl Fn(&Table) -> Result<T, String>,
) -> Table {
    let own = match wishes.remove(name) {
        Some(Value::Table(own)) => own,
        Some(_) => {
            let why = format!("is a section: write [{name}] in a line of its own");
            notes.push(Note { key: name.to_owned(), verdict: Verdict::Wrong, why });
            Table::new()
        }
        None => Table::new(),
    };
    let (mut table, found) = sift(Table::new(), own, &format!("{name}."), judge);
    notes.extend(found);
    // A password belongs to the network it stands beside, so ours is not mixed with another's.
    let own_network = table.contains_key("ssid");
    for wish in more.iter().filter(|wish| wish.section == name) {
        let key = wish.from.clone();
        if table.contains_key(wish.key) || own_network && ["ssid", "password"].contains(&wish.key) {
            notes.push(Note { key, verdict: Verdict::Ignored, why: SAID.to_owned() });
            continue;
        }
        let mut tried = table.clone();
        tried.insert(wish.key.to_owned(), wish.value.clone());
        match judge(&tried) {
            Ok(_) => {
                table = tried;
                notes.push(Note { key, verdict: Verdict::Understood, why: String::new() });
            }
            Err(why) => notes.push(Note {
                key,
                verdict: Verdict::Wrong,
                why: without_secret(wish.key, &wish.value, why),
            }),
        }
    }
    table
}

/// What becomes of a wish that comes second.
const SAID: &str = "bulbil.toml, or a file read before this one, says it already";

/// Words that repeat a value which is, or may be, a secret are left out; our own do not. A value of the wrong kind may stand where a
/// section with secrets belongs.
fn without_secret(key: &str, value: &Value, why: String) -> String {
    if let Some((_, kind)) = why.strip_prefix(WRONG_KIND).and_then(|rest| rest.rsplit_once(", expected ")) {
        return format!("must be {kind}");
    }
    // The node's own checks begin with the key.
    let plain =
        why == wifi::PASSWORD || why.starts_with(NAMES_ONLY) || why.starts_with(key) && !repeats(&why, value);
    if is_secret(key) && !plain {
        "is not what it should be; it is not repeated here".to_owned()
    } else {
        why
    }
}

/// Whether the words have any part of this value that says something.
fn repeats(why: &str, value: &Value) -> bool {
    let (why, value) = (why.to_lowercase(), value.to_string().to_lowercase());
    value.split(|letter: char| !letter.is_alphanumeric()).any(|part| part.len() > 2 && why.contains(part))
}

/// How the reader of TOML begins when it goes on with a value, and when it goes on with names of keys.
const WRONG_KIND: &str = "invalid type: ";
const NAMES_ONLY: &str = "unknown field ";

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
                    let why = without_secret(&key, &value, why);
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
        let settings = understand(text, &[], defaults());
        assert_eq!(wrong(&settings), ["board.address", "memroy", "swarm.lanes_max"]);
        assert_eq!(settings.board.name, Some(HostName("attic".into())));
        let config = Config::parse(&settings.node.text()).unwrap();
        assert_eq!((config.memory.0, config.swarm.upload_limit.0), (64 << 20, 1 << 20));
        assert_eq!(config.state_dir, Some("/run/bulbil/state".into()), "a board's own default");
    }

    #[test]
    fn keys_that_need_one_another_are_taken_together() {
        let settings = understand("[swarm]\nlanes_min = 8\nlanes_max = 8\n", &[], Table::new());
        assert!(wrong(&settings).is_empty(), "{:?}", settings.notes);
        let config = Config::parse(&settings.node.text()).unwrap();
        assert_eq!((config.swarm.lanes_min, config.swarm.lanes_max), (8, 8));
    }

    #[test]
    fn what_is_no_toml_is_told_by_its_line() {
        let settings = understand("# fine\n[board]\nname = bulbil\"secret\n", &[], defaults());
        let note = settings.notes.first().unwrap();
        assert!(note.why.starts_with("line 3 ") && !note.why.contains("secret"), "{note:?}");
        assert_eq!(settings.board, BoardSettings::default());
        assert!(settings.node.text().contains("state_dir"));
    }

    #[test]
    fn imagers_files_count_where_ours_says_nothing() {
        let page = |name, text: &str| Page { name, text: Ok(text.to_owned()) };
        let user = "#cloud-config\nhostname: cellar\nusers:\n- name: me\n";
        let net = "network:\n  wifis:\n    wlan0:\n      regulatory-domain: \"DE\"\n      access-points:\n        \
                   \"home\":\n          password: \"too short\"\n";
        let own = page(OURS, "[board]\nname = \"attic\"\n");
        let settings = gather(vec![own, page("user-data", user), page("network-config", net)]);
        assert_eq!(settings.board.name, Some(HostName("attic".into())), "ours wins");
        assert!(settings.wifi.is_complete(), "{:?}", settings.notes);
        let verdict = |key: &str| settings.notes.iter().find(|note| note.key == key).map(|note| note.verdict);
        assert_eq!(verdict("user-data: hostname"), Some(Verdict::Ignored));
        assert_eq!(verdict("user-data: users"), Some(Verdict::Ignored));
        assert_eq!(verdict("network-config: wifis.access-points"), Some(Verdict::Understood));
        let settings = gather(vec![page(OURS, "[wifi]\nssid = \"mine\"\n"), page("network-config", net)]);
        assert!(!settings.wifi.is_complete(), "another network's password is not tried");
        assert_eq!(wrong(&settings), ["wifi.password"]);
        let settings = gather(vec![page("network-config", &net.replace("too short", "seven77"))]);
        let note = settings.notes.iter().find(|note| note.verdict == Verdict::Wrong).unwrap();
        assert!(note.why.contains("8 to 63") && !note.why.contains("seven77"), "{note:?}");
    }

    #[test]
    fn no_secret_is_repeated() {
        for (text, key) in [
            ("[metrics]\ntoken = 12345678", "metrics.token"),
            ("metrics = \"12345678\"", "metrics"),
            ("[metrics]\ntoken = \"12345678\"", "metrics.token"),
            ("[net.tor]\nbridges = [12345678]", "net.tor.bridges"),
            ("[net.tor]\nbridges = \"obfs4 12345678\"", "net.tor.bridges"),
            ("[keep]\npassphrase_file = 12345678", "keep.passphrase_file"),
            ("[wifi]\nssid = \"a\"\npassword = 12345678", "wifi.password"),
            ("[wifi]\nssid = \"a\"\npasword = 12345678", "wifi.pasword"),
            ("wifi = \"12345678\"", "wifi"),
            ("[[publish]]\nname = \"a\"\nclients = 12345678", "publish"),
        ] {
            let settings = understand(text, &[], defaults());
            let note = settings.notes.iter().find(|note| note.key == key);
            let note = note.unwrap_or_else(|| panic!("{text}: {:?}", settings.notes));
            assert_eq!(note.verdict, Verdict::Wrong, "{text}: {note:?}");
            assert!(!format!("{:?}", settings.notes).contains("12345678"), "{:?}", settings.notes);
            assert!(!note.why.is_empty());
        }
        let settings = understand("[wifi]\npasword = 1\n[swarm]\nlanes_max = \"many\"", &[], defaults());
        let why = |key: &str| settings.notes.iter().find(|note| note.key == key).unwrap().why.clone();
        assert!(why("wifi.pasword").contains("unknown field"));
        let said = |value: &str| {
            let value = Value::from(value);
            without_secret("a.token", &value, "a.token is easy to guess: abc12345".to_owned())
        };
        assert!(said("xyz").contains("easy to guess") && !said("x abc").contains("abc"));
        assert!(why("swarm.lanes_max").starts_with("must be "), "{}", why("swarm.lanes_max"));
    }

    #[test]
    fn one_port_is_not_for_two() {
        let with = |port: u16| {
            let text = format!("[proxy.dns]\nlisten = \"0.0.0.0:{port}\"\nopen = true\n");
            understand(&text, &[], defaults()).board.mdns
        };
        assert_eq!([with(53), with(5353)], [None, Some(false)]);
    }

    #[test]
    fn names_and_addresses_are_checked() {
        assert!(TimeServer::try_from("pool.ntp.org".to_owned()).unwrap_err().contains("outside Tor"));

        let network = Network::try_from("192.168.1.20/24".to_owned()).unwrap();
        assert_eq!((network.address, network.prefix), (Ipv4Addr::new(192, 168, 1, 20), 24));
        assert!(network.holds([192, 168, 1, 255].into()) && !network.holds([192, 168, 2, 1].into()));
        for text in ["192.168.1.20", "192.168.1/24", "1.2.3.4/0", "1.2.3.4/33", ""] {
            assert!(Network::try_from(text.to_owned()).is_err(), "{text:?}");
        }
        assert!(InterfaceName::try_from("wlan0".to_owned()).is_ok());
        for text in ["", "a b", "a/b", "a234567890123456"] {
            assert!(InterfaceName::try_from(text.to_owned()).is_err(), "{text:?}");
        }
        for text in ["", "-a", "a-", "a b", "ä", "a.b"] {
            assert!(HostName::try_from(text.to_owned()).is_err(), "{text:?}");
        }
    }
}
