//! Signed records. Ed25519 signatures are deterministic, so the whole record is known.

use bulbil_core::content::merkle::leaf;
use bulbil_core::id::{InfoHash, NodeKey};
use bulbil_core::limits::MAX_RECORD;
use bulbil_core::time::Date;
use bulbil_core::tracker::record::{Body, Record, Signed, Visibility};
use ed25519_dalek::SigningKey;

const TODAY: Date = Date(1_800_000_000);

pub(super) fn signed() {
    let body = Body::Share {
        info_hash: InfoHash([7; 32]),
        name: "a",
        size: 300,
        tags: "t",
        text: "",
        visibility: Visibility::Public,
    };
    let record =
        Record { author: NodeKey([0; 32]), version: 1, made: TODAY, expires: Date(TODAY.0 + 3600), body };
    let mut buf = [0; MAX_RECORD];
    let len = record.sign(&SigningKey::from_bytes(&[5; 32]), &mut buf).unwrap().len();
    assert_eq!(leaf(&buf[..len]).0[..4], [0x07, 0xdf, 0x69, 0x18]);
    assert_eq!(Signed::check(&buf[..len], TODAY).unwrap().record().body, body);
    for at in [0, 40, len - 1] {
        buf[at] ^= 1;
        assert!(Signed::check(&buf[..len], TODAY).is_err(), "byte {at}");
        buf[at] ^= 1;
    }
}
