//! RIFF files: `WebP` pictures (developers.google.com, "WebP Container Specification"), WAVE and AVI.

use std::collections::BTreeSet;
use std::io::{self, Read, Seek, SeekFrom};

use super::{Trace, document, tiff};

/// Chunks read, at most.
const CHUNKS: usize = 10_000;

/// Bytes of a chunk that are read.
const READ: u64 = 256 * 1024;

/// What some programs put before the tags, as it stands in JPEG.
const EXIF: &[u8] = b"Exif\0\0";

/// What the chunks tell. A file that breaks off tells what came before.
pub(super) fn traces(file: &mut (impl Read + Seek)) -> io::Result<BTreeSet<Trace>> {
    let mut found = BTreeSet::new();
    file.seek(SeekFrom::Start(12))?;
    for _ in 0..CHUNKS {
        let mut head = [0; 8];
        if file.read_exact(&mut head).is_err() {
            break;
        }
        let [a, b, c, d, length @ ..] = head;
        let length = u64::from(u32::from_le_bytes(length));
        let start = file.stream_position()?;
        let mut read = || -> io::Result<Vec<u8>> {
            let mut data = Vec::new();
            file.by_ref().take(length.min(READ)).read_to_end(&mut data)?;
            Ok(data)
        };
        match &[a, b, c, d] {
            b"EXIF" => {
                let data = read()?;
                found.extend(tiff::traces(data.strip_prefix(EXIF).unwrap_or(&data)));
            }
            b"XMP " | b"_PMX" => {
                found.insert(Trace::Remark);
                found.extend(document::of_xmp(&read()?));
            }
            b"LIST" => found.extend(document::of_list(&read()?)),
            b"bext" | b"iXML" | b"aXML" | b"id3 " | b"ID3 " | b"IDIT" => _ = found.insert(Trace::Remark),
            _ => {}
        }
        // Chunks begin at even places.
        file.seek(SeekFrom::Start(start.saturating_add(length).saturating_add(length % 2)))?;
    }
    Ok(found)
}
