//! A `.torrent` file that passed has exactly the piece layers that its files need.
#![no_main]

use bulbil_core::content::metainfo::Torrent;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(torrent) = Torrent::parse(data) else { return };
    let piece_len = u64::from(torrent.info().piece_len());
    let long = torrent.info().files().filter(|file| file.length > piece_len);
    for file in long {
        let layer = file.root.and_then(|root| torrent.layer(&root)).expect("a checked layer");
        assert_eq!(layer.len() as u64, file.length.div_ceil(piece_len) * 32);
    }
});
