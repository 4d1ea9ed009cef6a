//! A board on a local network: the first process in namespaces of its own, with real servers and neighbours at the other end of its
//! cable.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "all of this file is a test")]

use std::process::Command;
use std::time::Duration;

use bulbil_tests::board::{Board, CABLE};
use bulbil_tests::namespace;
use bulbil_tests::process::Process;
use bulbil_tests::scratch::Scratch;

const SOON: Duration = Duration::from_secs(20);

/// A DHCP server with leases of so many seconds.
fn server(folder: &Scratch, seconds: u32) -> Process {
    server_with(folder, seconds, "")
}

/// The same, with more lines of configuration.
fn server_with(folder: &Scratch, seconds: u32, more: &str) -> Process {
    let conf = folder.join("udhcpd.conf");
    let leases = folder.join("leases");
    let text = format!(
        "interface {CABLE}\nstart 10.9.0.50\nend 10.9.0.50\nmax_leases 1\nmin_lease 1\nlease_file {0}\npidfile {0}.pid\n\
         option subnet 255.255.255.0\noption router 10.9.0.1\noption lease {seconds}\n{more}",
        leases.display()
    );
    std::fs::write(&conf, text).unwrap();
    std::fs::write(&leases, "").unwrap();
    let mut command = Command::new("busybox");
    command.args(["udhcpd", "-f"]).arg(&conf);
    Process::start("udhcpd", &mut command, &folder.join("udhcpd.log")).unwrap()
}

/// Asks everyone on the cable, as a program does that knows nothing of multicast DNS, and prints the answer: its error code, how many
/// records it has, the last four bytes, and who sent it.
const ASK: &str = r"
import socket, struct, sys
name, kind = sys.argv[1], int(sys.argv[2])
asker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
asker.bind(('10.9.0.1', 0))
asker.settimeout(1.5)
labels = b''.join(bytes([len(label)]) + label.encode() for label in name.split('.')) + b'\0'
asker.sendto(struct.pack('>6H', 77, 0, 1, 0, 0, 0) + labels + struct.pack('>2H', kind, 1), ('224.0.0.251', 5353))
try:
    answer, sender = asker.recvfrom(1500)
except TimeoutError:
    sys.exit(print('nobody'))
number, flags, _, records = struct.unpack('>4H', answer[:8])
assert number == 77 and flags & 0x8400 == 0x8400
print(flags & 15, records, '.'.join(map(str, answer[-4:])), 'from', sender[0])
";

/// A time server that is a minute and a half ahead of this machine (RFC 4330, section 6).
const CLOCK: &str = r"
import socket, struct, time
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(('10.9.0.1', 123))
while True:
    asked, asker = server.recvfrom(100)
    now = int((time.time() + 2208988800 + 90) * 2**32)
    server.sendto(struct.pack('>4B2I4s2Q', 0x24, 2, 6, 0xec, 0, 0, b'', 0, 0)[:24] + asked[40:48] + struct.pack('>2Q', now, now), asker)
";

/// A neighbour who waits until the name is given up: its address, with no time left to live (RFC 6762, section 10.1).
const BYE: &str = r"
import socket
ear = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
ear.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
ear.bind(('224.0.0.251', 5353))
ear.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton('224.0.0.251') + socket.inet_aton('10.9.0.1'))
print('listening', flush=True)
while True:
    heard, sender = ear.recvfrom(1500)
    if b'\x05attic\x05local\0\0\x01\x80\x01\0\0\0\0' in heard:
        break
print('goodbye from', sender[0])
";

/// See [`ASK`]; type 1 is A, 28 AAAA.
fn ask(name: &str, kind: u16) -> String {
    namespace::run(&["python3", "-c", ASK, name, &kind.to_string()]).unwrap().trim().to_owned()
}

