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
    Chunk(u64),
    /// The end of line after a chunk.
    Gap(Vec<u8>),
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
        if self.lost {
            return false;
        }
        let next = self.is_over();
        if next {
            *self = Self::default();
        }
        let mut bodiless = self.bodiless;
        // No verb begins as TLS and most others do, of whose streams nothing is to be kept.
        let rest = self.request.take(bytes, |first| first.is_ascii_uppercase(), &mut |head| {
            let (verb, framing) = request(head)?;
            bodiless = verb == "HEAD";
            Some(framing.into())
        });
        self.bodiless = bodiless;
        // What is left is another request, sent ahead: whose answer is whose can no longer be told.
        if rest.is_none_or(|rest| !rest.is_empty()) {
            self.lose();
        }
        next
    }

    /// The client got this from the backend.
    pub(super) fn backend(&mut self, bytes: &[u8]) {
        if self.lost {
            return;
        }
        let bodiless = self.bodiless;
        let rest = self.answer.take(bytes, |first| first == b'H', &mut |head| {
            match answer(head)? {
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
        let unasked = matches!(self.request, Part::Head(_));
        if unasked || rest.is_none_or(|rest| !rest.is_empty()) {
            self.lose();
        }
    }

    /// Nothing is read from here on, and nothing kept.
    fn lose(&mut self) {
        *self = Self { request: Part::Whole, answer: Part::Whole, bodiless: false, lost: true };
    }

    /// Whether the last request and its answer are whole.
    fn is_over(&self) -> bool {
        !self.lost && matches!((&self.request, &self.answer), (Part::Whole, Part::Whole))
    }

    /// Whether the request is whole and its answer has not begun, or only with 1xx.
    pub(super) const fn is_asked(&self) -> bool {
        !self.lost && matches!((&self.request, &self.answer), (Part::Whole, Part::Head(_)))
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
    /// Takes what belongs to the message, and gives back the rest. `begins` says whether a head may begin with this, `after` what
    /// follows one. `None` for what is not understood.
    fn take<'a>(
        &mut self,
        mut bytes: &'a [u8],
        begins: impl Fn(u8) -> bool,
        after: &mut dyn FnMut(&str) -> Option<Self>,
    ) -> Option<&'a [u8]> {
        while !bytes.is_empty() {
            match self {
                Self::Whole => break,
                Self::Head(kept) if kept.is_empty() && !bytes.first().copied().is_some_and(&begins) => {
                    return None;
                }
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
                        *self = Self::Gap(Vec::new());
                    }
                }
                Self::Gap(kept) => {
                    if up_to(kept, &mut bytes, LINE_END, LINE_END.len())?.is_some() {
                        *self = Self::Size(Vec::new());
                    }
                }
                Self::Trailer(kept) => {
                    if let Some(line) = up_to(kept, &mut bytes, LINE_END, MAX_LINE)? {
                        *self = after_trailer(&line)?;
                    }
                }
            }
        }
        Some(bytes)
    }
}

/// The verb of a request, and what its head says of the body (RFC 9112, section 3).
fn request(head: &str) -> Option<(&str, Framing)> {
    let (line, fields) = head.split_once("\r\n").unwrap_or((head, ""));
    let (verb, rest) = line.split_once(' ')?;
    let (target, version) = rest.split_once(' ')?;
    let plain = verb.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-');
    if !plain || verb == "CONNECT" || target.is_empty() || !is_clean(target) {
        return None;
    }
    Some((verb, framing(version.strip_prefix("HTTP/1.")?, fields)?))
}

/// The code of an answer, and what its head says of the body (RFC 9112, section 4).
fn answer(head: &str) -> Option<(u16, Framing)> {
    let (line, fields) = head.split_once("\r\n").unwrap_or((head, ""));
    let mut words = line.strip_prefix("HTTP/1.")?.splitn(3, ' ');
    let (minor, code) = (words.next()?, words.next()?);
    let plain = code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_digit());
    if !plain || !is_clean(line) {
        return None;
    }
    Some((code.parse().ok().filter(|code| *code >= 100)?, framing(minor, fields)?))
}

/// Whether nothing in it could be the end of a line to a careless reader.
fn is_clean(line: &str) -> bool {
    !line.contains(['\r', '\n', '\0'])
}

