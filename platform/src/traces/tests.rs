//! Files made by hand, byte by byte.

use super::*;
use crate::sys::scratch::Scratch;

/// Header, then a table of tags with a table of its own for Exif. `place` says where that one lies.
fn tags() -> Vec<u8> {
    let entry = |tag: u16, value: u32| {
        let mut bytes = tag.to_be_bytes().to_vec();
        bytes.extend(if tag == 0x0112 { [0, 3] } else { [0, 4] });
        bytes.extend([0, 0, 0, 1]);
        bytes.extend(if tag == 0x0112 { (value << 16).to_be_bytes() } else { value.to_be_bytes() });
        bytes
    };
    let mut bytes = vec![b'M', b'M', 0, 42, 0, 0, 0, 8, 0, 4];
    for (tag, value) in [(0x0112, 6), (0x013b, 0), (0x8769, 62), (0x8825, 62)] {
        bytes.extend(entry(tag, value));
    }
    bytes.extend([0; 4]);
    assert_eq!(bytes.len(), 62);
    bytes.extend([0, 1]);
    bytes.extend(entry(0x9003, 0));
    bytes
}

fn segment(marker: u8, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len() + 2).unwrap().to_be_bytes();
    [&[0xff, marker], &length[..], data].concat()
}

fn jpeg() -> Vec<u8> {
    [
        vec![0xff, 0xd8],
        segment(0xe0, b"JFIF\0\x01\x01"),
        segment(0xe1, &[b"Exif\0\0".as_slice(), &tags()].concat()),
        segment(0xe1, b"http://ns.adobe.com/xap/1.0/\0<tiff:Model>A camera</tiff:Model>"),
        segment(0xe2, b"ICC_PROFILE\0 colours"),
        segment(0xfe, b"made by alice"),
        segment(0xda, b"header"),
        b"picture \xff\x00 data \xff\xd9".to_vec(),
    ]
    .concat()
}

fn chunk(kind: &[u8], data: &[u8]) -> Vec<u8> {
    [&u32::try_from(data.len()).unwrap().to_be_bytes()[..], kind, data, b"CRC!"].concat()
}

fn png() -> Vec<u8> {
    let parts = [
        chunk(b"IHDR", &[1; 13]),
        chunk(b"tEXt", b"Author\0alice"),
        chunk(b"eXIf", &tags()),
        chunk(b"tIME", &[0; 7]),
        chunk(b"IDAT", b"picture"),
        chunk(b"IEND", b""),
    ];
    [png::SIGNATURE.to_vec(), parts.concat()].concat()
}

fn told(bytes: &[u8]) -> Option<Finding> {
    let scratch = Scratch::new("traces");
    let path = scratch.path().join("file");
    fs::write(&path, bytes).unwrap();
    look_at(&path).unwrap().finding
}

fn cleaned(bytes: &[u8]) -> Vec<u8> {
    let scratch = Scratch::new("traces");
    let (from, to) = (scratch.path().join("from"), scratch.path().join("to"));
    fs::write(&from, bytes).unwrap();
    assert!(clean(&from, &to).unwrap());
    assert!(clean(&from, &to).is_err(), "nothing is overwritten");
    fs::read(to).unwrap()
}

#[allow(clippy::unnecessary_wraps, reason = "it stands beside what was told, if anything was")]
fn set<const N: usize>(traces: [Trace; N]) -> Option<BTreeSet<Trace>> {
    Some(BTreeSet::from(traces))
}

#[test]
fn pictures_tell_and_their_copies_do_not() {
    let all = [Trace::Location, Trace::Author, Trace::Camera, Trace::Time, Trace::Remark];
    assert_eq!(told(&jpeg()).map(|found| found.traces), set(all));
    let copy = cleaned(&jpeg());
    assert_eq!(told(&copy), None);
    for kept in [&b"JFIF"[..], b"ICC_PROFILE", b"picture \xff\x00 data \xff\xd9"] {
        assert!(copy.windows(kept.len()).any(|window| window == kept));
    }
    let turned = copy.windows(6).position(|window| window == b"Exif\0\0").unwrap();
    assert_eq!(tiff::orientation(&copy[turned + 6..]), Some(6), "which side is up is kept");
    assert_eq!(told(&png()).map(|found| found.traces), set([Trace::Location, Trace::Author, Trace::Time]));
    let copy = cleaned(&png());
    assert_eq!(told(&copy), None);
    assert!(copy.ends_with(b"IENDCRC!") && copy.windows(7).any(|window| window == b"picture"));
}

