//! A `.torrent` file that passed has exactly the piece layers that its files need.
#![no_main]

use bulbil_core::content::metainfo::Torrent;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(torrent) = Torrent::parse(data) else { return };
    let piece_len = u64::from(torrent.info().piece_len());
    for file in torrent.info().files() {
        let layer = file.root.and_then(|root| torrent.layer(&root));
        let wanted = (file.length > piece_len).then(|| file.length.div_ceil(piece_len) * 32);
        // A short file may share its root with no long one: roots of different heights differ.
        assert_eq!(layer.map(|layer| layer.len() as u64), wanted);
    }
});
