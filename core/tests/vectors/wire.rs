//! Frames as they travel.

use bulbil_core::limits::MAX_FRAME;
use bulbil_core::wire::friend::Friend;
use bulbil_core::wire::mail::Mail;
use bulbil_core::wire::tracker::Mirror;
use bulbil_core::wire::{Malformed, Message, Opening};

/// One frame for each message of a share, in the order of their numbers.
const SHARE: [&[u8]; 16] = [
    &[0],
    &[1, 0xac, 2],
    &[2, 8, 1, 0x80],
    &[3, 1],
    &[4, 0],
    &[5, 0xac, 2, 2],
    &[6, 0xac, 2, 2],
    &[7, 0xac, 2, 2, 0, 2, b'o', b'k'],
    &[8, 0xac, 2, 2, 1],
    &[9, 1, 0x80, 4],
    &[10, 1, 0, 0, 0],
    &[11, 0x80, 0x80, 1],
    &[13, 2, 1, b'a'],
    &[14, 2, 1, b'a'],
    &[15],
    &[16],
];

const MIRROR: [&[u8]; 4] = [&[0], &[7, 1, 3, 0, 1, b'a'], &[8, 3, 0, 1, b'a'], &[9]];

const MAIL: [&[u8]; 5] = [&[0], &[1, 0xac, 2, 2, b'h', b'i'], &[2, 0xac, 2], &[3, 0xac, 2], &[4]];

const FRIEND: [&[u8]; 2] = [&[3], &[4]];

pub(super) fn share() {
    let mut buf = [0; MAX_FRAME];
    for frame in SHARE {
        assert_eq!(Message::decode(frame).unwrap().encode(&mut buf).unwrap(), frame);
    }
    assert_eq!(Message::decode(SHARE[1]), Ok(Message::Have(300)));
    assert_eq!(Message::decode(SHARE[11]), Ok(Message::AskInfo(16384)));
    assert_eq!(Opening::Refused.encode(&mut buf).unwrap(), [2]);
}

pub(super) fn others() {
    let mut buf = [0; 256];
    for frame in MIRROR {
        assert_eq!(Mirror::decode(frame).unwrap().encode(&mut buf).unwrap(), frame);
    }
    for frame in MAIL {
        assert_eq!(Mail::decode(frame).unwrap().encode(&mut buf).unwrap(), frame);
    }
    for frame in FRIEND {
        assert_eq!(Friend::decode(frame).unwrap().encode(&mut buf).unwrap(), frame);
    }
    assert_eq!(Mail::decode(MAIL[1]), Ok(Mail::Letter { id: 300, text: "hi" }));
}

pub(super) fn refused() {
    let wrong: [&[u8]; 6] =
        [&[], &[99], &[0, 0], &[1], &[7, 0xac, 2, 2, 0, 9, b'o'], &[1, 0xff, 0xff, 0xff, 0xff, 0xff]];
    for frame in wrong {
        assert_eq!(Message::decode(frame), Err(Malformed));
    }
    assert_eq!(Mail::decode(&[1, 1, 2, 0xff, 0xfe]), Err(Malformed), "no UTF-8");
}