/// A picture in two scans with remarks between them, further pictures and a film behind it, as a telephone makes it.
fn motion_photo() -> Vec<u8> {
    let second = [vec![0xff, 0xd8], segment(0xe1, &[b"Exif\0\0".as_slice(), &tags()].concat())].concat();
    [
        vec![0xff, 0xd8],
        segment(0xe0, b"JFIF\0\x01\x01"),
        segment(0xe2, b"MPF\0 two pictures"),
        segment(0xe2, b"ICC_PROFILE\0 colours"),
        segment(0xe2, b"urn:iso:std:iso:ts:21496:-1\0 gains"),
        segment(0xc2, b"progressive"),
        segment(0xda, b"one"),
        b"first \xff\x00 \xff\xd0 scan".to_vec(),
        segment(0xfe, b"made by alice"),
        vec![0xff, 0xff],
        segment(0xc4, b"table"),
        segment(0xe5, b"alice's camera"),
        segment(0xda, b"two"),
        b"second scan\xff\xd9".to_vec(),
        second,
        b"\xff\xd9\0\0\0\x18ftypmp42 moov \xa9xyz+51.5-000.1/".to_vec(),
    ]
    .concat()
}

#[test]
fn nothing_behind_a_picture_or_between_its_scans_is_left_in_a_copy() {
    let found = told(&motion_photo()).map(|found| found.traces);
    assert_eq!(found, set([Trace::Location, Trace::Remark, Trace::Behind]));
    let copy = cleaned(&motion_photo());
    assert_eq!(told(&copy), None);
    let has = |word: &[u8]| copy.windows(word.len()).any(|window| window == word);
    for kept in [
        &b"ICC_PROFILE"[..],
        b"progressive",
        b"first \xff\x00 \xff\xd0 scan",
        b"table",
        b"second scan\xff\xd9",
    ] {
        assert!(has(kept), "{}", String::from_utf8_lossy(kept));
    }
    for gone in [&b"alice"[..], b"MPF", b"21496", b"Exif", b"ftyp", b"xyz"] {
        assert!(!has(gone), "{}", String::from_utf8_lossy(gone));
    }
    assert!(copy.ends_with(b"scan\xff\xd9"));
    let padded = [copy, vec![0; 100]].concat();
    assert_eq!(told(&padded), None, "padding tells nothing");
    let appended = [png(), b"PK\x03\x04 an archive".to_vec()].concat();
    assert!(told(&appended).unwrap().traces.contains(&Trace::Behind));
    assert!(cleaned(&appended).ends_with(b"IENDCRC!"));
}

#[test]
fn documents_and_films_tell_and_cannot_be_cleaned() {
    for (bytes, traces) in [
        (&b"%PDF-1.7 << /Author (alice) /Producer (x) >>"[..], set([Trace::Author, Trace::Software])),
        (b"PK\x03\x04 docProps/core.xml", set([Trace::Author])),
        (b"\0\0\0\x18ftypmp42 \xa9xyz", set([Trace::Location])),
        (b"saved as /home/Alice/film.mkv", set([Trace::HomeFolder])),
        (b"saved as C:\\Users\\alice\\film.mkv", set([Trace::HomeFolder])),
        (b"see /home/ and /Users/ for more", None),
        (b"plain text with /Author in it", None),
        (b"", None),
    ] {
        let found = told(bytes);
        assert!(found.as_ref().is_none_or(|found| !found.cleanable));
        assert_eq!(found.map(|found| found.traces), traces, "{}", String::from_utf8_lossy(bytes));
    }
    let scratch = Scratch::new("traces");
    let (from, to) = (scratch.path().join("from"), scratch.path().join("to"));
    fs::write(&from, "text").unwrap();
    assert!(!clean(&from, &to).unwrap() && !to.exists());
}

fn riff(kind: &[u8], chunks: &[(&[u8], Vec<u8>)]) -> Vec<u8> {
    let mut bytes = [b"RIFF\xff\xff\xff\xff", kind].concat();
    for (name, data) in chunks {
        bytes.extend([name, &u32::try_from(data.len()).unwrap().to_le_bytes()[..], data].concat());
        bytes.extend(vec![0; data.len() % 2]);
    }
    bytes
}

#[test]
fn more_pictures_and_sounds_tell() {
    let list = riff(b"WAVE", &[(b"data", vec![7; 3]), (b"LIST", b"INFOIART\x06\0\0\0alice\0".to_vec())]);
    let photo = [Trace::Location, Trace::Author, Trace::Time];
    for (bytes, traces) in [
        (riff(b"WEBP", &[(b"VP8 ", vec![1; 5]), (b"EXIF", tags())]), set(photo)),
        (riff(b"WEBP", &[(b"EXIF", [b"Exif\0\0".as_slice(), &tags()].concat())]), set(photo)),
        (riff(b"WEBP", &[(b"XMP ", b"<tiff:Model>".to_vec())]), set([Trace::Camera, Trace::Remark])),
        (riff(b"WEBP", &[(b"VP8 ", vec![1; 5])]), None),
        (list, set([Trace::Author])),
        (tags(), set(photo)),
        (b"ID3\x04\0\0\0\0\0\x10TPE1\0\0\0\x06alice COMM".to_vec(), set([Trace::Author, Trace::Remark])),
        (b"fLaC\x04\0\0\x20 ARTIST=alice LOCATION=home".to_vec(), set([Trace::Location, Trace::Author])),
        (b"OggS \x03vorbis encoder=x".to_vec(), set([Trace::Software])),
        (b"{\\rtf1 {\\info{\\author alice}}}".to_vec(), set([Trace::Author])),
        (b"<svg><dc:creator>alice</dc:creator></svg>".to_vec(), set([Trace::Author])),
    ] {
        let scratch = Scratch::new("traces");
        let path = scratch.path().join("file");
        fs::write(&path, &bytes).unwrap();
        let look = look_at(&path).unwrap();
        assert_eq!(look.depth, Depth::Whole);
        assert!(look.finding.as_ref().is_none_or(|found| !found.cleanable));
        assert_eq!(look.finding.map(|found| found.traces), traces, "{}", String::from_utf8_lossy(&bytes));
    }
}

