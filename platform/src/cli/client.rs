//! Talks to the control socket of a running node.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::Failure;

/// Bytes of an answer at most: a status of thousands of shares.
const ANSWER: usize = 64 * 1024 * 1024;

/// Longest wait until the node takes the connection. What it is asked may take longer: hashing takes as long as it takes.
const CONNECT: Duration = Duration::from_secs(10);

/// Bytes of one line of the event stream at most.
const LINE: usize = 1024 * 1024;

/// The way to one node.
#[derive(Debug)]
pub(super) struct Client {
    socket: PathBuf,
}

/// The lines of an event stream.
#[derive(Debug)]
pub(super) struct Lines {
    body: Incoming,
    buffer: Vec<u8>,
}

impl Client {
    pub(super) const fn new(socket: PathBuf) -> Self {
        Self { socket }
    }

    /// Whether anybody answers at the socket. Fails where that cannot be known.
    pub(super) async fn is_answered(&self) -> Result<bool, Failure> {
        let tried = timeout(CONNECT, UnixStream::connect(&self.socket)).await.map_err(|_| strange())?;
        match tried {
            Ok(_) => Ok(true),
            Err(error) if is_nobody(&error) => Ok(false),
            Err(error) => Err(self.unreachable(&error)),
        }
    }

    /// What is at this path.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        let answer = self.ask(Method::GET, path, Bytes::new()).await?;
        serde_json::from_slice(&answer).map_err(|_| strange())
    }

    /// Sends a value, gives the answer's bytes.
    pub(super) async fn post(&self, path: &str, value: &impl Serialize) -> Result<Bytes, Failure> {
        let body = serde_json::to_vec(value).map_err(Failure::failed)?;
        self.ask(Method::POST, path, body.into()).await
    }

    pub(super) async fn delete(&self, path: &str) -> Result<(), Failure> {
        self.delete_with(path).await.map(drop)
    }

    /// The same where the answer has something to say.
    pub(super) async fn delete_with(&self, path: &str) -> Result<Bytes, Failure> {
        self.ask(Method::DELETE, path, Bytes::new()).await
    }

    /// Everything that happens from now on.
    pub(super) async fn events(&self) -> Result<Lines, Failure> {
        let answer = self.send(Method::GET, "/events", Bytes::new()).await?;
        Ok(Lines { body: answer.into_body(), buffer: Vec::new() })
    }

    /// Sends a value; the answer comes line by line.
    pub(super) async fn lines(&self, path: &str, value: &impl Serialize) -> Result<Lines, Failure> {
        let body = serde_json::to_vec(value).map_err(Failure::failed)?;
        let answer = self.send(Method::POST, path, body.into()).await?;
        if answer.status().is_success() {
            return Ok(Lines { body: answer.into_body(), buffer: Vec::new() });
        }
        let body = Limited::new(answer.into_body(), ANSWER).collect().await.map_err(|_| gone())?;
        Err(Failure::Failed(reason(&body.to_bytes())))
    }

    async fn ask(&self, method: Method, path: &str, body: Bytes) -> Result<Bytes, Failure> {
        let answer = self.send(method, path, body).await?;
        let good = answer.status().is_success();
        let body = Limited::new(answer.into_body(), ANSWER).collect().await.map_err(|_| gone())?.to_bytes();
        if good { Ok(body) } else { Err(Failure::Failed(reason(&body))) }
    }

    async fn send(&self, method: Method, path: &str, body: Bytes) -> Result<Response<Incoming>, Failure> {
        let stream = timeout(CONNECT, UnixStream::connect(&self.socket)).await.map_err(|_| strange())?;
        let stream = stream.map_err(|error| self.unreachable(&error))?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|_| gone())?;
        tokio::spawn(connection);
        let request = Request::builder().method(method).uri(path).header(hyper::header::HOST, "bulbil");
        let request =
            request.body(Full::new(body)).map_err(|_| Failure::Usage("not a valid name".to_owned()))?;
        sender.send_request(request).await.map_err(|_| gone())
    }

    fn unreachable(&self, error: &io::Error) -> Failure {
        let socket = self.socket.display();
        Failure::Failed(match error.kind() {
            _ if is_nobody(error) => format!("no node is running at {socket}; start one with `bulbil run`"),
            io::ErrorKind::PermissionDenied => {
                format!("the node at {socket} belongs to another user; run this as that user")
            }
            _ => format!("cannot reach the node at {socket}: {error}"),
        })
    }
}

impl Lines {
    /// The next line, or `None` once the node has gone.
    pub(super) async fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, Failure> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return serde_json::from_slice(&line).map(Some).map_err(|_| strange());
            }
            if self.buffer.len() > LINE {
                return Err(strange());
            }
            match self.body.frame().await {
                Some(Ok(frame)) => self.buffer.extend(frame.into_data().unwrap_or_default()),
                Some(Err(_)) | None => return Ok(None),
            }
        }
    }
}

/// Whether there is no socket, or one that a node left behind that was killed.
fn is_nobody(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
}

/// The error text of an answer.
fn reason(body: &[u8]) -> String {
    let value: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let text = value.as_ref().and_then(|value| value.get("error")).and_then(|error| error.as_str());
    text.unwrap_or("the node refused and did not say why; look at its log").to_owned()
}

fn gone() -> Failure {
    Failure::Failed("the node went away before it answered; look at its log, and start it again".to_owned())
}

fn strange() -> Failure {
    Failure::Failed(
        "what answers there is no node of this version; check --socket, or restart the node".to_owned(),
    )
}
