//! A file that a browser sends with a form (RFC 7578, `multipart/form-data`): a keep file, before the first run.
//!
//! One at a time, in one piece of memory, because a board has little; everything else the page takes is far smaller.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::FORM;
use crate::keep::MAX_SEALED;

/// Bytes of a form with a file at most.
const LARGEST: usize = MAX_SEALED + FORM;

/// Longest wait for all of it: shorter than a connection lasts.
const DEADLINE: Duration = Duration::from_secs(50);

/// Parts of a form at most, and bytes of the head of one.
const PARTS: (usize, usize) = (16, 2048);

/// Lets one file in after the other.
#[derive(Debug)]
pub(super) struct Gate(Arc<Semaphore>);

/// A file that came. As long as one is left, no other comes in.
#[derive(Clone, Debug)]
pub(super) struct Upload {
    bytes: Arc<Zeroizing<Vec<u8>>>,
    file: Range<usize>,
    _turn: Arc<OwnedSemaphorePermit>,
}

/// The fields of a form, and the bytes of its file.
type Parts = (Vec<(String, String)>, Range<usize>);

impl Default for Gate {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(1)))
    }
}

impl Gate {
    /// Reads a form with a file in it; else says why not.
    pub(super) async fn read(
        &self,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<(Vec<(String, String)>, Upload), &'static str> {
        let boundary = boundary(headers).ok_or(NO_FORM)?;
        let turn = Arc::clone(&self.0).try_acquire_owned();
        let turn = turn.map_err(|_| "another file is being read; try again in a minute")?;
        let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        if length.is_some_and(|length: usize| length > LARGEST) {
            return Err(TOO_LARGE);
        }
        let reading = whole(body, length.unwrap_or(0));
        let bytes = timeout(DEADLINE, reading).await.map_err(|_| "the file came too slowly; try again")??;
        let (fields, file) = parts(&bytes, &boundary).ok_or(NO_FORM)?;
        Ok((fields, Upload { bytes: Arc::new(bytes), file, _turn: Arc::new(turn) }))
    }
}

impl Upload {
    /// The file; empty if none was chosen.
    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.get(self.file.clone()).unwrap_or_default()
    }
}

/// Whether the form may have a file in it.
pub(super) fn is_one(headers: &HeaderMap) -> bool {
    boundary(headers).is_some()
}

const NO_FORM: &str = "that was no form of this page; go back and try again";

const TOO_LARGE: &str = "that file is larger than any keep file; choose another one";

async fn whole(mut body: Body, length: usize) -> Result<Zeroizing<Vec<u8>>, &'static str> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(length));
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| "the file was broken off; try again")?;
        let data = frame.data_ref().map(|data| &data[..]).unwrap_or_default();
        if bytes.len().saturating_add(data.len()) > LARGEST {
            return Err(TOO_LARGE);
        }
        bytes.extend_from_slice(data);
    }
    Ok(bytes)
}

/// What stands between the parts.
fn boundary(headers: &HeaderMap) -> Option<String> {
    let kind = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let (kind, rest) = kind.split_once(';')?;
    let boundary = rest.split(';').find_map(|part| part.trim().strip_prefix("boundary="))?.trim_matches('"');
    // RFC 2046, section 5.1.1: 70 characters at most.
    let fits = kind.trim().eq_ignore_ascii_case("multipart/form-data") && (1..=70).contains(&boundary.len());
    fits.then(|| format!("\r\n--{boundary}"))
}

