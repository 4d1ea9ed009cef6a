//! Arti's errors, by whom to blame. Their texts may hold addresses and never leave this file.

use arti_client::{Error, ErrorKind, HasKind};

use crate::exit::ReachError;
use crate::net::NetError;

/// What a failed connect means.
pub(super) fn of_connect(error: &Error) -> NetError {
    log::debug!("connect failed: {:?}", error.kind());
    of_kind(error.kind())
}

/// Whether trying again in a moment is the cure: right after bootstrap the vanguards may not be chosen yet.
pub(super) fn too_early(kind: ErrorKind) -> bool {
    kind == ErrorKind::BootstrapRequired
}

/// What a failed way out means. `onion`: the target is an onion service.
pub(super) fn of_reach(kind: ErrorKind, onion: bool) -> ReachError {
    log::debug!("a target was not reached: {kind:?}");
    of_target(kind, onion)
}

/// Whether another circuit may do what this one did not: the exit or the path is at fault, or may be.
pub(super) const fn of_path(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::ExitPolicyRejected
            | ErrorKind::RelayTooBusy
            | ErrorKind::CircuitCollapse
            | ErrorKind::CircuitRefused
            | ErrorKind::TorNetworkTimeout
            | ErrorKind::TransientFailure
            | ErrorKind::TorProtocolViolation
            | ErrorKind::RemoteHostResolutionFailed
            | ErrorKind::RemoteNetworkTimeout
            | ErrorKind::ExitTimeout
            // How tor-proto 0.47 calls it when the circuit went while the stream was being opened.
            | ErrorKind::BadApiUsage
    )
}

/// Whether nobody said anything.
pub(super) const fn of_silence(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::RemoteNetworkTimeout | ErrorKind::ExitTimeout)
}

fn of_target(kind: ErrorKind, onion: bool) -> ReachError {
    match kind {
        // "Miscellaneous" is what C tor's exits say when a connect failed and the reason got lost on its way to them,
        // which is how most refusals end there.
        ErrorKind::RemoteConnectionRefused | ErrorKind::RemoteStreamError | ErrorKind::RemoteStreamReset => {
            ReachError::Refused
        }
        ErrorKind::RemoteNetworkFailed => ReachError::Unreachable,
        ErrorKind::ExitPolicyRejected | ErrorKind::NoExit => ReachError::Forbidden,
        ErrorKind::NoPath if !onion => ReachError::Forbidden,
        ErrorKind::ForbiddenStreamTarget => ReachError::Private,
        ErrorKind::InvalidStreamTarget | ErrorKind::OnionServiceAddressInvalid if onion => {
            ReachError::OnionAddress
        }
        ErrorKind::InvalidStreamTarget => ReachError::BadName,
        ErrorKind::RemoteHostNotFound => ReachError::NoSuchName,
        ErrorKind::RemoteHostResolutionFailed => ReachError::NameFailed,
        ErrorKind::OnionServiceNotFound => ReachError::OnionNotFound,
        ErrorKind::OnionServiceNotRunning
        | ErrorKind::OnionServiceConnectionFailed
        | ErrorKind::OnionServiceProtocolViolation => ReachError::OnionNotRunning,
        ErrorKind::OnionServiceMissingClientAuth => ReachError::OnionKeyMissing,
        ErrorKind::OnionServiceWrongClientAuth => ReachError::OnionKeyWrong,
        other => match (of_kind(other), onion) {
            (NetError::NotReady, _) => ReachError::NotReady,
            (NetError::Shutdown, _) => ReachError::Shutdown,
            (NetError::Timeout, true) => ReachError::OnionTimeout,
            (NetError::Timeout, false) => ReachError::Timeout,
            // An onion service ends a stream like this whatever its reason; the target behind it refused.
            (NetError::Refused, true) => ReachError::Refused,
            (_, true) => ReachError::OnionFailed,
            (_, false) => ReachError::Failed,
        },
    }
}

fn of_kind(kind: ErrorKind) -> NetError {
    match kind {
        ErrorKind::BootstrapRequired
        | ErrorKind::TorAccessFailed
        | ErrorKind::DirectoryExpired
        | ErrorKind::TorDirectoryUnusable
        | ErrorKind::LocalNetworkError => NetError::NotReady,
        ErrorKind::OnionServiceNotFound | ErrorKind::OnionServiceAddressInvalid => NetError::NotFound,
        ErrorKind::OnionServiceNotRunning | ErrorKind::OnionServiceConnectionFailed => NetError::Offline,
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
        assert_eq!(of_kind(ErrorKind::OnionServiceConnectionFailed), NetError::Offline);
        assert_eq!(of_kind(ErrorKind::OnionServiceWrongClientAuth), NetError::Unauthorized);
        assert_eq!(of_kind(ErrorKind::BootstrapRequired), NetError::NotReady);
        assert_eq!(of_kind(ErrorKind::Internal), NetError::Failed);
    }

    #[test]
    fn another_circuit_is_tried_where_this_one_went() {
        assert!(of_path(ErrorKind::CircuitCollapse) && of_path(ErrorKind::BadApiUsage));
        assert!(!of_path(ErrorKind::RemoteConnectionRefused));
    }

    #[test]
    fn targets_fail_in_their_own_ways() {
        for (kind, expected) in [
            (ErrorKind::RemoteConnectionRefused, ReachError::Refused),
            (ErrorKind::RemoteStreamError, ReachError::Refused),
            (ErrorKind::RemoteNetworkFailed, ReachError::Unreachable),
            (ErrorKind::ExitPolicyRejected, ReachError::Forbidden),
            (ErrorKind::NoPath, ReachError::Forbidden),
            (ErrorKind::ForbiddenStreamTarget, ReachError::Private),
            (ErrorKind::ExitTimeout, ReachError::Timeout),
            (ErrorKind::RemoteHostNotFound, ReachError::NoSuchName),
            (ErrorKind::RemoteHostResolutionFailed, ReachError::NameFailed),
            (ErrorKind::CircuitCollapse, ReachError::Failed),
        ] {
            assert_eq!(of_target(kind, false), expected);
        }
        assert_eq!(of_target(ErrorKind::TorNetworkTimeout, true), ReachError::OnionTimeout);
        assert_eq!(of_target(ErrorKind::CircuitCollapse, true), ReachError::OnionFailed);
        assert_eq!(of_target(ErrorKind::InvalidStreamTarget, true), ReachError::OnionAddress);
        assert_eq!(of_target(ErrorKind::OnionServiceNotFound, true), ReachError::OnionNotFound);
    }
}