#[test]
fn an_address_is_leased_renewed_lost_and_leased_again() {
    if !namespace::inside(&["--net", "--mount"], "an_address_is_leased_renewed_lost_and_leased_again")
        .unwrap()
    {
        return;
    }
    let folder = Scratch::new("dhcp").unwrap();
    let board = Board::start(&[("bulbil.toml", "")]).unwrap();
    board.plug("10.9.0.1/24").unwrap();
    let mut dhcp = server(&folder, 12);
    board.says("cable1: address 10.9.0.50/24, from DHCP", SOON).unwrap();
    assert!(board.run(&["ip", "route"]).unwrap().contains("default via 10.9.0.1 dev cable1"));
    // The server's own word that the lease went on after it would have ended: the second request of this client.
    let log = || std::fs::read_to_string(folder.join("udhcpd.log")).unwrap().matches("sending ACK").count();
    bulbil_tests::wait::eventually(SOON, "two renewals", || log() >= 3).unwrap();
    dhcp.kill().unwrap();
    board.says("does not renew the address; it is kept until the lease ends", SOON).unwrap();
    assert!(board.run(&["ip", "-4", "address"]).unwrap().contains("10.9.0.50/24"), "kept while it lasts");
    board.says("did not renew the address in time; asking for another", SOON).unwrap();
    assert!(!board.run(&["ip", "-4", "address"]).unwrap().contains("10.9.0.50"));
    assert_eq!(board.report().unwrap()["links"][0]["address"], serde_json::Value::Null);
    board.says("no DHCP server answers; check the router", SOON).unwrap();
    let _dhcp = server(&folder, 3600);
    let again = || board.console().unwrap().matches("address 10.9.0.50/24, from DHCP").count() >= 2;
    bulbil_tests::wait::eventually(SOON, "an address again", again).unwrap();
    namespace::run(&["ip", "link", "set", CABLE, "down"]).unwrap();
    board.says("no cable, or no Wi-Fi network joined", SOON).unwrap();
}

/// A DHCP server that never answers, and says when it was asked for more time by the one who has an address.
const DEAF: &str = r"
import socket
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(('10.9.0.1', 67))
asked, asker = server.recvfrom(1500)
print('asked by', asker[0], flush=True)
server.recvfrom(1500)
";

#[test]
fn a_cable_that_is_pulled_ends_a_lease_while_it_is_renewed() {
    if !namespace::inside(&["--net", "--mount"], "a_cable_that_is_pulled_ends_a_lease_while_it_is_renewed")
        .unwrap()
    {
        return;
    }
    let folder = Scratch::new("renewal").unwrap();
    let board = Board::start(&[("bulbil.toml", "")]).unwrap();
    board.plug("10.9.0.1/24").unwrap();
    // To be renewed after 4 s; who does not answer then is asked again after half an hour.
    let mut dhcp = server_with(&folder, 3600, "option 0x3a 00000004\n");
    board.says("cable1: address 10.9.0.50/24, from DHCP", SOON).unwrap();
    dhcp.kill().unwrap();
    let deaf =
        Process::start("deaf", Command::new("python3").args(["-c", DEAF]), &folder.join("deaf.log")).unwrap();
    let asked = || deaf.output().is_ok_and(|said| said.contains("asked by 10.9.0.50"));
    bulbil_tests::wait::eventually(SOON, "a question for more time", asked).unwrap();
    let before = board.console().unwrap().matches("no cable").count();
    namespace::run(&["ip", "link", "set", CABLE, "down"]).unwrap();
    board.says_times("cable1: no cable, or no Wi-Fi network joined", before + 1, SOON).unwrap();
    assert!(!board.run(&["ip", "-4", "address"]).unwrap().contains("10.9.0.50"));
}

#[test]
fn an_adapter_that_was_pulled_is_taken_up_again() {
    if !namespace::inside(&["--net", "--mount"], "an_adapter_that_was_pulled_is_taken_up_again").unwrap() {
        return;
    }
    let settings = "[board]\nname = \"attic\"\naddress = \"10.9.0.2/24\"\ninterface = \"cable1\"\n";
    let board = Board::start(&[("bulbil.toml", settings)]).unwrap();
    board.says("board.interface: no interface of this name is there", SOON).unwrap();
    for times in 1..=2 {
        board.plug("10.9.0.1/24").unwrap();
        board.says_times("cable1: address 10.9.0.2/24, as bulbil.toml says", times, SOON).unwrap();
        board.says_times("its page is at http://attic.local/", times, SOON).unwrap();
        assert_eq!(ask("attic.local", 1), "0 1 10.9.0.2 from 10.9.0.2");
        namespace::run(&["ip", "link", "delete", CABLE]).unwrap();
        board.says_times("cable1: it is gone", times, SOON).unwrap();
        assert_eq!(board.report().unwrap()["links"], serde_json::json!([]));
    }
    // Within one look of the board's: nobody sees that it was gone, but it is another.
    board.plug("10.9.0.1/24").unwrap();
    board.says_times("cable1: address 10.9.0.2/24", 3, SOON).unwrap();
    namespace::run(&["ip", "link", "delete", CABLE]).unwrap();
    board.plug("10.9.0.1/24").unwrap();
    board.says_times("cable1: address 10.9.0.2/24", 4, SOON).unwrap();
}

