//! Wi-Fi: the network that the owner names, where the chip does the secret talk with it by itself.

mod join;
mod key;
mod message;

use std::fmt;

use serde::Deserialize;

pub(super) use join::{is_wireless, run};

/// What a password is (IEEE 802.11-2020, annex J.4.1).
pub(super) const PASSWORD: &str =
    "a Wi-Fi password has 8 to 63 letters of ASCII, or is a key of 64 hexadecimal digits";

/// Bytes of a network's name at most (section 9.4.2.2).
const MAX_SSID: usize = 32;

/// The section `[wifi]`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub(super) struct WifiSettings {
    /// The network's name.
    pub(super) ssid: Option<Ssid>,
    /// Its password.
    pub(super) password: Option<Password>,
    /// Where the board stands: two letters (ISO 3166-1), for what may be sent there.
    pub(super) country: Option<Country>,
}

/// A network's name.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(try_from = "String")]
pub(super) struct Ssid(pub(super) String);

/// A password, or the key that is made of it.
#[derive(Clone, Deserialize, Eq, PartialEq)]
#[serde(try_from = "String")]
pub(super) enum Password {
    Words(String),
    Key([u8; 32]),
}

/// Two letters.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(try_from = "String")]
pub(super) struct Country(pub(super) [u8; 2]);

impl WifiSettings {
    /// Whether there is a network to join.
    #[cfg(test)]
    pub(super) const fn is_complete(&self) -> bool {
        self.ssid.is_some() && self.password.is_some()
    }

    /// What is missing, and what to do: the key and the words.
    pub(super) const fn fault(&self) -> Option<(&'static str, &'static str)> {
        match (&self.ssid, &self.password) {
            (Some(_), None) => {
                Some(("wifi.password", "is missing; networks without a password are not joined"))
            }
            (None, Some(_)) => {
                Some(("wifi.ssid", "is missing: the name of the network that the password is for"))
            }
            _ => None,
        }
    }
}

impl TryFrom<String> for Ssid {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let fits = (1..=MAX_SSID).contains(&text.len());
        if fits { Ok(Self(text)) } else { Err("the name of a Wi-Fi network has 1 to 32 bytes") }
    }
}

impl TryFrom<String> for Password {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let printable = text.bytes().all(|byte| (32..=126).contains(&byte));
        match text.len() {
            8..=63 if printable => Ok(Self::Words(text)),
            64 => {
                let bytes =
                    data_encoding::HEXLOWER_PERMISSIVE.decode(text.as_bytes()).map_err(|_| PASSWORD)?;
                bytes.try_into().map(Self::Key).map_err(|_| PASSWORD)
            }
            _ => Err(PASSWORD),
        }
    }
}

impl TryFrom<String> for Country {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let letters: Option<[u8; 2]> = text.to_ascii_uppercase().into_bytes().try_into().ok();
        let letters = letters.filter(|letters| letters.iter().all(u8::is_ascii_uppercase));
        letters.map(Self).ok_or("a country is two letters, such as \"DE\"")
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_passwords_and_countries_are_checked() {
        let password = |text: &str| Password::try_from(text.to_owned());
        assert_eq!(password("12345678"), Ok(Password::Words("12345678".to_owned())));
        assert_eq!(password(&"Ab".repeat(32)), Ok(Password::Key([0xab; 32])));
        for text in ["", "1234567", &"x".repeat(64), &"x".repeat(65), "pässwort"] {
            assert_eq!(password(text), Err(PASSWORD), "{text:?}");
        }
        assert!(Ssid::try_from("x".repeat(33)).is_err() && Ssid::try_from(String::new()).is_err());
        assert_eq!(Country::try_from("de".to_owned()), Ok(Country(*b"DE")));
        assert!(
            ["", "D", "DEU", "1E", "ß"].into_iter().all(|text| Country::try_from(text.to_owned()).is_err())
        );
        assert!(!format!("{:?}", password("12345678")).contains('1'));
    }

    #[test]
    fn what_is_missing_is_named() {
        let read = |text: &str| toml::from_str::<WifiSettings>(text).unwrap();
        assert_eq!(read("").fault(), None);
        assert_eq!(read("ssid = \"a\"").fault().unwrap().0, "wifi.password");
        assert_eq!(read("password = \"12345678\"").fault().unwrap().0, "wifi.ssid");
        assert_eq!(read("ssid = \"a\"\npassword = \"12345678\"\ncountry = \"DE\"").fault(), None);
    }
}
