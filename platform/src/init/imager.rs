//! The settings that Raspberry Pi Imager writes onto the boot partition, understood for name and Wi-Fi. Nothing in them is ever run.
//!
//! `custom.toml` (Raspberry Pi OS, `init_config` of `raspberrypi-sys-mods`), `user-data` and `network-config` (cloud-init, `NoCloud`;
//! netplan, version 2), and `firstrun.sh` (Imager's own script, its calls of `imager_custom`).

mod netplan;
mod outline;
mod words;

use toml::{Table, Value};

use crate::status::board::{Note, Verdict};

/// Why most of it means nothing here.
const NO_USERS: &str = "a board has no users, no SSH and no packages; its page is its only door";
const NEVER_RUN: &str =
    "nothing in this script is run; only its calls of imager_custom set_hostname and set_wlan are read";

/// What one file says, in the words of `bulbil.toml`: section, key, value. And what became of each of its own keys.
#[derive(Debug)]
pub(super) struct Said {
    file: &'static str,
    pub(super) wishes: Vec<Wish>,
    pub(super) notes: Vec<Note>,
}

/// One wish.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Wish {
    pub(super) file: &'static str,
    /// The file's own key for it: `hostname`.
    pub(super) from: String,
    pub(super) section: &'static str,
    pub(super) key: &'static str,
    pub(super) value: Value,
}

/// Reads one of the files. The name of a network stands before its password in what comes of it, and both are of one network.
pub(super) fn read(file: &'static str, text: &str) -> Said {
    let mut said = Said { file, wishes: Vec::new(), notes: Vec::new() };
    match file {
        "custom.toml" => custom(text, &mut said),
        "user-data" => user_data(text, &mut said),
        "network-config" => netplan::read(text, &mut said),
        "firstrun.sh" => script(text, &mut said),
        _ => {}
    }
    said.wishes.sort_by_key(|wish| match wish.key {
        "ssid" => 0,
        "password" => 1,
        _ => 2,
    });
    said
}

impl Said {
    fn wish(&mut self, from: &str, section: &'static str, key: &'static str, value: Value) {
        // What was left empty is no wish.
        if value.as_str() != Some("") {
            self.wishes.push(Wish { file: self.file, from: from.to_owned(), section, key, value });
        }
    }

    /// What became of a key; of the whole file, if it is empty. The first word counts.
    fn note(&mut self, key: &str, verdict: Verdict, why: &str) {
        if !self.notes.iter().any(|note| note.key == key) {
            let (file, key, why) = (self.file.to_owned(), key.to_owned(), why.to_owned());
            self.notes.push(Note { file, key, verdict, why });
        }
    }
}

fn custom(text: &str, said: &mut Said) {
    let Ok(whole) = toml::from_str::<Table>(text) else {
        return said.note("", Verdict::Wrong, "is not TOML; write the card again, or use bulbil.toml");
    };
    for (section, value) in whole {
        let Value::Table(keys) = value else {
            if section != "config_version" {
                said.note(&section, Verdict::Ignored, NO_USERS);
            }
            continue;
        };
        for (key, value) in keys {
            let from = format!("{section}.{key}");
            match (section.as_str(), key.as_str()) {
                ("system", "hostname") => said.wish(&from, "board", "name", value),
                ("wlan", "ssid") => said.wish(&from, "wifi", "ssid", value),
                ("wlan", "password") => said.wish(&from, "wifi", "password", value),
                ("wlan", "country") => said.wish(&from, "wifi", "country", value),
                // Both kinds of passwords tell themselves apart, and a hidden network is asked for by name anyway.
                ("wlan", "password_encrypted" | "hidden") => {
                    said.note(&from, Verdict::Understood, "");
                }
                _ => said.note(&from, Verdict::Ignored, NO_USERS),
            }
        }
    }
}

fn user_data(text: &str, said: &mut Said) {
    // A line that is not understood is part of something that means nothing here.
    for outline::Entry { path, value, .. } in
        outline::read(text).into_iter().filter(|entry| entry.unread.is_none())
    {
        match path.as_slice() {
            [key] if key == "hostname" => said.wish(key, "board", "name", value.into()),
            [key, ..] => said.note(key, Verdict::Ignored, NO_USERS),
            [] => {}
        }
    }
}