/// Takes a form apart. Browsers write the head of a part in one way only (WHATWG HTML, "Multipart form data").
fn parts(bytes: &[u8], boundary: &str) -> Option<Parts> {
    let (mut fields, mut file) = (Vec::new(), 0..0);
    let opening = boundary.strip_prefix("\r\n")?;
    let mut at = bytes.starts_with(opening.as_bytes()).then_some(opening.len())?;
    for _ in 0..PARTS.0 {
        let rest = bytes.get(at..)?;
        if rest.starts_with(b"--") {
            return Some((fields, file));
        }
        let head_end = find(rest.get(..PARTS.1.min(rest.len()))?, b"\r\n\r\n")?;
        let head = std::str::from_utf8(rest.get(..head_end)?).ok()?;
        let from = at.checked_add(head_end)?.checked_add(4)?;
        let to = from.checked_add(find(bytes.get(from..)?, boundary.as_bytes())?)?;
        let name = head.split("name=\"").nth(1)?.split('"').next()?;
        if head.contains("; filename=\"") {
            file = from..to;
        } else if to.checked_sub(from)? <= FORM {
            fields.push((name.to_owned(), String::from_utf8(bytes.get(from..to)?.to_vec()).ok()?));
        }
        at = to.checked_add(boundary.len())?;
    }
    None
}

/// Where `word` begins for the first time.
fn find(bytes: &[u8], word: &[u8]) -> Option<usize> {
    let first = *word.first()?;
    let mut from = 0_usize;
    loop {
        let rest = bytes.get(from..)?;
        from = from.checked_add(rest.iter().position(|byte| *byte == first)?)?;
        if bytes.get(from..)?.starts_with(word) {
            return Some(from);
        }
        from = from.checked_add(1)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: &str = "multipart/form-data; boundary=----x7";

    fn headers() -> HeaderMap {
        [(header::CONTENT_TYPE, KIND.parse().unwrap())].into_iter().collect()
    }

    fn form(file: &[u8]) -> Vec<u8> {
        let head = "------x7\r\nContent-Disposition: form-data; name=\"token\"\r\n\r\nt0ken\r\n------x7\r\n\
                    Content-Disposition: form-data; name=\"file\"; filename=\"a.keep\"\r\n\
                    Content-Type: application/octet-stream\r\n\r\n";
        [head.as_bytes(), file, b"\r\n------x7--\r\n"].concat()
    }

    #[tokio::test]
    async fn a_file_comes_with_its_form_whatever_is_in_it() {
        let gate = Gate::default();
        for file in [&b""[..], b"\r\n\r\n--\r\n------x6\0\xff", b"sealed"] {
            let (fields, upload) = gate.read(&headers(), form(file).into()).await.unwrap();
            assert_eq!(upload.bytes(), file);
            assert_eq!(fields, [("token".to_owned(), "t0ken".to_owned())]);
        }
    }

    #[tokio::test]
    async fn one_after_the_other_and_no_larger_than_a_keep_file() {
        let gate = Gate::default();
        let (_, first) = gate.read(&headers(), form(b"1").into()).await.unwrap();
        assert!(gate.read(&headers(), form(b"2").into()).await.unwrap_err().contains("another file"));
        drop(first);
        let large = vec![0; LARGEST];
        assert_eq!(gate.read(&headers(), form(&large).into()).await.unwrap_err(), TOO_LARGE);
        let mut told = headers();
        told.insert(header::CONTENT_LENGTH, (LARGEST + 1).into());
        assert_eq!(gate.read(&told, Body::empty()).await.unwrap_err(), TOO_LARGE);
        assert!(gate.read(&headers(), form(b"3").into()).await.is_ok());
    }

    #[test]
    fn what_is_no_whole_form_is_none() {
        let boundary = boundary(&headers()).unwrap();
        let right = form(b"sealed");
        assert!(parts(&right, &boundary).is_some());
        for end in 0..right.len() - "--\r\n".len() {
            assert!(parts(&right[..end], &boundary).is_none(), "{end}");
        }
        let many = String::from_utf8(form(b"").repeat(PARTS.0)).unwrap().replace("------x7--\r\n", "");
        assert!(parts(many.as_bytes(), &boundary).is_none(), "too many parts");
        assert!(!is_one(&HeaderMap::new()));
    }
}