#[test]
fn the_fixed_address_goes_where_something_is_connected() {
    if !namespace::inside(&["--net", "--mount"], "the_fixed_address_goes_where_something_is_connected")
        .unwrap()
    {
        return;
    }
    let board =
        Board::start(&[("bulbil.toml", "[board]\naddress = \"10.9.0.2/24\"\nmdns = false\n")]).unwrap();
    board.plug_dead("another0", "a-cable1").unwrap();
    board.says("a-cable1: no cable", SOON).unwrap();
    board.plug("10.9.0.1/24").unwrap();
    board.says("cable1: address 10.9.0.2/24, as bulbil.toml says", SOON).unwrap();
    namespace::run(&["ip", "link", "set", "another0", "up"]).unwrap();
    let connected =
        || board.run(&["ip", "link", "show", "a-cable1"]).is_ok_and(|said| said.contains("LOWER_UP"));
    bulbil_tests::wait::eventually(SOON, "the second cable", connected).unwrap();
    let mine = |cable: &str| {
        let addresses = board.run(&["ip", "-4", "address", "show", cable]).unwrap();
        addresses.contains("10.9.0.2/24")
    };
    assert!(mine("cable1") && !mine("a-cable1"), "what works stays, though the other is first by name");
    namespace::run(&["ip", "link", "set", CABLE, "down"]).unwrap();
    board.says("a-cable1: address 10.9.0.2/24, as bulbil.toml says", SOON).unwrap();
    assert!(mine("a-cable1") && !mine("cable1"), "one address is not at two places");
}

#[test]
fn what_the_node_is_told_has_room_of_its_own() {
    if !namespace::inside(&["--net", "--mount"], "what_the_node_is_told_has_room_of_its_own").unwrap() {
        return;
    }
    let board = Board::start(&[
        ("bulbil.toml", "[board]\naddress = \"10.9.0.2/24\"\nmdns = false\n"),
        ("bulbil.toml.txt", "memory = \"64 MiB\"\n"),
        ("custom.toml", &"#".repeat(64 * 1024 + 1)),
    ])
    .unwrap();
    board.says("bulbil.toml.txt: is not read, its name must be bulbil.toml", SOON).unwrap();
    board.says("custom.toml: is larger than 64 KiB", SOON).unwrap();
    let about = || board.report().unwrap()["links"].as_array().unwrap().len();
    assert_eq!(about(), 0);
    // As a node does that fetches into it.
    board.fill_memory().unwrap();
    board.plug("10.9.0.1/24").unwrap();
    board.says("cable1: address 10.9.0.2/24, as bulbil.toml says", SOON).unwrap();
    assert_eq!(about(), 1, "told anew");
    assert!(!board.console().unwrap().contains("the page cannot be told"));
}

#[test]
fn the_name_is_found_defended_and_given_up() {
    if !namespace::inside(&["--net", "--mount"], "the_name_is_found_defended_and_given_up").unwrap() {
        return;
    }
    let settings = "[board]\nname = \"attic\"\naddress = \"10.9.0.2/24\"\ngateway = \"10.9.0.1\"\n";
    let mut board = Board::start(&[("bulbil.toml", settings)]).unwrap();
    board.plug("10.9.0.1/24").unwrap();
    board.says("cable1: address 10.9.0.2/24, as bulbil.toml says", SOON).unwrap();
    assert!(board.run(&["ip", "route"]).unwrap().contains("default via 10.9.0.1 dev cable1"));
    board.says("its page is at http://attic.local/", SOON).unwrap();
    assert_eq!(ask("Attic.local", 1), "0 1 10.9.0.2 from 10.9.0.2");
    assert!(ask("attic.local", 28).starts_with("0 0 "), "there is no such address, and that is said");
    assert_eq!(ask("cellar.local", 1), "nobody");
    let folder = Scratch::new("bye").unwrap();
    let mut listener =
        Process::start("listener", Command::new("python3").args(["-c", BYE]), &folder.join("log")).unwrap();
    let listens = || listener.output().is_ok_and(|said| said.contains("listening"));
    bulbil_tests::wait::eventually(SOON, "a listener", listens).unwrap();
    board.switch_off().unwrap();
    assert!(listener.finish(SOON).unwrap().0.success());
    assert!(listener.output().unwrap().contains("goodbye from 10.9.0.2"));
}