fn script(text: &str, said: &mut Said) {
    for line in text.lines() {
        let Some((_, call)) = line.split_once("/imager_custom ") else { continue };
        let words = words::split(call).unwrap_or_default();
        let words: Vec<&str> = words.iter().map(String::as_str).filter(|word| *word != "-h").collect();
        match words.as_slice() {
            ["set_hostname", name] => said.wish("set_hostname", "board", "name", (*name).into()),
            ["set_wlan", ssid, rest @ ..] => {
                said.wish("set_wlan ssid", "wifi", "ssid", (*ssid).into());
                for (key, value) in ["password", "country"].into_iter().zip(rest) {
                    said.wish(&format!("set_wlan {key}"), "wifi", key, (*value).into());
                }
            }
            _ => {}
        }
    }
    said.note("", Verdict::Ignored, NEVER_RUN);
}

#[cfg(test)]
mod tests {
    use super::*;

    const PSK: &str = "9283ed0cbecd3e3a7a76ee5c6ac6a3ee7a2a2f1ab0b1c8dcf6b5ea3ba64d3a33";

    /// Section, key and text of each wish.
    fn wishes(file: &'static str, text: &str) -> Vec<String> {
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
        let found = wishes("custom.toml", &text);
        let [name, ssid, password, country] = all().try_into().unwrap();
        assert_eq!(found, [ssid, password, name, country]);
        let said = read("custom.toml", &text);
        let ignored = said.notes.iter().filter(|note| note.verdict == Verdict::Ignored);
        let ignored: Vec<_> = ignored.map(|note| note.key.as_str()).collect();
        assert!(ignored.contains(&"user.password") && ignored.contains(&"ssh.enabled"));
        assert!(said.notes.iter().all(|note| !note.why.contains("secret")));
        assert_eq!(read("custom.toml", "x =").notes[0].verdict, Verdict::Wrong);
    }

    #[test]
    fn the_files_of_cloud_init_are_read() {
        let user = "#cloud-config\nhostname: attic\nmanage_etc_hosts: true\npackages:\n- avahi-daemon\napt:\n  conf: |\n    \
                    Acquire {\n      Check-Date \"false\";\n    };\nusers:\n- name: pi\n  passwd: $5$secret\n";
        assert_eq!(wishes("user-data", user), ["board.name=attic"]);
        let ignored: Vec<_> = read("user-data", user).notes.into_iter().map(|note| note.key).collect();
        assert_eq!(ignored, ["manage_etc_hosts", "packages", "apt", "users"]);
        let wifis = format!(
            "wifis:\n    wlan0:\n      dhcp4: true\n      regulatory-domain: \"DE\"\n      access-points:\n        \
             \"it's \\\"mine\\\"\":\n          hidden: true\n          password: \"{PSK}\"\n      optional: true\n"
        );
        let inside = format!("network:\n  version: 2\n  {wifis}");
        let outside = format!("version: 2\n{wifis}");
        for text in [inside, outside] {
            assert_eq!(wishes("network-config", &text), all().split_off(1));
        }
    }

    #[test]
    fn the_script_is_read_and_never_run() {
        let text = format!(
            "#!/bin/sh\nset +e\nif [ -f /usr/lib/raspberrypi-sys-mods/imager_custom ]; then\n   \
             /usr/lib/raspberrypi-sys-mods/imager_custom set_hostname attic\nelse\n   echo attic >/etc/hostname\nfi\n   \
             /usr/lib/raspberrypi-sys-mods/imager_custom set_wlan  -h 'it'\"'\"'s \"mine\"' '{PSK}' 'DE'\nexit 0\n"
        );
        let [name, ssid, password, country] = all().try_into().unwrap();
        assert_eq!(wishes("firstrun.sh", &text), [ssid, password, name, country]);
        assert_eq!(read("firstrun.sh", &text).notes[0].verdict, Verdict::Ignored);
        assert!(wishes("firstrun.sh", "x/imager_custom set_wlan 'open").is_empty());
    }
}
