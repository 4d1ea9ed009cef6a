//! Where a request goes.

use hyper::header::HeaderValue;
use url::Url;

use super::HttpError;

/// Scheme, host and port: what connections are pooled by.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Place {
    /// https.
    pub(crate) tls: bool,
    /// As it stands in a URL, an IPv6 address with brackets.
    pub(crate) host: String,
    /// Never 0.
    pub(crate) port: u16,
}

impl Place {
    /// Where `url` points, and what to ask for there.
    pub(crate) fn of(url: &Url) -> Result<Self, HttpError> {
        let tls = match url.scheme() {
            "http" => false,
            "https" => true,
            _ => return Err(HttpError::Request("only http:// and https:// can be requested; check the URL")),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(HttpError::Request(
                "put the password into an Authorization header instead of the URL",
            ));
        }
        match (url.host_str(), url.port_or_known_default()) {
            (Some(host), Some(port)) if !host.is_empty() && port != 0 => {
                Ok(Self { tls, host: host.trim_end_matches('.').to_owned(), port })
            }
            _ => Err(HttpError::Request("the URL names no host, or port 0; check it")),
        }
    }

    /// The value of `Host` (RFC 9112 section 3.2): the port only where it is not the usual one.
    pub(crate) fn authority(&self) -> Result<HeaderValue, HttpError> {
        let usual = if self.tls { 443 } else { 80 };
        let text =
            if self.port == usual { self.host.clone() } else { format!("{}:{}", self.host, self.port) };
        HeaderValue::try_from(text).map_err(|_| HttpError::Request("the URL's host cannot be sent; check it"))
    }
}

/// Path and query as they are sent; never the fragment.
pub(crate) fn target(url: &Url) -> &str {
    &url[url::Position::BeforePath..url::Position::AfterQuery]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(url: &str) -> Result<Place, HttpError> {
        Place::of(&Url::parse(url).unwrap())
    }

    #[test]
    fn the_port_is_named_where_it_is_not_the_usual_one() {
        for (url, authority) in [
            ("http://a.test/x", "a.test"),
            ("https://a.test./", "a.test"),
            ("https://a.test:80", "a.test:80"),
            ("http://[::1]:8080/", "[::1]:8080"),
        ] {
            assert_eq!(place(url).unwrap().authority().unwrap(), authority);
        }
        assert_eq!(target(&Url::parse("http://a.test/b?c=d#e").unwrap()), "/b?c=d");
        assert_eq!(target(&Url::parse("http://a.test").unwrap()), "/");
    }

    #[test]
    fn what_cannot_be_requested_is_refused() {
        for url in ["ftp://a.test/", "http://a:b@a.test/", "file:///etc/passwd", "http://a.test:0/"] {
            assert!(place(url).is_err(), "{url}");
        }
    }
}
