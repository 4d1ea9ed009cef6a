//! Documents and films: searched for the words under which they keep names, places and folders.

use std::collections::BTreeSet;

use super::Trace;

/// In PDF files (ISO 32000-1, section 14.3.3).
const PDF: [(&[u8], Trace); 5] = [
    (b"/Author", Trace::Author),
    (b"/Creator", Trace::Software),
    (b"/Producer", Trace::Software),
    (b"/CreationDate", Trace::Time),
    (b"<rdf:RDF", Trace::Remark),
];

/// Names of files within office files, which are ZIP archives.
const ZIP: [(&[u8], Trace); 3] = [
    (b"docProps/core.xml", Trace::Author),
    (b"docProps/app.xml", Trace::Software),
    (b"meta.xml", Trace::Author),
];

/// In films and pictures built of boxes (ISO/IEC 14496-12), as telephones write them.
const BOXES: [(&[u8], Trace); 5] = [
    (b"\xa9xyz", Trace::Location),
    (b"com.apple.quicktime.location", Trace::Location),
    (b"com.apple.quicktime.model", Trace::Camera),
    (b"com.android.version", Trace::Software),
    (b"Exif\0\0", Trace::Remark),
];

/// Words of XMP, wherever it lies.
const XMP: [(&[u8], Trace); 9] = [
    (b"dc:creator", Trace::Author),
    (b"dc:rights", Trace::Author),
    (b"photoshop:AuthorsPosition", Trace::Author),
    (b"exif:GPS", Trace::Location),
    (b"photoshop:City", Trace::Location),
    (b"tiff:Model", Trace::Camera),
    (b"CreatorTool", Trace::Software),
    (b"CreateDate", Trace::Time),
    (b"stRef:filePath", Trace::HomeFolder),
];

/// Where systems keep what belongs to people.
const HOMES: [&[u8]; 5] =
    [b"/home/", b"/Users/", b"C:\\Users\\", b"C:/Users/", b"C:\\Documents and Settings\\"];

/// What the ends of a file tell.
pub(super) fn traces(bytes: &[u8]) -> BTreeSet<Trace> {
    let words: &[(&[u8], Trace)] = if bytes.starts_with(b"%PDF") {
        &PDF
    } else if bytes.starts_with(b"PK\x03\x04") {
        &ZIP
    } else if bytes.get(4..8) == Some(b"ftyp") {
        &BOXES
    } else {
        &[]
    };
    let mut found: BTreeSet<Trace> = search(bytes, words).collect();
    if HOMES.iter().any(|home| names_someone(bytes, home)) {
        found.insert(Trace::HomeFolder);
    }
    found
}

/// What the ends of a film tell, wherever it begins.
pub(super) fn of_film(bytes: &[u8]) -> BTreeSet<Trace> {
    search(bytes, &BOXES).collect()
}

/// What XMP tells; that it is there, if nothing else.
pub(super) fn of_xmp(bytes: &[u8]) -> BTreeSet<Trace> {
    let mut found: BTreeSet<Trace> = search(bytes, &XMP).collect();
    if found.is_empty() && super::jpeg::is_xmp(bytes) {
        found.insert(Trace::Remark);
    }
    found
}

fn search<'a>(bytes: &'a [u8], words: &'a [(&[u8], Trace)]) -> impl Iterator<Item = Trace> + 'a {
    words.iter().filter(|(word, _)| position(bytes, word).is_some()).map(|(_, trace)| *trace)
}

/// Whether a folder of someone's home is named: a name follows, and another separator.
fn names_someone(bytes: &[u8], home: &[u8]) -> bool {
    let mut rest = bytes;
    while let Some(at) = position(rest, home) {
        rest = rest.get(at.saturating_add(home.len())..).unwrap_or_default();
        let name =
            rest.iter().take_while(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(byte)).count();
        if name > 0 && rest.get(name).is_some_and(|byte| b"/\\".contains(byte)) {
            return true;
        }
    }
    false
}

/// Where `word` stands for the first time.
fn position(bytes: &[u8], word: &[u8]) -> Option<usize> {
    let (first, _) = word.split_first()?;
    let mut from = 0;
    while let Some(at) = bytes.get(from..)?.iter().position(|byte| byte == first) {
        from = from.saturating_add(at);
        if bytes.get(from..)?.starts_with(word) {
            return Some(from);
        }
        from = from.saturating_add(1);
    }
    None
}
