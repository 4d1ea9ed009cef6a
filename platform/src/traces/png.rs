//! PNG files: chunks (ISO/IEC 15948, section 5).

use std::collections::BTreeSet;
use std::io::{self, Read, Seek, SeekFrom, Write};

use super::{Trace, broken, document, tiff};

/// What every PNG begins with.
pub(super) const SIGNATURE: [u8; 8] = *b"\x89PNG\r\n\x1a\n";

/// Chunks read, at most.
const CHUNKS: usize = 1_000_000;

/// Bytes of a text that are read.
const TEXT: u64 = 256 * 1024;

/// What the chunks tell.
pub(super) fn traces(file: &mut (impl Read + Seek)) -> io::Result<BTreeSet<Trace>> {
    let mut found = BTreeSet::new();
    file.seek(SeekFrom::Start(8))?;
    for _ in 0..CHUNKS {
        let Some((length, kind)) = header(file)? else { break };
        let mut data = Vec::new();
        if is_telling(kind) {
            file.by_ref().take(u64::from(length).min(TEXT)).read_to_end(&mut data)?;
        }
        match &kind {
            b"eXIf" => found.extend(tiff::traces(&data)),
            b"tIME" => _ = found.insert(Trace::Time),
            b"tEXt" | b"zTXt" | b"iTXt" => found.extend(of_text(&data)),
            b"IEND" => {
                file.seek(SeekFrom::Current(4))?;
                found.extend(super::behind(file)?);
                break;
            }
            _ => {}
        }
        let rest = i64::from(length) + 4 - i64::try_from(data.len()).unwrap_or(0);
        file.seek(SeekFrom::Current(rest))?;
    }
    Ok(found)
}

/// Copies all but texts, Exif and the time. What follows the picture is left out too.
pub(super) fn clean(from: &mut (impl Read + Seek), to: &mut impl Write) -> io::Result<()> {
    from.seek(SeekFrom::Start(8))?;
    to.write_all(&SIGNATURE)?;
    for _ in 0..CHUNKS {
        let (length, kind) = header(from)?.ok_or_else(broken)?;
        let whole = u64::from(length) + 4;
        if is_telling(kind) {
            from.seek(SeekFrom::Current(i64::try_from(whole).map_err(|_| broken())?))?;
            continue;
        }
        to.write_all(&length.to_be_bytes())?;
        to.write_all(&kind)?;
        if io::copy(&mut from.by_ref().take(whole), to)? != whole {
            return Err(broken());
        }
        if &kind == b"IEND" {
            return Ok(());
        }
    }
    Err(broken())
}

fn is_telling(kind: [u8; 4]) -> bool {
    matches!(&kind, b"tEXt" | b"zTXt" | b"iTXt" | b"eXIf" | b"tIME")
}

fn of_text(data: &[u8]) -> BTreeSet<Trace> {
    let key = data.split(|byte| *byte == 0).next().unwrap_or_default();
    match key {
        b"Author" | b"Copyright" => BTreeSet::from([Trace::Author]),
        b"Software" => BTreeSet::from([Trace::Software]),
        b"Creation Time" => BTreeSet::from([Trace::Time]),
        b"XML:com.adobe.xmp" => document::of_xmp(data),
        _ => BTreeSet::from([Trace::Remark]),
    }
}

/// Length and kind of the next chunk; nothing at the end of the file.
fn header(file: &mut impl Read) -> io::Result<Option<(u32, [u8; 4])>> {
    let (mut length, mut kind) = ([0; 4], [0; 4]);
    match file.read_exact(&mut length) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    file.read_exact(&mut kind)?;
    Ok(Some((u32::from_be_bytes(length), kind)))
}
