//! What the world sees of us, as services tell.

use std::net::IpAddr;

use serde_json::Value;

use super::{HttpError, TorHttpClient};

/// What one service told.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Seen {
    /// Whether it knows the address as a Tor exit.
    pub(crate) is_tor: Option<bool>,
    /// The address.
    pub(crate) ip: Option<IpAddr>,
}

/// A service that answers, and tells nothing.
const NOTHING: HttpError =
    HttpError::Content("the check service told nothing of use; name another in check_urls");

/// Asks one service after the other until one tells what is wanted.
pub(crate) async fn ask<T>(client: &TorHttpClient, want: impl Fn(Seen) -> Option<T>) -> Result<T, HttpError> {
    let mut error = HttpError::Config("check_urls is empty; name a service that tells which address it sees");
    for url in &client.config().check_urls {
        match look(client, url).await.map(&want) {
            Ok(Some(wanted)) => return Ok(wanted),
            Ok(None) => error = NOTHING,
            Err(why) => error = why,
        }
    }
    Err(error)
}

async fn look(client: &TorHttpClient, url: &str) -> Result<Seen, HttpError> {
    let response = client.get(url).await?;
    if !response.status().is_success() {
        return Err(HttpError::Content("the check service answered with an error"));
    }
    Ok(read(&response.text().await?))
}

/// Reads any of the forms that such services use.
fn read(text: &str) -> Seen {
    match serde_json::from_str::<Value>(text) {
        Ok(Value::Object(fields)) => {
            let field = |names: &[&str]| {
                fields
                    .iter()
                    .find(|(name, _)| names.iter().any(|known| name.eq_ignore_ascii_case(known)))
                    .map(|it| it.1)
            };
            Seen {
                is_tor: field(&["IsTor"]).and_then(Value::as_bool),
                ip: field(&["IP", "exitIp", "origin"]).and_then(Value::as_str).and_then(|ip| ip.parse().ok()),
            }
        }
        _ => Seen { is_tor: None, ip: text.trim().trim_matches('"').parse().ok() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_understood_in_every_form() {
        let ip = Some(IpAddr::from([192, 0, 2, 9]));
        for (text, is_tor) in [
            (r#"{"IsTor":true,"IP":"192.0.2.9"}"#, Some(true)),
            (r#"{"isTor":false,"exitIp":"192.0.2.9","more":1}"#, Some(false)),
            (r#"{"ip":"192.0.2.9"}"#, None),
            (r#"{"origin": "192.0.2.9"}"#, None),
            ("192.0.2.9\n", None),
            ("\"192.0.2.9\"", None),
        ] {
            assert_eq!(read(text), Seen { is_tor, ip }, "{text}");
        }
        for text in ["", "{}", "<html>192.0.2.9</html>", r#"{"IsTor":"yes","IP":7}"#] {
            assert_eq!(read(text), Seen::default(), "{text}");
        }
    }
}
