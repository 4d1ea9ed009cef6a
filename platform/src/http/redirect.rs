//! Where an answer sends us, and what may come along (RFC 9110 section 15.4).

use hyper::header::{self, HeaderMap};
use hyper::{Method, StatusCode};
use url::Url;

use super::HttpError;

/// The next request of a chain.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Next {
    pub(super) url: Url,
    pub(super) method: Method,
    /// To another place, which must not learn what was meant for the first.
    pub(super) far: bool,
}

/// What to ask next, or `None` when this is the answer.
pub(super) fn next(
    method: &Method,
    from: &Url,
    status: StatusCode,
    headers: &HeaderMap,
) -> Result<Option<Next>, HttpError> {
    let method = match status {
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND if *method == Method::POST => Method::GET,
        StatusCode::SEE_OTHER if *method != Method::HEAD => Method::GET,
        StatusCode::MOVED_PERMANENTLY
        | StatusCode::FOUND
        | StatusCode::SEE_OTHER
        | StatusCode::TEMPORARY_REDIRECT
        | StatusCode::PERMANENT_REDIRECT => method.clone(),
        _ => return Ok(None),
    };
    let Some(location) = headers.get(header::LOCATION) else { return Ok(None) };
    let location = location.to_str().map_err(|_| HttpError::Redirect)?;
    let url = from.join(location).map_err(|_| HttpError::Redirect)?;
    if from.scheme() == "https" && url.scheme() != "https" {
        return Err(HttpError::Redirect); // whoever runs the exit would read on
    }
    let far = url.origin() != from.origin();
    Ok(Some(Next { url, method, far }))
}

/// What only the first place may know.
pub(super) fn forget_secrets(headers: &mut HeaderMap) {
    for name in [header::AUTHORIZATION, header::COOKIE, header::PROXY_AUTHORIZATION] {
        headers.remove(name);
    }
}

/// What described a body that is not sent again.
pub(super) fn forget_body(headers: &mut HeaderMap) {
    for name in [
        header::CONTENT_TYPE,
        header::CONTENT_LENGTH,
        header::CONTENT_ENCODING,
        header::CONTENT_LANGUAGE,
        header::TRANSFER_ENCODING,
    ] {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(method: &Method, from: &str, status: u16, location: &str) -> Result<Option<Next>, HttpError> {
        let headers = HeaderMap::from_iter([(header::LOCATION, location.parse().unwrap())]);
        next(method, &Url::parse(from).unwrap(), StatusCode::from_u16(status).unwrap(), &headers)
    }

    #[test]
    fn methods_change_as_the_standard_says() {
        for (before, status, after) in [
            (Method::POST, 301, Method::GET),
            (Method::POST, 302, Method::GET),
            (Method::PUT, 302, Method::PUT),
            (Method::PUT, 303, Method::GET),
            (Method::HEAD, 303, Method::HEAD),
            (Method::POST, 307, Method::POST),
            (Method::POST, 308, Method::POST),
        ] {
            let next = to(&before, "http://a.test/b", status, "/c").unwrap().unwrap();
            assert_eq!((next.method, next.url.as_str(), next.far), (after, "http://a.test/c", false));
        }
        assert_eq!(to(&Method::GET, "http://a.test", 304, "/c").unwrap(), None);
    }

    #[test]
    fn other_places_are_far_and_plain_ones_are_refused() {
        assert!(to(&Method::GET, "http://a.test", 302, "//b.test").unwrap().unwrap().far);
        assert!(to(&Method::GET, "http://a.test", 302, "http://a.test:81").unwrap().unwrap().far);
        assert!(!to(&Method::GET, "http://a.test", 302, "http://a.test:80/x").unwrap().unwrap().far);
        assert!(to(&Method::GET, "https://a.test", 302, "http://a.test").is_err());
    }
}
