//! `network-config`: netplan, version 2, as Raspberry Pi Imager, Ubuntu's images and people write it. One Wi-Fi network is taken, with the
//! password that stands beside it; what becomes of everything else is noted.

use super::Said;
use super::outline::{self, Entry};
use crate::status::board::Verdict;

/// What is told of what is not read.
const ADDRESSES: &str = "addresses come by DHCP, or from board.address in bulbil.toml";
const ONLY_WIFI: &str = "only names, passwords and country of Wi-Fi networks are read from this file";
const BRACES: &str = "is written in braces; write each key in a line of its own below it";
const UNREAD: &str =
    "is not understood, and what belongs to it does not count; names and passwords in quotes are fine";
const ANOTHER: &str = "one network is joined, and that is another one of this file";
const NO_SAE: &str =
    "WPA3 alone is not supported; the network is joined if it takes WPA2 with the same password";
const COMPANY: &str = "networks that ask who one is (802.1X, EAP) are not supported";
const MODE: &str = "a board joins networks and makes none";

/// One network, and what keeps it from being joined.
struct Point {
    radio: String,
    ssid: String,
    /// Where it stands, and what it is.
    password: Option<(String, String)>,
    unfit: Option<&'static str>,
}

/// Reads the file.
pub(super) fn read(text: &str, said: &mut Said) {
    let mut points: Vec<Point> = Vec::new();
    for Entry { path, value, unread } in outline::read(text) {
        if let Some(line) = unread {
            said.note(&format!("line {line}"), Verdict::Wrong, UNREAD);
            continue;
        }
        let words: Vec<&str> = path.iter().map(String::as_str).collect();
        // Older versions leave `network` out.
        let words = words.strip_prefix(&["network"]).unwrap_or(&words);
        let from = words.join(".");
        match *words {
            [] | ["version" | "wifis"] => {}
            // What else there is of this key is noted once.
            ["ethernets", ..] => said.note("ethernets", Verdict::Ignored, ADDRESSES),
            ["wifis", _] | ["wifis", _, "access-points"] => _ = is_plain(&from, &value, said),
            ["wifis", _, "regulatory-domain"] => said.wish(&from, "wifi", "country", value.into()),
            ["wifis", _, "dhcp4"] if value == "true" => said.note(&from, Verdict::Understood, ""),
            ["wifis", _, "optional"] => said.note(&from, Verdict::Understood, ""),
            ["wifis", radio, "access-points", ssid] => {
                let (radio, ssid) = (radio.to_owned(), ssid.to_owned());
                if is_plain(&from, &value, said) {
                    points.push(Point { radio, ssid, password: None, unfit: None });
                }
            }
            ["wifis", radio, "access-points", ssid, ref rest @ ..] => {
                let own = |point: &&mut Point| point.radio == radio && point.ssid == ssid;
                if let Some(point) = points.iter_mut().find(own) {
                    point.take(&from, rest, value, said);
                }
            }
            ["wifis", radio, key, ..] => {
                said.note(&format!("wifis.{radio}.{key}"), Verdict::Ignored, ADDRESSES);
            }
            [key, ..] => said.note(key, Verdict::Ignored, ONLY_WIFI),
        }
    }
    choose(points, said);
}

/// Whether a key has only others below it; if not, that is noted.
fn is_plain(from: &str, value: &str, said: &mut Said) -> bool {
    match value {
        "" | "{}" => return true,
        braces if braces.starts_with('{') => said.note(from, Verdict::Wrong, BRACES),
        _ => said.note(from, Verdict::Ignored, ONLY_WIFI),
    }
    false
}

/// The first network that can be joined and has a password, else the first that can be joined.
fn choose(mut points: Vec<Point>, said: &mut Said) {
    let fit = |point: &Point| point.unfit.is_none();
    let chosen = points.iter().position(|point| fit(point) && point.password.is_some());
    let chosen = chosen.or_else(|| points.iter().position(fit)).map(|at| points.remove(at));
    for point in &points {
        let (verdict, why) = point.unfit.map_or((Verdict::Ignored, ANOTHER), |unfit| (Verdict::Wrong, unfit));
        said.note(&point.name(), verdict, why);
    }
    if let Some(point) = chosen {
        said.wish(&point.name(), "wifi", "ssid", point.ssid.into());
        if let Some((from, password)) = point.password {
            said.wish(&from, "wifi", "password", password.into());
        }
    }
}