#[test]
fn kinds_that_are_not_understood_are_counted_and_not_passed_off_as_clean() {
    let scratch = Scratch::new("traces");
    let kinds = [
        (&b"\x1a\x45\xdf\xa3 matroska"[..], false),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 old document", false),
        (b"PK\x03\x04 an archive", false),
        (b"GIF89a\x01\0\x01\0", false),
        (b"PK\x03\x04 [Content_Types].xml", true),
        (b"plain words", true),
        (b"", true),
    ];
    let files: Vec<_> = (0..kinds.len()).map(|number| scratch.path().join(number.to_string())).collect();
    for (file, (bytes, understood)) in files.iter().zip(kinds) {
        fs::write(file, bytes).unwrap();
        let depth = if understood { Depth::Whole } else { Depth::Unknown };
        assert_eq!(look_at(file).unwrap().depth, depth, "{}", String::from_utf8_lossy(bytes));
    }
    let report = look(&files);
    assert_eq!((report.looked, report.unseen, report.unknown, report.understood()), (7, 0, 4, 3));
}

/// The author of most PDF files of today lies in a packed object, where a search for words finds nothing.
#[test]
fn a_pdf_that_hides_something_is_not_passed_off_as_clean() {
    let scratch = Scratch::new("traces");
    let packed = "%PDF-1.5\n7 0 obj << /Type /ObjStm /N 3 /Filter /FlateDecode >> stream\npacked\nendstream";
    let (author, long) =
        (format!("{packed} /Author (alice)"), format!("%PDF-1.4{}", " ".repeat(ENDS.0 + ENDS.1)));
    let kinds = [
        (packed, Depth::Part, None),
        (&author, Depth::Part, set([Trace::Author])),
        ("%PDF-1.4\ntrailer << /Encrypt 9 0 R >>", Depth::Part, None),
        ("%PDF-1.4\n<< /Type /Catalog /Metadata 5 0 R >>", Depth::Part, None),
        ("%PDF-1.4 << /Metadata 5 0 R >> <rdf:RDF/>", Depth::Whole, set([Trace::Remark])),
        ("%PDF-1.4\n<< /Type /Catalog >>", Depth::Whole, None),
        (&long, Depth::Part, None),
    ];
    let files: Vec<_> = (0..kinds.len()).map(|number| scratch.path().join(number.to_string())).collect();
    for (file, (text, depth, traces)) in files.iter().zip(&kinds) {
        fs::write(file, text).unwrap();
        let look = look_at(file).unwrap();
        let text = text.trim_end();
        assert_eq!((look.depth, look.finding.map(|found| found.traces)), (*depth, traces.clone()), "{text}");
    }
    let report = look(&files);
    assert_eq!((report.partly, report.unknown, report.understood(), report.findings.len()), (5, 0, 2, 2));
}

#[test]
fn damage_is_an_error_and_leaves_no_half_copy() {
    let scratch = Scratch::new("traces");
    for whole in [jpeg(), png()] {
        for cut in 3..whole.len() - 12 {
            let (from, to) = (scratch.path().join("from"), scratch.path().join("to"));
            fs::write(&from, &whole[..cut]).unwrap();
            drop(look_at(&from));
            if clean(&from, &to).is_ok() {
                fs::remove_file(&to).ok();
            }
            assert!(!to.exists(), "{cut}");
        }
    }
    for place in 0..tags().len() {
        let mut wild = tags();
        wild[place] = 0xff;
        drop(tiff::traces(&wild));
    }
}

#[test]
fn the_ends_of_a_long_file_are_read() {
    let mut bytes = b"%PDF-1.4".to_vec();
    bytes.resize(ENDS.0 * 3, b' ');
    bytes.extend(b"/Author (alice)");
    assert_eq!(told(&bytes).map(|found| found.traces), set([Trace::Author]));
}

#[test]
fn a_report_counts_what_it_does_not_name() {
    let scratch = Scratch::new("traces");
    let files: Vec<_> = (0..NAMED + 5).map(|number| scratch.path().join(format!("{number}.png"))).collect();
    for file in &files {
        fs::write(file, png()).unwrap();
    }
    let missing = scratch.path().join("missing");
    let report = look(&[files, vec![missing]].concat());
    assert_eq!((report.findings.len(), report.more, report.unseen), (NAMED, 5, 1));
    assert!(report.findings.iter().all(|finding| finding.cleanable));
}