/// What follows the line with a chunk's size (RFC 9112, section 7.1).
fn after_size(line: &[u8]) -> Option<Part> {
    let line = std::str::from_utf8(line).ok().filter(|line| is_clean(line))?;
    let digits = line.split(';').next()?.trim_end_matches([' ', '\t']);
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    match u64::from_str_radix(digits, 16).ok().filter(|_| plain)? {
        0 => Some(Part::Trailer(Vec::new())),
        size => Some(Part::Chunk(size)),
    }
}

/// What follows a line after the last chunk.
fn after_trailer(line: &[u8]) -> Option<Part> {
    let plain = std::str::from_utf8(line).is_ok_and(is_clean);
    plain.then(|| if line.is_empty() { Part::Whole } else { Part::Trailer(Vec::new()) })
}

/// Takes bytes into `kept` up to `end`, each of them once, and then gives what was kept, without `end`. `None` where that
/// would be more than `most` bytes, with it.
#[allow(clippy::option_option, reason = "too long and not whole yet are different")]
fn up_to(kept: &mut Vec<u8>, bytes: &mut &[u8], end: &[u8], most: usize) -> Option<Option<Vec<u8>>> {
    while let Some((first, rest)) = bytes.split_first() {
        kept.push(*first);
        *bytes = rest;
        if kept.ends_with(end) {
            kept.truncate(kept.len().saturating_sub(end.len()));
            return Some(Some(std::mem::take(kept)));
        }
        if kept.len() >= most {
            return None;
        }
    }
    Some(None)
}

/// Lets up to `left` bytes pass.
fn pass(left: &mut u64, bytes: &mut &[u8]) {
    let passed = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
    *left = left.saturating_sub(passed as u64);
    *bytes = bytes.get(passed..).unwrap_or_default();
}

