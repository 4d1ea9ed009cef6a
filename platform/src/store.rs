//! Keeps the bytes of shares: [`Served`] reads files in place, [`Fetched`] writes a fetch so that it can be resumed.
//!
//! Both refuse to hand out a byte that does not match the share's hashes. Calls wait for the disk, never for the network.

mod content;
mod fetched;
mod handles;
mod ledger;
mod served;
mod warming;

pub use content::{Content, ContentError};
pub use fetched::{Fetched, Flush, Found, OpenError, Tidy};
pub use served::Served;
pub use warming::{Warm, Warming};

use std::io;

use bulbil_core::store::StoreError;

/// Whose fault an I/O error is.
fn blame(error: &io::Error) -> StoreError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            StoreError::Full
        }
        io::ErrorKind::UnexpectedEof => StoreError::Changed,
        _ => StoreError::Failed,
    }
}

#[cfg(test)]
mod tests;
