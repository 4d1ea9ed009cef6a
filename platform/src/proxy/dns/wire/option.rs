//! The record at the end of messages that speak EDNS, and the errors that it explains.

use super::{DO, Detail, OPT, UDP, u16_at};

/// The EDNS option that says why (RFC 8914, section 2).
const EXTENDED_ERROR: u16 = 15;

/// Bytes of such options that are passed on; more explains nothing.
const MAX_REASONS: usize = 512;

/// An extended error without text (RFC 8914, section 2).
pub(super) fn reason(detail: Detail) -> Vec<u8> {
    [EXTENDED_ERROR, 2, detail as u16].into_iter().flat_map(u16::to_be_bytes).collect()
}

/// The extended errors among the options of an OPT record (RFC 6891, section 6.1.2), as they came.
pub(super) fn reasons(options: &[u8]) -> Vec<u8> {
    let (mut found, mut rest) = (Vec::new(), options);
    while let Some((code, length)) = u16_at(rest, 0).zip(u16_at(rest, 2)) {
        let Some((option, more)) = rest.split_at_checked(usize::from(length).saturating_add(4)) else {
            break;
        };
        if code == EXTENDED_ERROR && found.len().saturating_add(option.len()) <= MAX_REASONS {
            found.extend(option);
        }
        rest = more;
    }
    found
}

/// Puts an OPT record at the end (RFC 6891, section 6.1.2).
pub(super) fn option(bytes: &mut Vec<u8>, extended: u8, wants_proofs: bool, data: &[u8]) {
    bytes.push(0);
    bytes.extend(OPT.to_be_bytes());
    bytes.extend(UDP.to_be_bytes());
    let time = (u32::from(extended) << 24) | if wants_proofs { DO } else { 0 };
    bytes.extend(time.to_be_bytes());
    bytes.extend(u16::try_from(data.len()).unwrap_or(0).to_be_bytes());
    bytes.extend(data);
}
