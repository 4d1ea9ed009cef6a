//! Arti's errors, by whom to blame. Their texts may hold addresses and never leave this file.

use arti_client::{Error, ErrorKind, HasKind};

use crate::net::NetError;

/// What a failed connect means.
pub(super) fn of_connect(error: &Error) -> NetError {
    log::debug!("connect failed: {:?}", error.kind());
    of_kind(error.kind())
}

/// Whether trying again in a moment is the cure: right after bootstrap the vanguards may not be chosen yet.
pub(super) fn too_early(error: &Error) -> bool {
    error.kind() == ErrorKind::BootstrapRequired
}

fn of_kind(kind: ErrorKind) -> NetError {
    match kind {
        ErrorKind::BootstrapRequired
        | ErrorKind::TorAccessFailed
        | ErrorKind::DirectoryExpired
        | ErrorKind::TorDirectoryUnusable
        | ErrorKind::LocalNetworkError => NetError::NotReady,
        ErrorKind::OnionServiceNotFound
        | ErrorKind::OnionServiceNotRunning
        | ErrorKind::OnionServiceAddressInvalid => NetError::NotFound,
        ErrorKind::OnionServiceMissingClientAuth | ErrorKind::OnionServiceWrongClientAuth => {
            NetError::Unauthorized
        }
        ErrorKind::TorNetworkTimeout | ErrorKind::RemoteNetworkTimeout | ErrorKind::ExitTimeout => {
            NetError::Timeout
        }
        ErrorKind::RemoteConnectionRefused
        | ErrorKind::RemoteStreamClosed
        | ErrorKind::RemoteStreamReset
        | ErrorKind::RemoteStreamError => NetError::Refused,
        ErrorKind::ReactorShuttingDown | ErrorKind::ArtiShuttingDown => NetError::Shutdown,
        _ => NetError::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_told_apart() {
        assert_eq!(of_kind(ErrorKind::OnionServiceNotFound), NetError::NotFound);
        assert_eq!(of_kind(ErrorKind::OnionServiceWrongClientAuth), NetError::Unauthorized);
        assert_eq!(of_kind(ErrorKind::BootstrapRequired), NetError::NotReady);
        assert_eq!(of_kind(ErrorKind::Internal), NetError::Failed);
    }
}
