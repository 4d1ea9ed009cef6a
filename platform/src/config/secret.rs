//! Which keys of a configuration hold what nobody else may read.

/// Parts of their names.
const WORDS: [&str; 5] = ["pass", "secret", "token", "key", "bridge"];

/// Whether what this key holds must not be shown or repeated. Of a way such as `metrics.token`, any part may say so.
pub(crate) fn is_secret(key: &str) -> bool {
    let key = key.to_lowercase();
    WORDS.iter().any(|word| key.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_told_by_their_names() {
        for key in [
            "wifi.password",
            "keep.passphrase_file",
            "metrics.token",
            "net.tor.bridges",
            "publish.key_file",
            "client_secret",
            "Wifi.PassWord",
        ] {
            assert!(is_secret(key), "{key}");
        }
        for key in ["wifi.ssid", "board.name", "memory", "swarm.lanes_max", "page.listen"] {
            assert!(!is_secret(key), "{key}");
        }
    }
}