impl Point {
    fn name(&self) -> String {
        format!("wifis.{}.access-points.{}", self.radio, self.ssid)
    }

    /// One of its keys.
    fn take(&mut self, from: &str, key: &[&str], value: String, said: &mut Said) {
        match (key, value.as_str()) {
            (["auth"], _) => _ = is_plain(from, &value, said),
            (["password"] | ["auth", "password"], _) => {
                // Left empty, the network has none.
                if !value.is_empty() {
                    self.password.get_or_insert((from.to_owned(), value));
                }
            }
            (["auth", "key-management"], "psk" | "none")
            | (["mode"], "infrastructure")
            // One that is hidden is asked for by its name anyway.
            | (["hidden"], _) => said.note(from, Verdict::Understood, ""),
            (["auth", "key-management"], "sae") => said.note(from, Verdict::Ignored, NO_SAE),
            (["auth", "key-management"], _) => self.unfit = Some(COMPANY),
            (["mode"], _) => self.unfit = Some(MODE),
            ([key, ..], _) => said.note(&format!("{}.{key}", self.name()), Verdict::Ignored, ONLY_WIFI),
            ([], _) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Said {
        super::super::read("network-config", text)
    }

    /// What is wished for, without keys, and the keys of what was noted with this verdict.
    fn wishes(said: &Said) -> Vec<(&str, &str)> {
        said.wishes.iter().map(|wish| (wish.key, wish.value.as_str().unwrap())).collect()
    }

    fn noted(said: &Said, verdict: Verdict) -> Vec<(&str, &str)> {
        let notes = said.notes.iter().filter(|note| note.verdict == verdict);
        notes.map(|note| (note.key.as_str(), note.why.as_str())).collect()
    }

    const HOME: [(&str, &str); 2] = [("ssid", "home"), ("password", "long enough")];

    /// Imager 1.7 for Ubuntu, and Imager 2 for Raspberry Pi OS.
    #[test]
    fn what_imager_writes_is_understood() {
        let old = "version: 2\nwifis:\n  renderer: networkd\n  wlan0:\n    dhcp4: true\n    optional: true\n    access-points:\n      \
                   home:\n        password: \"long enough\"\n";
        let old = said(old);
        assert_eq!(wishes(&old), HOME);
        assert_eq!(noted(&old, Verdict::Ignored), [("wifis.renderer", ONLY_WIFI)]);
        let new = "network:\n  version: 2\n  ethernets:\n    eth0:\n      dhcp4: true\n      dhcp6: true\n      optional: true\n  wifis:\n    \
                   wlan0:\n      dhcp4: true\n      regulatory-domain: \"DE\"\n      access-points:\n        \"home\":\n          \
                   hidden: true\n          password: \"long enough\"\n      optional: true\n";
        let new = said(new);
        assert_eq!(wishes(&new), [HOME[0], HOME[1], ("country", "DE")]);
        assert_eq!(noted(&new, Verdict::Ignored), [("ethernets", ADDRESSES)]);
        assert_eq!(noted(&new, Verdict::Understood).len(), 3, "dhcp4, hidden, optional");
        assert_eq!(new.wishes[1].from, "wifis.wlan0.access-points.home.password");
    }

    /// The example in Ubuntu's images, Subiquity's order, and what `NetworkManager` leaves.
    #[test]
    fn what_ubuntu_writes_is_understood() {
        let example = "wifis:\n  wlan0:\n    dhcp4: true\n    optional: true\n    access-points:\n      workssid:\n        auth:\n          \
                       key-management: eap\n          method: peap\n          identity: \"me@example.com\"\n          password: \
                       \"passw0rd\"\n          ca-certificate: /etc/my_ca.pem\n      home:\n        password: \"long enough\"\n      \
                       myworkwifi:\n        password: \"correct battery horse staple\"\n";
        let example = said(example);
        assert_eq!(wishes(&example), HOME);
        let work = ("wifis.wlan0.access-points.workssid", COMPANY);
        assert_eq!(noted(&example, Verdict::Wrong), [work]);
        assert!(
            noted(&example, Verdict::Ignored).contains(&("wifis.wlan0.access-points.myworkwifi", ANOTHER))
        );
        assert!(example.notes.iter().all(|note| !note.why.contains("passw0rd")));
        let subiquity = "network:\n  version: 2\n  wifis:\n    wlp3s0:\n      access-points:\n        home:\n          auth:\n            \
                         key-management: psk\n            password: long enough\n      dhcp4: true\n      nameservers:\n        \
                         addresses: [192.168.1.1]\n";
        let subiquity = said(subiquity);
        assert_eq!(wishes(&subiquity), HOME);
        assert_eq!(noted(&subiquity, Verdict::Ignored), [("wifis.wlp3s0.nameservers", ADDRESSES)]);
        let manager = "network:\n  version: 2\n  renderer: NetworkManager\n  wifis:\n    NM-1:\n      match:\n        name: \"wlan0\"\n      \
                       access-points:\n        \"home\":\n          auth:\n            key-management: \"sae\"\n            password: \
                       \"long enough\"\n          networkmanager:\n            uuid: \"1\"\n            passthrough:\n              a: \
                       \"b\"\n";
        let manager = said(manager);
        assert_eq!(wishes(&manager), HOME);
        let ignored = noted(&manager, Verdict::Ignored);
        assert_eq!(ignored.len(), 4, "{ignored:?}");
        assert!(ignored.contains(&("wifis.NM-1.access-points.home.auth.key-management", NO_SAE)));
        assert!(ignored.contains(&("wifis.NM-1.access-points.home.networkmanager", ONLY_WIFI)));
    }

    #[test]
    fn a_password_belongs_to_the_network_it_stands_beside() {
        let two = "wifis:\n  wlan0:\n    access-points:\n      guests: {}\n      home:\n        password: \"long enough\"\n";
        let two = said(two);
        assert_eq!(wishes(&two), HOME, "the open one comes first, and has none");
        assert_eq!(noted(&two, Verdict::Ignored), [("wifis.wlan0.access-points.guests", ANOTHER)]);
        let open = "wifis:\n  wlan0:\n    access-points:\n      guests:\n        auth:\n          key-management: none\n";
        assert_eq!(wishes(&said(open)), [("ssid", "guests")]);
        let empty = "wifis:\n  wlan0:\n    access-points:\n      guests:\n        password: \"\"\n";
        assert_eq!(wishes(&said(empty)), [("ssid", "guests")]);
        let own = "wifis:\n  wlan0:\n    access-points:\n      mine:\n        mode: ap\n        password: \"long enough\"\n";
        let own = said(own);
        assert!(wishes(&own).is_empty());
        assert_eq!(noted(&own, Verdict::Wrong), [("wifis.wlan0.access-points.mine", MODE)]);
    }

    #[test]
    fn what_is_written_another_way_is_told_of() {
        let braces = said("wifis: \n  wlan0:\n    access-points: {home: {password: \"long enough\"}}\n");
        assert!(wishes(&braces).is_empty());
        assert_eq!(noted(&braces, Verdict::Wrong), [("wifis.wlan0.access-points", BRACES)]);
        let broken =
            "wifis:\n  wlan0:\n    access-points:\n      \"ho\\xff\":\n        password: \"long enough\"\n";
        let broken = said(broken);
        assert!(wishes(&broken).is_empty());
        assert_eq!(noted(&broken, Verdict::Wrong), [("line 4", UNREAD)]);
        let fixed =
            said("bridges:\n  br0:\n    dhcp4: true\nwifis:\n  wlan0:\n    addresses:\n    - 10.0.0.2/24\n");
        let keys = [("bridges", ONLY_WIFI), ("wifis.wlan0.addresses", ADDRESSES)];
        assert_eq!(noted(&fixed, Verdict::Ignored), keys);
    }
}