#[test]
fn a_name_that_is_taken_gets_a_number() {
    if !namespace::inside(&["--net", "--mount"], "a_name_that_is_taken_gets_a_number").unwrap() {
        return;
    }
    let board = Board::start(&[("bulbil.toml", "[board]\nname = \"attic\"\n")]).unwrap();
    let (folder, leases) = (Scratch::new("avahi").unwrap(), Scratch::new("dhcp").unwrap());
    board.plug("10.9.0.1/24").unwrap();
    // The neighbour comes first: without an address the board has no name.
    let avahi = avahi(&folder, "attic");
    let settled = || avahi.output().is_ok_and(|said| said.contains("Host name is attic.local"));
    bulbil_tests::wait::eventually(SOON, "a neighbour with a name", settled).unwrap();
    let _dhcp = server(&leases, 3600);
    board.says("its page is at http://attic-2.local/ (another machine has attic.local", SOON).unwrap();
    assert_eq!(board.report().unwrap()["name"], "attic-2");
    assert_eq!(ask("attic-2.local", 1), "0 1 10.9.0.50 from 10.9.0.50");
    assert!(!avahi.output().unwrap().contains("conflict"), "the neighbour keeps its own");
}

/// The responder of most Linux machines, under this name.
fn avahi(folder: &Scratch, name: &str) -> Process {
    let conf = folder.join("avahi.conf");
    let text = format!(
        "[server]\nhost-name={name}\nuse-ipv6=no\nallow-interfaces={CABLE}\nenable-dbus=no\n[publish]\npublish-workstation=no\n"
    );
    std::fs::write(&conf, text).unwrap();
    namespace::run(&["mount", "-t", "tmpfs", "none", "/run"]).unwrap();
    let mut command = Command::new("avahi-daemon");
    command.args(["--no-drop-root", "--no-chroot", "--no-rlimits", "--file"]).arg(&conf);
    Process::start("avahi", &mut command, &folder.join("log")).unwrap()
}

#[test]
fn imagers_settings_count_and_a_named_time_server_is_asked() {
    if !namespace::inside(&["--net", "--mount"], "imagers_settings_count_and_a_named_time_server_is_asked")
        .unwrap()
    {
        return;
    }
    let user = "#cloud-config\nhostname: cellar\nusers:\n- name: me\n  passwd: $5$secret\n";
    let net = "network:\n  version: 2\n  wifis:\n    wlan0:\n      access-points:\n        \"home\":\n          \
               password: \"long enough\"\n";
    let own = "[board]\naddress = \"10.9.0.2/24\"\nmdns = false\ntime_server = \"10.9.0.1\"\n";
    let board = Board::start(&[("bulbil.toml", own), ("user-data", user), ("network-config", net)]).unwrap();
    board.plug("10.9.0.1/24").unwrap();
    let folder = Scratch::new("ntp").unwrap();
    let mut command = Command::new("python3");
    command.args(["-c", CLOCK]);
    let _server = Process::start("clock", &mut command, &folder.join("log")).unwrap();
    // In a namespace nobody may set the clock, so what it would do is what it says.
    board
        .says("s behind, the time server says, but it cannot be set: Operation not permitted", SOON)
        .unwrap();
    let console = board.console().unwrap();
    assert!(
        ["89", "90"].iter().any(|by| console.contains(&format!("the clock is {by} s behind"))),
        "{console}"
    );
    let report = board.report().unwrap();
    assert_eq!(report["name"], "cellar");
    let verdict = |file: &str, key: &str| {
        let notes = report["notes"].as_array().unwrap();
        let note = notes.iter().find(|note| note["file"] == file && note["key"] == key);
        note.map(|note| note["verdict"].clone())
    };
    assert_eq!(verdict("user-data", "hostname").unwrap(), "understood");
    let password = "wifis.wlan0.access-points.home.password";
    assert_eq!(verdict("network-config", password).unwrap(), "understood");
    assert_eq!(verdict("user-data", "users").unwrap(), "ignored");
    for words in [
        "bulbil.toml: 3 understood, 0 ignored, 0 wrong",
        "user-data: 1 understood, 1 ignored, 0 wrong",
        "user-data: users: ignored: ",
    ] {
        assert!(console.contains(words), "{words}: {console}");
    }
    assert!(!console.contains("secret") && !console.contains("long enough"));
    assert_eq!(ask("cellar.local", 1), "nobody", "switched off");
}
