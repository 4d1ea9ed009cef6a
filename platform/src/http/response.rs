//! What a service answered.

use http_body_util::BodyExt;
use hyper::body::Bytes;
use hyper::header::HeaderMap;
use hyper::http::response::Parts;
use hyper::{StatusCode, Version};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout_at};

use super::HttpError;
use super::pool::Answer;

/// The head of an answer, and the way to its body.
#[derive(Debug)]
pub struct Response {
    head: Parts,
    body: Answer,
    deadline: Instant,
    max_body: usize,
}

impl Response {
    pub(super) fn new(response: hyper::Response<Answer>, deadline: Instant, max_body: usize) -> Self {
        let (head, body) = response.into_parts();
        Self { head, body, deadline, max_body }
    }

    /// Its status.
    pub const fn status(&self) -> StatusCode {
        self.head.status
    }

    /// Its headers.
    pub const fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }

    /// The version of HTTP that was spoken.
    pub const fn version(&self) -> Version {
        self.head.version
    }

    /// The next piece of the body, or `None` at its end. Of any length altogether.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, HttpError> {
        loop {
            let frame = timeout_at(self.deadline, self.body.frame()).await.map_err(|_| HttpError::Timeout)?;
            match frame {
                None => return Ok(None),
                Some(Err(error)) => return Err(HttpError::Broken(Some(error.into()))),
                // Trailers are of no use to anybody here.
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }

    /// The whole body, at most `max_body` bytes.
    pub async fn bytes(mut self) -> Result<Vec<u8>, HttpError> {
        let mut whole = Vec::new();
        while let Some(piece) = self.chunk().await? {
            if whole.len().saturating_add(piece.len()) > self.max_body {
                return Err(HttpError::TooLarge);
            }
            whole.extend_from_slice(&piece);
        }
        Ok(whole)
    }

    /// The whole body as text; what is no UTF-8 becomes U+FFFD.
    pub async fn text(self) -> Result<String, HttpError> {
        let bytes = self.bytes().await?;
        Ok(String::from_utf8(bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
    }

    /// The whole body as JSON.
    pub async fn json<T: DeserializeOwned>(self) -> Result<T, HttpError> {
        let bytes = self.bytes().await?;
        serde_json::from_slice(&bytes).map_err(|_| HttpError::Content("no JSON, or of another shape"))
    }
}
