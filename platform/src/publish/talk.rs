//! Where a stream is in its exchanges, as far as its bytes are HTTP/1.1 (RFC 9112): whether the last answer has ended, so
//! that the next request may go elsewhere. No I/O, and nothing is changed on the way.

/// Bytes of a head at most.
const MAX_HEAD: usize = 64 * 1024;

/// Bytes of a line between chunks at most.
const MAX_LINE: usize = 4096;

const LINE_END: &[u8] = b"\r\n";
const HEAD_END: &[u8] = b"\r\n\r\n";

/// One exchange after the other.
#[derive(Debug, Default)]
pub(super) struct Talk {
    request: Part,
    answer: Part,
    /// The request is a HEAD, whose answer has no body whatever it says.
    bodiless: bool,
    lost: bool,
}

/// How far a message has come.
#[derive(Debug)]
enum Part {
    Head(Vec<u8>),
    Body(u64),
    /// The line before a chunk.
    Size(Vec<u8>),
    /// A chunk and its end of line.
    Chunk(u64),
    /// The lines after the last chunk.
    Trailer(Vec<u8>),
    Whole,
}

/// What a message's head says of its body.
enum Framing {
    Length(u64),
    Chunked,
    Unsaid,
}

impl Talk {
    /// The client said this. True where it begins a new exchange, the last one being over.
    pub(super) fn client(&mut self, bytes: &[u8]) -> bool {
        let next = self.is_over();
        if next {
            *self = Self::default();
        }
        let mut bodiless = self.bodiless;
        let rest = self.request.take(bytes, &mut |head| {
            let verb = head.split(' ').next().unwrap_or_default();
            bodiless = verb == "HEAD";
            let is_http = head.lines().next().is_some_and(|line| line.contains(" HTTP/1."));
            match framing(head)? {
                _ if !is_http || verb == "CONNECT" => None,
                Framing::Unsaid => Some(Part::Whole),
                framing => Some(framing.into()),
            }
        });
        self.bodiless = bodiless;
        // What is left is another request, sent ahead: whose answer is whose can no longer be told.
        self.lost |= rest.is_none_or(|rest| !rest.is_empty());
        next
    }

    /// The client got this from the backend.
    pub(super) fn backend(&mut self, bytes: &[u8]) {
        let bodiless = self.bodiless;
        let rest = self.answer.take(bytes, &mut |head| {
            let code = head.strip_prefix("HTTP/1.").and_then(|line| line.get(2..5));
            match (code?.parse().ok()?, framing(head)?) {
                // From here on it is something else.
                (101, _) => None,
                (100..200, _) => Some(Part::default()),
                (204 | 304, _) => Some(Part::Whole),
                _ if bodiless => Some(Part::Whole),
                // Until the connection ends.
                (_, Framing::Unsaid) => None,
                (_, framing) => Some(framing.into()),
            }
        });
        self.lost |= matches!(self.request, Part::Head(_)) || rest.is_none_or(|rest| !rest.is_empty());
    }

    /// Whether the last request and its answer are whole.
    fn is_over(&self) -> bool {
        !self.lost && matches!((&self.request, &self.answer), (Part::Whole, Part::Whole))
    }

    /// Whether it can no longer be told where the stream is. It stays so.
    pub(super) const fn is_lost(&self) -> bool {
        self.lost
    }
}

impl Default for Part {
    fn default() -> Self {
        Self::Head(Vec::new())
    }
}

impl From<Framing> for Part {
    fn from(framing: Framing) -> Self {
        match framing {
            Framing::Length(0) | Framing::Unsaid => Self::Whole,
            Framing::Length(length) => Self::Body(length),
            Framing::Chunked => Self::Size(Vec::new()),
        }
    }
}

impl Part {
    /// Takes what belongs to the message, and gives back the rest. `after` says what follows a head. `None` for what is not
    /// understood.
    fn take<'a>(
        &mut self,
        mut bytes: &'a [u8],
        after: &mut dyn FnMut(&str) -> Option<Self>,
    ) -> Option<&'a [u8]> {
        while !bytes.is_empty() {
            match self {
                Self::Whole => break,
                Self::Head(kept) => {
                    if let Some(head) = up_to(kept, &mut bytes, HEAD_END, MAX_HEAD)? {
                        *self = after(std::str::from_utf8(&head).ok()?)?;
                    }
                }
                Self::Body(left) => {
                    pass(left, &mut bytes);
                    if *left == 0 {
                        *self = Self::Whole;
                    }
                }
                Self::Size(kept) => {
                    if let Some(line) = up_to(kept, &mut bytes, LINE_END, MAX_LINE)? {
                        *self = after_size(&line)?;
                    }
                }
                Self::Chunk(left) => {
                    pass(left, &mut bytes);
                    if *left == 0 {
                        *self = Self::Size(Vec::new());
                    }
                }
                Self::Trailer(kept) => {
                    if let Some(line) = up_to(kept, &mut bytes, LINE_END, MAX_LINE)? {
                        *self = if line.is_empty() { Self::Whole } else { Self::Trailer(Vec::new()) };
                    }
                }
            }
        }
        Some(bytes)
    }
}

