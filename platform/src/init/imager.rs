//! The settings that Raspberry Pi Imager writes onto the boot partition, understood for name and Wi-Fi. Nothing in them is ever run.
//!
//! `custom.toml` (Raspberry Pi OS, `init_config` of `raspberrypi-sys-mods`), `user-data` and `network-config` (cloud-init, `NoCloud`;
//! netplan, version 2), and `firstrun.sh` (Imager's own script, its calls of `imager_custom`).

mod outline;
mod words;

use toml::{Table, Value};

use crate::status::board::{Note, Verdict};

/// Why most of it means nothing here.
const NO_USERS: &str = "a board has no users, no SSH and no packages; its page is its only door";
const NEVER_RUN: &str =
    "nothing in this script is run; only its calls of imager_custom set_hostname and set_wlan are read";

/// What one file says, in the words of `bulbil.toml`: section, key, value. And what became of each of its own keys.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) wishes: Vec<Wish>,
    pub(super) notes: Vec<Note>,
}

/// One wish.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Wish {
    /// As the owner finds it: `user-data: hostname`.
    pub(super) from: String,
    pub(super) section: &'static str,
    pub(super) key: &'static str,
    pub(super) value: Value,
}

/// Reads one of the files.
pub(super) fn read(file: &str, text: &str) -> Said {
    let mut said = Said::default();
    match file {
        "custom.toml" => custom(file, text, &mut said),
        "user-data" | "network-config" => cloud(file, text, &mut said),
        "firstrun.sh" => script(file, text, &mut said),
        _ => {}
    }
    said
}

impl Said {
    fn wish(&mut self, file: &str, from: &str, section: &'static str, key: &'static str, value: Value) {
        // What was left empty is no wish.
        if value.as_str() != Some("") {
            self.wishes.push(Wish { from: format!("{file}: {from}"), section, key, value });
        }
    }

    fn note(&mut self, file: &str, key: &str, verdict: Verdict, why: &str) {
        let key = if key.is_empty() { file.to_owned() } else { format!("{file}: {key}") };
        if !self.notes.iter().any(|note| note.key == key) {
            self.notes.push(Note { key, verdict, why: why.to_owned() });
        }
    }
}

fn custom(file: &str, text: &str, said: &mut Said) {
    let Ok(whole) = toml::from_str::<Table>(text) else {
        return said.note(file, "", Verdict::Wrong, "is not TOML; write the card again, or use bulbil.toml");
    };
    for (section, value) in whole {
        let Value::Table(keys) = value else {
            if section != "config_version" {
                said.note(file, &section, Verdict::Ignored, NO_USERS);
            }
            continue;
        };
        for (key, value) in keys {
            let from = format!("{section}.{key}");
            match (section.as_str(), key.as_str()) {
                ("system", "hostname") => said.wish(file, &from, "board", "name", value),
                ("wlan", "ssid") => said.wish(file, &from, "wifi", "ssid", value),
                ("wlan", "password") => said.wish(file, &from, "wifi", "password", value),
                ("wlan", "country") => said.wish(file, &from, "wifi", "country", value),
                // Both kinds of passwords tell themselves apart, and a hidden network is asked for by name anyway.
                ("wlan", "password_encrypted" | "hidden") => {
                    said.note(file, &from, Verdict::Understood, "");
                }
                _ => said.note(file, &from, Verdict::Ignored, NO_USERS),
            }
        }
    }
}

fn cloud(file: &str, text: &str, said: &mut Said) {
    for outline::Entry { path, value } in outline::read(text) {
        let words: Vec<&str> = path.iter().map(String::as_str).collect();
        // Older versions leave `network` out.
        let words = words.strip_prefix(&["network"]).unwrap_or(&words);
        let from = words.join(".");
        match words {
            ["hostname"] if file == "user-data" => said.wish(file, &from, "board", "name", value.into()),
            ["wifis", _, "regulatory-domain"] => said.wish(file, &from, "wifi", "country", value.into()),
            ["wifis", _, "access-points", ssid] => {
                said.wish(file, "wifis.access-points", "wifi", "ssid", (*ssid).into());
            }
            ["wifis", _, "access-points", _, "password"] => {
                said.wish(file, "wifis.access-points.password", "wifi", "password", value.into());
            }
            ["wifis", ..] | ["version"] | [] => {}
            ["ethernets", ..] => said.note(
                file,
                "ethernets",
                Verdict::Ignored,
                "cables get their address by DHCP, or from board.address in bulbil.toml",
            ),
            [key, ..] => said.note(file, key, Verdict::Ignored, NO_USERS),
        }
    }
}

