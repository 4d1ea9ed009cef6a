//! What a client is told.

use tor_socksproto::{SocksAddr, SocksStatus};

use crate::exit::ReachError;

/// One reply.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) status: SocksStatus,
    pub(super) address: Option<SocksAddr>,
}

impl Reply {
    pub(super) const fn done() -> Self {
        Self { status: SocksStatus::SUCCEEDED, address: None }
    }

    pub(super) const fn found(address: SocksAddr) -> Self {
        Self { status: SocksStatus::SUCCEEDED, address: Some(address) }
    }

    /// No room for another connection.
    pub(super) const fn full() -> Self {
        Self { status: SocksStatus::GENERAL_FAILURE, address: None }
    }

    pub(super) const fn not_allowed() -> Self {
        Self { status: SocksStatus::NOT_ALLOWED, address: None }
    }

    pub(super) const fn no_command() -> Self {
        Self { status: SocksStatus::COMMAND_NOT_SUPPORTED, address: None }
    }

    /// `extended`: by Tor's own codes where there is one.
    pub(super) fn failed(why: ReachError, extended: bool) -> Self {
        let status = if extended { of_onion(why) } else { None };
        Self { status: status.unwrap_or_else(|| plain(why)), address: None }
    }
}

/// Proposal 304.
const fn of_onion(why: ReachError) -> Option<SocksStatus> {
    Some(match why {
        ReachError::OnionNotFound => SocksStatus::HS_DESC_NOT_FOUND,
        ReachError::OnionNotRunning => SocksStatus::HS_INTRO_FAILED,
        ReachError::OnionFailed => SocksStatus::HS_REND_FAILED,
        ReachError::OnionKeyMissing => SocksStatus::HS_MISSING_CLIENT_AUTH,
        ReachError::OnionKeyWrong => SocksStatus::HS_WRONG_CLIENT_AUTH,
        ReachError::OnionAddress => SocksStatus::HS_BAD_ADDRESS,
        ReachError::OnionTimeout => SocksStatus::HS_INTRO_TIMEOUT,
        _ => return None,
    })
}

/// RFC 1928, section 6, as C tor uses it; what that calls a host that cannot be reached is a name without address.
const fn plain(why: ReachError) -> SocksStatus {
    match why {
        ReachError::Refused => SocksStatus::CONNECTION_REFUSED,
        ReachError::Unreachable => SocksStatus::NETWORK_UNREACHABLE,
        ReachError::Forbidden
        | ReachError::Private
        | ReachError::OnionKeyMissing
        | ReachError::OnionKeyWrong => SocksStatus::NOT_ALLOWED,
        ReachError::Timeout | ReachError::OnionTimeout => SocksStatus::TTL_EXPIRED,
        ReachError::NoSuchName
        | ReachError::NameFailed
        | ReachError::BadName
        | ReachError::OnionAddress
        | ReachError::OnionNotFound
        | ReachError::OnionNotRunning
        | ReachError::OnionFailed => SocksStatus::HOST_UNREACHABLE,
        ReachError::NotReady | ReachError::NewIdentity | ReachError::Failed | ReachError::Shutdown => {
            SocksStatus::GENERAL_FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(why: ReachError, extended: bool) -> u8 {
        Reply::failed(why, extended).status.into()
    }

    #[test]
    fn kinds_have_codes_of_their_own() {
        for (why, expected) in [
            (ReachError::Failed, 1),
            (ReachError::Private, 2),
            (ReachError::Forbidden, 2),
            (ReachError::Unreachable, 3),
            (ReachError::NoSuchName, 4),
            (ReachError::Refused, 5),
            (ReachError::Timeout, 6),
        ] {
            assert_eq!((code(why, false), code(why, true)), (expected, expected));
        }
    }

    #[test]
    fn onion_codes_come_only_when_asked_for() {
        for (why, expected) in [
            (ReachError::OnionNotFound, 0xF0),
            (ReachError::OnionNotRunning, 0xF2),
            (ReachError::OnionFailed, 0xF3),
            (ReachError::OnionKeyMissing, 0xF4),
            (ReachError::OnionKeyWrong, 0xF5),
            (ReachError::OnionAddress, 0xF6),
            (ReachError::OnionTimeout, 0xF7),
        ] {
            assert_eq!(code(why, true), expected);
            assert!(code(why, false) <= 8);
        }
        assert!(ReachError::ALL.iter().all(|why| code(*why, true) != 0 && code(*why, false) != 0));
    }
}
