//! An info dictionary that passed can be listed, laid out, written and read again.
#![no_main]

use bulbil_core::content::metainfo::{Info, NewFile, write_info};
use bulbil_core::content::{Layout, Span};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(info) = Info::parse(data) else { return };
    let files: Vec<_> = info.files().collect();
    assert_eq!(files.len(), info.file_count() as usize);
    let layout = Layout::new(info.piece_len(), info.spans().collect::<Vec<Span>>()).expect("a checked layout");
    assert_eq!((layout.pieces(), layout.total()), (info.pieces(), info.total()));
    let mut again = Vec::new();
    let new = files.iter().map(|file| NewFile {
        path: file.path.components(),
        length: file.length,
        root: file.root.unwrap_or_default(),
    });
    write_info(info.name(), info.piece_len(), new, |bytes| again.extend_from_slice(bytes)).expect("sorted files");
    let second = Info::parse(&again).expect("our own bytes");
    assert_eq!((second.total(), second.file_count()), (info.total(), info.file_count()));
});
