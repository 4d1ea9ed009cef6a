//! Documents, sounds and films: searched for the words under which they keep names, places and folders.

use std::collections::BTreeSet;

use super::{Depth, Trace, tiff};

/// In PDF files (ISO 32000-1, section 14.3.3).
const PDF: [(&[u8], Trace); 5] = [
    (b"/Author", Trace::Author),
    (b"/Creator", Trace::Software),
    (b"/Producer", Trace::Software),
    (b"/CreationDate", Trace::Time),
    (b"<rdf:RDF", Trace::Remark),
];

/// What of a PDF file cannot be searched: objects that are packed into streams (section 7.5.7), and all text of one that is locked
/// (section 7.6).
const PDF_HIDES: [&[u8]; 2] = [b"/ObjStm", b"/Encrypt"];

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

/// In RTF files (Rich Text Format 1.9.1, "Information Group").
const RTF: [(&[u8], Trace); 6] = [
    (b"\\author", Trace::Author),
    (b"\\operator", Trace::Author),
    (b"\\company", Trace::Author),
    (b"\\creatim", Trace::Time),
    (b"\\generator", Trace::Software),
    (b"\\doccomm", Trace::Remark),
];

/// Names of frames at the beginning of MP3 files (ID3v2.4, section 4), and of the older tag at the end.
const ID3: [(&[u8], Trace); 11] = [
    (b"TPE1", Trace::Author),
    (b"TCOM", Trace::Author),
    (b"TENC", Trace::Author),
    (b"TOWN", Trace::Author),
    (b"TSSE", Trace::Software),
    (b"TDRC", Trace::Time),
    (b"TYER", Trace::Time),
    (b"COMM", Trace::Remark),
    (b"TXXX", Trace::Remark),
    (b"PRIV", Trace::Remark),
    (b"GEOB", Trace::Remark),
];

/// Names in FLAC and Ogg files (Xiph, "Ogg Vorbis I: comment field and header specification"), in lower case.
const VORBIS: [(&[u8], Trace); 10] = [
    (b"artist=", Trace::Author),
    (b"performer=", Trace::Author),
    (b"copyright=", Trace::Author),
    (b"contact=", Trace::Author),
    (b"encoded-by=", Trace::Author),
    (b"location=", Trace::Location),
    (b"date=", Trace::Time),
    (b"encoder=", Trace::Software),
    (b"comment=", Trace::Remark),
    (b"description=", Trace::Remark),
];

/// In lists of RIFF files (Microsoft, "Multimedia Programming Interface and Data Specifications 1.0", INFO).
const LIST: [(&[u8], Trace); 6] = [
    (b"IART", Trace::Author),
    (b"ICOP", Trace::Author),
    (b"IENG", Trace::Author),
    (b"ISFT", Trace::Software),
    (b"ICRD", Trace::Time),
    (b"ICMT", Trace::Remark),
];

/// Bytes at the beginning that tell whether a file is plain text.
const PLAIN: usize = 4096;

/// What the ends of a file tell, and how much of it could be searched. `whole` where the ends are all of it.
pub(super) fn traces(bytes: &[u8], whole: bool) -> (BTreeSet<Trace>, Depth) {
    let words = |words| search(bytes, words).collect::<BTreeSet<_>>();
    let known = |understood| if understood { Depth::Whole } else { Depth::Unknown };
    let (mut found, depth) = if bytes.starts_with(b"%PDF") {
        (words(&PDF), if whole && is_open_pdf(bytes) { Depth::Whole } else { Depth::Part })
    } else if bytes.starts_with(b"PK\x03\x04") {
        // Others are archives, which may hold anything.
        let office = [&b"[Content_Types].xml"[..], b"mimetypeapplication/"];
        (words(&ZIP), known(office.iter().any(|mark| position(bytes, mark).is_some())))
    } else if bytes.get(4..8) == Some(b"ftyp") {
        (words(&BOXES), Depth::Whole)
    } else if bytes.starts_with(b"{\\rtf") {
        (words(&RTF), Depth::Whole)
    } else if bytes.starts_with(b"ID3") {
        (words(&ID3), Depth::Whole)
    } else if bytes.starts_with(b"fLaC") || bytes.starts_with(b"OggS") {
        (search(&bytes.to_ascii_lowercase(), &VORBIS).collect(), Depth::Whole)
    } else if is_tiff(bytes) {
        // Tables at the end of a long file are not where they say.
        (
            tiff::traces(bytes).into_iter().chain(words(&XMP)).collect(),
            known(whole || tiff::begins_within(bytes, super::ENDS.0)),
        )
    } else if is_text(bytes) {
        (if bytes.starts_with(b"<") { words(&XMP) } else { BTreeSet::new() }, Depth::Whole)
    } else {
        (BTreeSet::new(), Depth::Unknown)
    };
    if HOMES.iter().any(|home| names_someone(bytes, home)) {
        found.insert(Trace::HomeFolder);
    }
    (found, depth)
}

/// Whether all words of a PDF file stand in it as they are: nothing is packed or locked, and no XMP that it names is missing.
fn is_open_pdf(bytes: &[u8]) -> bool {
    let packed_xmp = position(bytes, b"/Metadata").is_some() && position(bytes, b"<rdf:RDF").is_none();
    let hidden = PDF_HIDES.iter().any(|word| position(bytes, word).is_some());
    !hidden && !packed_xmp
}

/// TIFF, and what cameras write in its shape: DNG, CR2, NEF, ARW.
fn is_tiff(bytes: &[u8]) -> bool {
    bytes.starts_with(b"II\x2a\0") || bytes.starts_with(b"MM\0\x2a")
}

/// Whether it begins as text does: UTF-8 without control characters.
fn is_text(bytes: &[u8]) -> bool {
    let head = bytes.get(..PLAIN).unwrap_or(bytes);
    let valid = std::str::from_utf8(head).map_or_else(|wrong| wrong.error_len().is_none(), |_| true);
    valid && !head.iter().any(|byte| byte.is_ascii_control() && !b"\t\n\r\x0c".contains(byte))
}

/// What a list in a RIFF file tells.
pub(super) fn of_list(bytes: &[u8]) -> BTreeSet<Trace> {
    search(bytes, &LIST).collect()
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