/// What follows the line with a chunk's size (RFC 9112, section 7.1).
fn after_size(line: &[u8]) -> Option<Part> {
    let line = std::str::from_utf8(line).ok()?;
    let digits = line.split(';').next()?.trim();
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    match u64::from_str_radix(digits, 16).ok().filter(|_| plain)? {
        0 => Some(Part::Trailer(Vec::new())),
        size => Some(Part::Chunk(size.checked_add(2)?)),
    }
}

/// Takes bytes into `kept` up to `end`, and then gives what was kept, without it. `None` where it is too long.
#[allow(clippy::option_option, reason = "too long and not whole yet are different")]
fn up_to(kept: &mut Vec<u8>, bytes: &mut &[u8], end: &[u8], most: usize) -> Option<Option<Vec<u8>>> {
    let before = kept.len();
    kept.extend_from_slice(bytes);
    let Some(at) = kept.windows(end.len()).position(|window| window == end) else {
        *bytes = &[];
        return (kept.len() <= most).then_some(None);
    };
    let used = at.saturating_add(end.len()).saturating_sub(before);
    *bytes = bytes.get(used..)?;
    kept.truncate(at);
    Some(Some(std::mem::take(kept)))
}

/// Lets up to `left` bytes pass.
fn pass(left: &mut u64, bytes: &mut &[u8]) {
    let passed = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
    *left = left.saturating_sub(passed as u64);
    *bytes = bytes.get(passed..).unwrap_or_default();
}

/// What the lines of a head say of the body (RFC 9112, section 6.3). `None` where programs might read them differently.
fn framing(head: &str) -> Option<Framing> {
    let mut found = Framing::Unsaid;
    for line in head.split("\r\n").skip(1) {
        let (name, value) = line.split_once(':')?;
        let value = value.trim();
        let said = if name.eq_ignore_ascii_case("content-length") {
            Framing::Length(value.parse().ok().filter(|_| value.bytes().all(|byte| byte.is_ascii_digit()))?)
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            value.eq_ignore_ascii_case("chunked").then_some(Framing::Chunked)?
        } else {
            continue;
        };
        if !matches!(found, Framing::Unsaid) {
            return None;
        }
        found = said;
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

    /// Whether the exchange is over, and only at the last byte, however it is cut.
    fn is_over(request: &[u8], answer: &[u8]) -> bool {
        let mut whole = Talk::default();
        assert!(!whole.client(request));
        whole.backend(answer);
        let mut cut = Talk::default();
        for byte in request {
            assert!(!cut.client(&[*byte]));
        }
        for byte in answer {
            assert!(!cut.is_over(), "{}", String::from_utf8_lossy(answer));
            cut.backend(&[*byte]);
        }
        assert_eq!(whole.is_over(), cut.is_over());
        whole.is_over()
    }

    #[test]
    fn answers_end_where_they_say() {
        let post = b"POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody";
        let chunked =
            b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n4;x=y\r\nbody\r\n0\r\nA: b\r\n\r\n";
        let coded: &[u8] = b"HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
        for (request, answer) in [
            (GET, OK),
            (post, OK),
            (chunked, coded),
            (GET, b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n"),
            (b"HEAD / HTTP/1.1\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"),
            (post, b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"),
        ] {
            assert!(is_over(request, answer), "{}", String::from_utf8_lossy(answer));
        }
    }

    #[test]
    fn what_cannot_be_told_is_not_guessed() {
        for (request, answer) in [
            (GET, &b"HTTP/1.1 101 Switching Protocols\r\n\r\n"[..]),
            (GET, b"HTTP/1.1 200 OK\r\n\r\nuntil the end"),
            (GET, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n"),
            (GET, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok and more"),
            (GET, b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok"),
            (GET, b"SSH-2.0-x\r\n\r\n"),
            (b"CONNECT x:1 HTTP/1.1\r\n\r\n", OK),
            (b"EHLO x\r\n\r\n", OK),
        ] {
            let mut talk = Talk::default();
            talk.client(request);
            talk.backend(answer);
            assert!(talk.is_lost(), "{}", String::from_utf8_lossy(answer));
            assert!(!talk.client(GET) && talk.is_lost(), "it stays so");
        }
    }

    #[test]
    fn a_request_sent_ahead_is_no_new_exchange() {
        let mut talk = Talk::default();
        talk.client(GET);
        talk.backend(OK);
        assert!(talk.client(GET) && !talk.is_lost());
        talk.backend(&OK[..OK.len() - 1]);
        assert!(!talk.client(GET) && talk.is_lost());
        let mut talk = Talk::default();
        talk.client(&[GET, GET].concat());
        assert!(talk.is_lost());
    }
}
