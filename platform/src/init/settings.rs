//! The owner's file on the boot partition, believed key by key, and beside it the files of Raspberry Pi Imager.

mod section;
mod sift;
mod tell;

use std::fmt;
use std::net::Ipv4Addr;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::boot::{self, Page};
use super::console::say;
use super::imager::{self, Wish};
use super::mdns;
use super::wifi::WifiSettings;
use crate::config::Config;
use crate::status::board::{Note, OURS, Verdict};
use crate::sys::board::link;
use crate::sys::board::process::machine_memory;
use section::section;
use sift::sift;

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

/// Finds and reads the files, and says on the console what became of them.
pub(super) async fn read() -> Settings {
    let pages = boot::read().await;
    let files: Vec<&str> = pages.iter().map(|page| page.name).collect();
    let mut settings = gather(pages);
    for line in tell::lines(&files, &settings.notes) {
        say(&line);
    }
    settings.notes = tell::that_fit(settings.notes);
    settings
}

fn note(file: &str, key: impl Into<String>, verdict: Verdict, why: impl Into<String>) -> Note {
    Note { file: file.to_owned(), key: key.into(), verdict, why: why.into() }
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
            Err(why) => notes.push(note(page.name, "", Verdict::Wrong, why)),
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
        settings.notes.push(note(OURS, "", Verdict::Wrong, why));
        Table::new()
    });
    let board = section("board", &mut wishes, more, &mut settings.notes, &judge::<BoardSettings>).table;
    settings.board = judge(&board).unwrap_or_default();
    if settings.board.interface.is_some() && settings.board.address.is_none() {
        settings.notes.push(note(OURS, "board.interface", Verdict::Ignored, NO_ADDRESS));
    }
    let wifi = section("wifi", &mut wishes, more, &mut settings.notes, &judge::<WifiSettings>);
    settings.wifi = judge(&wifi.table).unwrap_or_default();
    settings.notes.extend(missing(&settings, wifi.network));
    let as_node = |table: &Table| match Config::parse(&toml::to_string(table).unwrap_or_default()) {
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string().lines().last().unwrap_or_default().to_owned()),
    };
    let (ground, _) = sift(Table::new(), defaults, "", &as_node);
    let (node, notes) = sift(ground, wishes, "", &as_node);
    settings.notes.extend(notes);
    if takes_the_port(&node) {
        settings.board.mdns = Some(false);
        settings.notes.push(note(OURS, "board.mdns", Verdict::Ignored, PORT_TAKEN));
    }
    settings.node = NodeSettings(node);
    settings
}

/// What the Wi-Fi network that this file named lacks. What is there and wrong is told of already.
fn missing(settings: &Settings, file: Option<&str>) -> Option<Note> {
    let (key, why) = settings.wifi.fault()?;
    let last = key.rsplit('.').next().unwrap_or_default();
    let file = file.unwrap_or(OURS);
    let wrong = |note: &Note| note.verdict == Verdict::Wrong && note.file == file && note.key.ends_with(last);
    (!settings.notes.iter().any(wrong)).then(|| note(file, key, Verdict::Wrong, why))
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

#[cfg(test)]
mod tests {
    use super::super::wifi::{Password, Ssid};
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
        assert_eq!(note.title(), OURS);
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
        let verdict = |title: &str| {
            let note = settings.notes.iter().find(|note| note.title() == title);
            note.map(|note| note.verdict)
        };
        assert_eq!(verdict("user-data: hostname"), Some(Verdict::Ignored));
        assert_eq!(verdict("user-data: users"), Some(Verdict::Ignored));
        assert_eq!(
            verdict("network-config: wifis.wlan0.access-points.home.password"),
            Some(Verdict::Understood)
        );
        let settings = gather(vec![page(OURS, "[wifi]\nssid = \"mine\"\n"), page("network-config", net)]);
        assert!(!settings.wifi.is_complete(), "another network's password is not tried");
        assert_eq!(wrong(&settings), ["wifi.password"]);
        let settings = gather(vec![page("network-config", &net.replace("too short", "seven77"))]);
        let notes = settings.notes.iter().filter(|note| note.verdict == Verdict::Wrong);
        let notes: Vec<_> = notes.collect();
        assert_eq!(notes.len(), 1, "wrong is not missing: {notes:?}");
        assert!(notes[0].why.contains("8 to 63") && !notes[0].why.contains("seven77"), "{notes:?}");
        assert_eq!(notes[0].file, "network-config");
    }

    #[test]
    fn one_files_password_is_not_tried_with_anothers_network() {
        let page = |name, text: &str| Page { name, text: Ok(text.to_owned()) };
        let open = page("custom.toml", "[wlan]\nssid = \"guests\"\n");
        let net = "wifis:\n  wlan0:\n    access-points:\n      home:\n        password: \"long enough\"\n";
        let settings = gather(vec![open, page("network-config", net)]);
        assert_eq!(settings.wifi.ssid, Some(Ssid("guests".into())));
        assert_eq!(settings.wifi.password, None);
        let wrong: Vec<_> = settings.notes.iter().filter(|note| note.verdict == Verdict::Wrong).collect();
        assert_eq!(wrong.len(), 1);
        assert_eq!(wrong[0].title(), "custom.toml: wifi.password");
        // A name that cannot be takes its password with it, and leaves room for another file's.
        let long = format!("[wlan]\nssid = \"{}\"\npassword = \"not for home\"\n", "x".repeat(33));
        let settings = gather(vec![page("custom.toml", &long), page("network-config", net)]);
        assert_eq!(settings.wifi.ssid, Some(Ssid("home".into())));
        assert_eq!(settings.wifi.password, Some(Password::Words("long enough".into())));
        // Ours without a name is no word on another's network.
        let ours = page(OURS, "[wifi]\npassword = \"mine alone\"\n");
        let settings = gather(vec![ours, page("network-config", net)]);
        assert_eq!(settings.wifi.ssid, None);
        assert!(settings.notes.iter().any(|note| note.title() == "wifi.ssid"), "{:?}", settings.notes);
    }

    #[test]
    fn no_secret_is_repeated() {
        for (text, key) in [
            ("[metrics]\ntoken = 12345678", "metrics.token"),
            ("metrics = \"12345678\"", "metrics"),
            ("[metrics]\ntoken = \"12345678\"", "metrics.token"),
            ("[net.tor]\nbridges = [12345678]", "net.tor.bridges"),
            ("[net.tor]\nbridges = \"obfs4 12345678\"", "net.tor.bridges"),
            ("[page]\npassword_hash = \"12345678\"", "page.password_hash"),
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
            sift::without_secret("a.token", &value, "a.token is easy to guess: abc12345".to_owned())
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