/// What the fields of a head say of the body (RFC 9112, section 6.3), where HTTP is 1.`minor`. `None` where programs might
/// read them differently.
fn framing(minor: &str, fields: &str) -> Option<Framing> {
    let knows_chunks = match minor {
        "0" => false,
        "1" => true,
        _ => return None,
    };
    let mut found = Framing::Unsaid;
    for line in fields.split("\r\n").filter(|_| !fields.is_empty()) {
        let (name, value) = line.split_once(':').filter(|_| is_clean(line))?;
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None; // folded, or with a space that some take for part of the name
        }
        let value = value.trim_matches([' ', '\t']);
        let said = if name.eq_ignore_ascii_case("content-length") {
            Framing::Length(value.parse().ok().filter(|_| value.bytes().all(|byte| byte.is_ascii_digit()))?)
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            (knows_chunks && value.eq_ignore_ascii_case("chunked")).then_some(Framing::Chunked)?
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
            (b"GET / HTTP/1.1\r\nHost: x\r\n Content-Length: 2\r\n\r\n", OK),
            (b"GET / HTTP/1.1\r\nContent-Length : 2\r\n\r\nhi", OK),
            (b"GET / HTTP/1.1\nContent-Length: 2\r\n\r\n", OK),
            (b"GET / HTTP/1.1\r\nA: b\nContent-Length: 2\r\n\r\n", OK),
            (b"GET / HTTP/1.1\n\n", OK),
            (b"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", OK),
            (b"GET / HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nhi", OK),
            (b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", OK),
            (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;a\nb\r\nx\r\n0\r\n\r\n", OK),
            (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n0\r\n\r\n", OK),
            (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\n\r\n\r\n", OK),
            (b"HEAD\t/ HTTP/1.1\r\n\r\n", OK),
            (b"GET / HTTP/1.11\r\n\r\n", OK),
            (GET, b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n"),
            (GET, b"HTTP/1.1 +20 OK\r\nContent-Length: 0\r\n\r\n"),
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
    /// Bytes of memory in use.
    fn held(talk: &Talk) -> usize {
        let of = |part: &Part| match part {
            Part::Head(kept) | Part::Size(kept) | Part::Gap(kept) | Part::Trailer(kept) => kept.capacity(),
            Part::Body(_) | Part::Chunk(_) | Part::Whole => 0,
        };
        of(&talk.request) + of(&talk.answer)
    }

    #[test]
    fn nothing_is_kept_of_what_is_no_exchange() {
        let upgraded = |talk: &mut Talk| {
            talk.client(GET);
            talk.backend(b"HTTP/1.1 101 Switching Protocols\r\n\r\n");
        };
        let endless = |talk: &mut Talk| {
            talk.client(GET);
            talk.backend(b"HTTP/1.0 200 OK\r\n\r\n");
        };
        let tls = |talk: &mut Talk| {
            talk.client(b"\x16\x03\x01\x02\x00");
        };
        let greeted = |talk: &mut Talk| talk.backend(b"SSH-2.0-x\r\n");
        let begun: [&dyn Fn(&mut Talk); 4] = [&upgraded, &endless, &tls, &greeted];
        let (megabyte, chunk) = (1 << 20, [b'A'; 16 * 1024]);
        for begin in begun {
            let mut talk = Talk::default();
            begin(&mut talk);
            for _ in 0..megabyte / chunk.len() {
                assert!(!talk.client(&chunk));
                talk.backend(&chunk);
                assert_eq!((held(&talk), talk.is_lost()), (0, true));
            }
        }
    }

    #[test]
    fn a_head_without_an_end_is_kept_up_to_a_limit_and_looked_at_once() {
        // A byte at a time, and a look at all before it each time: two thousand million steps.
        let limit = std::time::Duration::from_secs(5);
        let (begun, mut talk) = (std::time::Instant::now(), Talk::default());
        for _ in 0..MAX_HEAD - 1 {
            talk.client(b"A");
            assert!(held(&talk) <= 2 * MAX_HEAD && !talk.is_lost() && begun.elapsed() < limit);
        }
        talk.client(b"A");
        assert_eq!((held(&talk), talk.is_lost()), (0, true));
    }

    #[test]
    fn what_is_read_does_not_depend_on_how_it_is_cut() {
        let pieces: [&[u8]; 12] = [
            b"\r\n",
            b"\n",
            b"\r\n\r\n",
            b"0\r\n",
            b"Content-Length: 2\r\n",
            b"transfer-encoding: chunked\r\n",
            b" ",
            b"HTTP/1.0",
            b"100",
            b"HEAD",
            b"101",
            b"ffffffffffffffff",
        ];
        let coded = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2;a\r\nhi\r\n0\r\nA: b\r\n\r\n";
        let answers = [
            OK,
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
        ];
        let (mut mangler, mut over) = (crate::mangle::Mangler::new(1), 0);
        for turn in 0..20_000 {
            let (mut request, mut answer) = ([GET, coded][turn % 2].to_vec(), answers[turn % 3].to_vec());
            // One of them is good in most turns: two that are not end nothing.
            if mangler.below(3) > 0 {
                request = mangler.mangle(&request, &pieces);
            } else {
                answer = mangler.mangle(&answer, &pieces);
            }
            let (mut whole, mut cut) = (Talk::default(), Talk::default());
            let mut tell = |bytes: &[u8], say: &dyn Fn(&mut Talk, &[u8])| {
                if bytes.is_empty() {
                    return; // nobody says nothing
                }
                say(&mut whole, bytes);
                let mut rest = bytes;
                while !rest.is_empty() {
                    let (part, more) = rest.split_at(1 + mangler.below(rest.len()));
                    say(&mut cut, part);
                    rest = more;
                }
                let state = |talk: &Talk| (talk.is_over(), talk.is_asked(), talk.is_lost());
                assert_eq!(state(&whole), state(&cut), "{:?}", String::from_utf8_lossy(bytes));
            };
            tell(&request, &|talk, bytes| _ = talk.client(bytes));
            tell(&answer, &|talk, bytes| talk.backend(bytes));
            over += usize::from(whole.is_over());
        }
        assert!((200..15_000).contains(&over), "some are still good, and some are not: {over}");
    }

    #[test]
    fn a_request_is_asked_once_it_is_whole_and_until_its_answer_begins() {
        let mut talk = Talk::default();
        for (said, asked) in
            [("POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n", false), ("h", false), ("i", true)]
        {
            talk.client(said.as_bytes());
            assert_eq!(talk.is_asked(), asked, "{said}");
        }
        for (said, asked) in
            [("HTTP/1.1 100 Continue\r\n\r\n", true), ("HTTP/1.1 204 No Content\r\n\r\n", false)]
        {
            talk.backend(said.as_bytes());
            assert_eq!(talk.is_asked(), asked, "{said}");
        }
    }
}