fn script(file: &str, text: &str, said: &mut Said) {
    for line in text.lines() {
        let Some((_, call)) = line.split_once("/imager_custom ") else { continue };
        let words = words::split(call).unwrap_or_default();
        let words: Vec<&str> = words.iter().map(String::as_str).filter(|word| *word != "-h").collect();
        match words.as_slice() {
            ["set_hostname", name] => said.wish(file, "set_hostname", "board", "name", (*name).into()),
            ["set_wlan", ssid, rest @ ..] => {
                said.wish(file, "set_wlan ssid", "wifi", "ssid", (*ssid).into());
                for (key, value) in ["password", "country"].into_iter().zip(rest) {
                    said.wish(file, &format!("set_wlan {key}"), "wifi", key, (*value).into());
                }
            }
            _ => {}
        }
    }
    said.note(file, "", Verdict::Ignored, NEVER_RUN);
}

#[cfg(test)]
mod tests {
    use super::*;

    const PSK: &str = "9283ed0cbecd3e3a7a76ee5c6ac6a3ee7a2a2f1ab0b1c8dcf6b5ea3ba64d3a33";

    /// Section, key and text of each wish.
    fn wishes(file: &str, text: &str) -> Vec<String> {
        let wishes = read(file, text).wishes;
        let show = |wish: &Wish| format!("{}.{}={}", wish.section, wish.key, wish.value.as_str().unwrap());
        wishes.iter().map(show).collect()
    }

    fn all() -> Vec<String> {
        let mut all = vec!["board.name=attic".to_owned(), "wifi.ssid=it's \"mine\"".to_owned()];
        all.extend([format!("wifi.password={PSK}"), "wifi.country=DE".to_owned()]);
        all
    }

    #[test]
    fn the_file_of_raspberry_pi_os_is_read() {
        let text = format!(
            "config_version = 1\n[system]\nhostname = \"attic\"\n[user]\nname = \"pi\"\npassword = \"$5$secret\"\n\
             password_encrypted = true\n[ssh]\nenabled = true\n[wlan]\nssid = 'it''s'\npassword = \"{PSK}\"\n\
             password_encrypted = true\nhidden = false\ncountry = \"DE\"\n[locale]\nkeymap = \"de\"\n"
        );
        let text = text.replace("'it''s'", "\"it's \\\"mine\\\"\"");
        let mut found = wishes("custom.toml", &text);
        let mut expected = all();
        found.sort();
        expected.sort();
        assert_eq!(found, expected);
        let said = read("custom.toml", &text);
        let ignored = said.notes.iter().filter(|note| note.verdict == Verdict::Ignored);
        let ignored: Vec<_> = ignored.map(|note| note.key.as_str()).collect();
        assert!(
            ignored.contains(&"custom.toml: user.password") && ignored.contains(&"custom.toml: ssh.enabled")
        );
        assert!(said.notes.iter().all(|note| !note.why.contains("secret")));
        assert_eq!(read("custom.toml", "x =").notes[0].verdict, Verdict::Wrong);
    }

    #[test]
    fn the_files_of_cloud_init_are_read() {
        let user = "#cloud-config\nhostname: attic\nmanage_etc_hosts: true\npackages:\n- avahi-daemon\napt:\n  conf: |\n    \
                    Acquire {\n      Check-Date \"false\";\n    };\nusers:\n- name: pi\n  passwd: $5$secret\n";
        assert_eq!(wishes("user-data", user), ["board.name=attic"]);
        let ignored: Vec<_> = read("user-data", user).notes.into_iter().map(|note| note.key).collect();
        assert_eq!(
            ignored,
            ["manage_etc_hosts", "packages", "apt", "users"].map(|key| format!("user-data: {key}"))
        );
        let wifis = format!(
            "wifis:\n    wlan0:\n      dhcp4: true\n      regulatory-domain: \"DE\"\n      access-points:\n        \
             \"it's \\\"mine\\\"\":\n          hidden: true\n          password: \"{PSK}\"\n      optional: true\n"
        );
        let inside = format!("network:\n  version: 2\n  {wifis}");
        let outside = format!("version: 2\n{wifis}");
        for text in [inside, outside] {
            let mut found = wishes("network-config", &text);
            found.sort();
            let mut expected = all().split_off(1);
            expected.sort();
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn the_script_is_read_and_never_run() {
        let text = format!(
            "#!/bin/sh\nset +e\nif [ -f /usr/lib/raspberrypi-sys-mods/imager_custom ]; then\n   \
             /usr/lib/raspberrypi-sys-mods/imager_custom set_hostname attic\nelse\n   echo attic >/etc/hostname\nfi\n   \
             /usr/lib/raspberrypi-sys-mods/imager_custom set_wlan  -h 'it'\"'\"'s \"mine\"' '{PSK}' 'DE'\nexit 0\n"
        );
        assert_eq!(wishes("firstrun.sh", &text), all());
        assert_eq!(read("firstrun.sh", &text).notes[0].verdict, Verdict::Ignored);
        assert!(wishes("firstrun.sh", "x/imager_custom set_wlan 'open").is_empty());
    }
}
