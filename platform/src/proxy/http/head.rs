//! The head of a request, looked at before any parser may guess what it means.
//!
//! Two programs that read one request differently can be made to see two requests (request smuggling). So a head that RFC 9112
//! lets a server refuse is refused: folded lines, bare line ends, blanks before a colon, two lengths, a length
//! beside a transfer coding, any coding but `chunked`, two hosts. One connection carries one request.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::progress::Progress;

/// Bytes of a head at most.
pub(super) const MAX_HEAD: usize = 16 * 1024;

/// Header lines of a head at most.
const MAX_LINES: usize = 100;

/// What is wrong with a head.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Flaw {
    /// 400.
    Malformed,
    /// 431.
    TooLong,
}

/// Reads up to the end of the head. `None`: the client went away, or said nothing.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Result<Vec<u8>, Flaw>>> {
    let mut bytes = Vec::with_capacity(2048);
    loop {
        let seen = bytes.len();
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
        let from = seen.saturating_sub(3);
        let end = bytes.get(from..).and_then(|fresh| fresh.windows(4).position(|four| four == b"\r\n\r\n"));
        match end.map(|at| from.saturating_add(at).saturating_add(2)) {
            Some(end) if end <= MAX_HEAD => {
                let flaw = bytes.get(..end).and_then(|head| screen(head).err());
                return Ok(Some(flaw.map_or(Ok(bytes), Err)));
            }
            Some(_) => return Ok(Some(Err(Flaw::TooLong))),
            None if bytes.len() > MAX_HEAD => return Ok(Some(Err(Flaw::TooLong))),
            // No head of ours begins like this; whoever talks TLS or noise need not be listened to for long.
            None if !bytes.first().is_some_and(u8::is_ascii_uppercase) => {
                return Ok(Some(Err(Flaw::Malformed)));
            }
            None => {}
        }
    }
}

/// Looks at a head, each of whose lines ends in CR LF.
fn screen(head: &[u8]) -> Result<(), Flaw> {
    let head = head.strip_suffix(b"\n").ok_or(Flaw::Malformed)?;
    // An empty line that is none to us may be the end of the head to others.
    let mut lines = head.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r"));
    let start = lines.next().flatten().ok_or(Flaw::Malformed)?;
    start_line(start)?;
    let (mut hosts, mut lengths, mut codings, mut count) = (0_u32, 0_u32, 0_u32, 0_usize);
    for line in lines {
        let line = line.ok_or(Flaw::Malformed)?;
        count = count.saturating_add(1);
        if count > MAX_LINES {
            return Err(Flaw::TooLong);
        }
        let (name, value) = field(line)?;
        if name.eq_ignore_ascii_case(b"host") {
            hosts = hosts.saturating_add(1);
        } else if name.eq_ignore_ascii_case(b"content-length") {
            lengths = lengths.saturating_add(1);
            if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
                return Err(Flaw::Malformed);
            }
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            codings = codings.saturating_add(1);
            if !value.eq_ignore_ascii_case(b"chunked") {
                return Err(Flaw::Malformed);
            }
        }
    }
    let old = start.ends_with(b"HTTP/1.0");
    let hosts_fit = hosts == 1 || (old && hosts == 0);
    let lengths_fit = lengths.saturating_add(codings) <= 1 && !(old && codings > 0);
    if hosts_fit && lengths_fit { Ok(()) } else { Err(Flaw::Malformed) }
}

/// Method, target and version, one blank between each.
fn start_line(line: &[u8]) -> Result<(), Flaw> {
    let mut words = line.split(|byte| *byte == b' ');
    let (method, target, version) = (words.next(), words.next(), words.next());
    let good = method.is_some_and(|word| !word.is_empty() && word.iter().all(u8::is_ascii_uppercase))
        && target.is_some_and(|word| !word.is_empty() && word.iter().all(u8::is_ascii_graphic))
        && matches!(version, Some(b"HTTP/1.1" | b"HTTP/1.0"))
        && words.next().is_none();
    if good { Ok(()) } else { Err(Flaw::Malformed) }
}

