//! A web site on loopback, which exits reach as `www.local.test`.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Answers until the test ends.
pub(super) struct Site {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Site {
    pub(super) fn open() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let heads = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let heads = Arc::clone(&heads);
                std::thread::spawn(move || drop(serve(stream, &heads)));
            }
        });
        Ok(Self { port, asked })
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://www.local.test:{}{path}", self.port)
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// The head of the last request.
    pub(super) fn last(&self) -> String {
        self.asked.lock().unwrap().last().cloned().unwrap_or_default()
    }

    pub(super) fn count(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

fn serve(mut stream: TcpStream, heads: &Mutex<Vec<String>>) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    loop {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            if stream.read(&mut byte)? == 0 {
                return Ok(());
            }
            head.extend(byte);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        heads.lock().unwrap().push(head.clone());
        let body = body(&mut stream, &head.to_lowercase())?;
        let path = head.split(' ').nth(1).unwrap_or_default();
        let (status, more, body) = match path {
            "/check" => ("200 OK", "", br#"{"IsTor":true,"IP":"192.0.2.7"}"#.to_vec()),
            "/moved" => ("302 Found", "Location: /there\r\n", Vec::new()),
            "/echo" => ("200 OK", "", body),
            _ => ("200 OK", "Set-Cookie: a=b\r\n", format!("you asked for {path}").into_bytes()),
        };
        write!(stream, "HTTP/1.1 {status}\r\n{more}Content-Length: {}\r\n\r\n", body.len())?;
        stream.write_all(&body)?;
    }
}

fn body(stream: &mut TcpStream, head: &str) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    if head.contains("transfer-encoding: chunked") {
        loop {
            let size = usize::from_str_radix(line(stream)?.trim(), 16).map_err(io::Error::other)?;
            let start = body.len();
            body.resize(start + size, 0);
            stream.read_exact(&mut body[start..])?;
            line(stream)?;
            if size == 0 {
                return Ok(body);
            }
        }
    }
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    body.resize(length.unwrap_or(0), 0);
    stream.read_exact(&mut body)?;
    Ok(body)
}

fn line(stream: &mut TcpStream) -> io::Result<String> {
    let mut text = String::new();
    let mut byte = [0];
    while !text.ends_with('\n') {
        stream.read_exact(&mut byte)?;
        text.push(char::from(byte[0]));
    }
    Ok(text)
}