/// Name and value of a header line (RFC 9112 section 5).
fn field(line: &[u8]) -> Result<(&[u8], &[u8]), Flaw> {
    let colon = line.iter().position(|byte| *byte == b':').ok_or(Flaw::Malformed)?;
    let (name, rest) = line.split_at(colon);
    let value = rest.get(1..).unwrap_or_default();
    let token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    let text = |byte: &u8| *byte == b'\t' || (*byte >= 0x20 && *byte != 0x7f);
    if !name.is_empty() && name.iter().all(token) && value.iter().all(text) {
        Ok((name, value.trim_ascii()))
    } else {
        Err(Flaw::Malformed)
    }
}

/// A stream from which something was read already.
#[derive(Debug)]
pub(super) struct Unread<S> {
    bytes: io::Cursor<Vec<u8>>,
    stream: S,
    progress: Arc<Progress>,
}

impl<S> Unread<S> {
    pub(super) fn new(bytes: Vec<u8>, stream: S) -> Self {
        Self { bytes: io::Cursor::new(bytes), stream, progress: Arc::default() }
    }

    /// Tells, now and later, when bytes last came or went.
    pub(super) fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Unread<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let _ = Pin::new(&mut self.bytes).poll_read(cx, buf); // always ready
        if buf.filled().len() > before {
            return Poll::Ready(Ok(()));
        }
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if read.is_ready() {
            self.progress.set(Instant::now(), false);
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Unread<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        if written.is_ready() {
            self.progress.set(Instant::now(), false);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read_all(mut bytes: &[u8]) -> Option<Result<Vec<u8>, Flaw>> {
        read(&mut bytes).await.unwrap()
    }

    #[tokio::test]
    async fn plain_heads_pass_whole_with_what_follows() {
        for text in [
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "POST /x?y HTTP/1.1\r\nhost:a\r\nContent-Length: 3\r\n\r\nabc",
            "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n\x16\x03",
            "GET / HTTP/1.0\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nX: \t v\u{e4}lue \r\n\r\n",
        ] {
            assert_eq!(read_all(text.as_bytes()).await, Some(Ok(text.into())), "{text:?}");
        }
    }

    #[tokio::test]
    async fn what_two_programs_may_read_differently_is_refused() {
        for lines in [
            "Host: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked",
            "Host: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3",
            "Host: a\r\nContent-Length: 3\r\nContent-Length: 3",
            "Host: a\r\nContent-Length: 3\r\nContent-Length: 4",
            "Host: a\r\nContent-Length: 3, 3",
            "Host: a\r\nContent-Length: +3",
            "Host: a\r\nContent-Length: -1",
            "Host: a\r\nContent-Length: 0x3",
            "Host: a\r\nContent-Length:",
            "Host: a\r\nTransfer-Encoding: gzip, chunked",
            "Host: a\r\nTransfer-Encoding: identity",
            "Host: a\r\nTransfer-Encoding: xchunked",
            "Host: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            "Host: a\r\nTransfer-Encoding:\u{b}chunked",
            "Host: a\r\nTransfer-Encoding : chunked",
            "Host: a\r\n Transfer-Encoding: chunked",
            "Host: a\r\nX: y\r\n folded",
            "Host: a\r\nX: y\r\n\tfolded",
            "Host: a\r\nX: y\nContent-Length: 3",
            "Host: a\r\nX: y\rContent-Length: 3",
            "Host: a\r\n\nContent-Length: 3\r\nTransfer-Encoding: chunked",
            "Host: a\r\nX: y\n\nContent-Length: 3",
            "Host: a\r\r\nX: y",
            "Host: a\r\nTransfer-Encoding: chunked\u{c}",
            "Host: a\r\nX: y\0",
            "Host: a\r\nHost: b",
            "X: y",
            "Host: a\r\nno colon",
            "Host: a\r\n: empty",
            "Host: a\r\nX\u{e4}: y",
        ] {
            let text = format!("POST / HTTP/1.1\r\n{lines}\r\n\r\n0\r\n\r\n");
            assert_eq!(read_all(text.as_bytes()).await, Some(Err(Flaw::Malformed)), "{lines:?}");
        }
        for start in [
            "GET  / HTTP/1.1",
            "GET / HTTP/1.1 ",
            "GET /a b HTTP/1.1",
            "get / HTTP/1.1",
            "GET /\u{e4} HTTP/1.1",
            "GET / HTTP/2.0",
            "GET /",
            " GET / HTTP/1.1",
            "GET\t/ HTTP/1.1",
            "PRI * HTTP/2.0",
            "\u{16}\u{3}\u{1}",
            "GET / HTTP/1.1\rHost: b",
        ] {
            let text = format!("{start}\r\nHost: a\r\n\r\n");
            assert_eq!(read_all(text.as_bytes()).await, Some(Err(Flaw::Malformed)), "{start:?}");
        }
        let old = "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(read_all(old.as_bytes()).await, Some(Err(Flaw::Malformed)));
    }

    /// What an accepted head may hold, read as another program would that knows no more than lines and colons.
    fn is_plain(head: &[u8]) -> bool {
        let text = String::from_utf8_lossy(head).replace("\r\n", "\u{1}");
        let starts =
            |word: &str| text.split('\u{1}').filter(|line| line.to_lowercase().starts_with(word)).count();
        !text.contains(['\r', '\n', '\0'])
            && !text.split('\u{1}').any(|line| line.starts_with([' ', '\t']))
            && starts("content-length") + starts("transfer-encoding") <= 1
            && starts("host:") <= 1
            && starts("content-length ") + starts("transfer-encoding ") == 0
    }

    #[tokio::test]
    async fn mangled_heads_are_refused_or_plain_however_they_are_cut() {
        let good = [
            &b"POST /x?y HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nX: y\r\n\r\n"[..],
            b"PUT / HTTP/1.1\r\nX: y\r\nTransfer-Encoding: chunked\r\nhost:a\r\n\r\n",
        ];
        let pieces: [&[u8]; 10] = [
            b"\r\n",
            b"\n",
            b"\r",
            b" ",
            b":",
            b"\r\n\t",
            b"Content-Length: 3\r\n",
            b"Transfer-Encoding: chunked\r\n",
            b"Host: b\r\n",
            b"\0",
        ];
        let (mut mangler, mut accepted) = (crate::mangle::Mangler::new(2), 0);
        for turn in 0..20_000 {
            let bytes = mangler.mangle(good[turn % 2], &pieces);
            let whole = read_all(&bytes).await;
            let (first, second) = bytes.split_at(mangler.below(bytes.len() + 1));
            let cut = if first.is_empty() {
                read_all(second).await
            } else {
                read(&mut AsyncReadExt::chain(first, second)).await.unwrap()
            };
            let verdict =
                |read: &Option<Result<Vec<u8>, Flaw>>| read.as_ref().map(|read| read.as_ref().err().copied());
            assert_eq!(verdict(&whole), verdict(&cut), "{:?}", String::from_utf8_lossy(&bytes));
            if let Some(Ok(whole)) = whole {
                let end = whole.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
                assert!(is_plain(&whole[..end]), "{:?}", String::from_utf8_lossy(&whole));
                accepted += 1;
            }
        }
        assert!((200..15_000).contains(&accepted), "some are still good, and some are not: {accepted}");
    }

    #[tokio::test]
    async fn heads_are_limited() {
        let long = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "y".repeat(MAX_HEAD));
        assert_eq!(read_all(long.as_bytes()).await, Some(Err(Flaw::TooLong)));
        let many = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(MAX_LINES));
        assert_eq!(read_all(many.as_bytes()).await, Some(Err(Flaw::TooLong)));
        assert_eq!(read_all(b"GET / HTTP/1.1\r\nHost: a\r\n").await, None);
    }
}
