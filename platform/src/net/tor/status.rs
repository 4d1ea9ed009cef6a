//! Bootstrap in words: how far, what now, and why not further.

use arti_client::status::{Blockage, BlockageKind, BootstrapStatus};
use tor_proto::ClockSkew;

use crate::status::NetStatus;

/// Skew up to this many seconds is no news: certificates and the consensus bear more.
const NOTABLE_SKEW_S: i64 = 60;

/// Skew over this many seconds cannot be true: relays' clocks are then what is wrong (or somebody lies).
const SENSELESS_SKEW_S: i64 = 20 * 366 * 86_400;

/// A clock that is wrong by a day never gets a directory, also while Arti still tries and says nothing of being stuck.
const HOPELESS_SKEW_S: i64 = 86_400;

/// Takes what Arti says into our status.
pub(super) fn apply(status: &mut NetStatus, arti: &BootstrapStatus) {
    // `as_frac` is within 0 and 1; the cast saturates.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates within 0 to 100")]
    let percent = (arti.as_frac() * 100.0).clamp(0.0, 100.0) as u8;
    status.percent = percent;
    status.ready = arti.ready_for_traffic();
    if status.ready {
        status.percent = 100;
    }
    status.doing = doing(status.percent, status.ready).into();
    status.blocked = if status.ready {
        None
    } else {
        arti.blocked().and_then(|why| blocked(&why, status.clock_skew_s)).or_else(|| {
            status.clock_skew_s.filter(|seconds| seconds.abs() >= HOPELESS_SKEW_S).map(clock_text)
        })
    };
}

/// What it does at this point.
const fn doing(percent: u8, ready: bool) -> &'static str {
    match percent {
        _ if ready => "connected to the Tor network",
        0 => "starting",
        1..15 => "connecting to the Tor network",
        15..100 => "loading the directory of relays",
        _ => "choosing relays",
    }
}

/// Why it is stuck and what to do about it.
fn blocked(why: &Blockage, skew: Option<i64>) -> Option<String> {
    let clock = skew.filter(|seconds| seconds.abs() >= NOTABLE_SKEW_S).map(clock_text);
    Some(match why.kind() {
        // Ours to end: it is how Arti says that bootstrap has not been called yet.
        BlockageKind::Disabled => return None,
        BlockageKind::Offline => "no connection to the internet; check the cable, the Wi-Fi and the router".into(),
        BlockageKind::Filtering => clock.unwrap_or_else(|| {
            "connections start but do not get through; the network seems to block Tor, try another network or a bridge".into()
        }),
        BlockageKind::ClockSkewed => {
            clock.unwrap_or_else(|| "the clock of this machine is wrong; set it to the right time".into())
        }
        BlockageKind::CantReachTor => clock.unwrap_or_else(|| NO_RELAY.into()),
        _ => clock.unwrap_or_else(|| NO_DIRECTORY.into()),
    })
}

const NO_RELAY: &str = "no Tor relay answers; check the connection, and whether the network blocks Tor";

const NO_DIRECTORY: &str = "the directory of relays cannot be loaded; check the clock and the connection";

/// What to look at when it stands still at this point and Arti gives no reason.
pub(super) const fn standstill(percent: u8) -> &'static str {
    if percent < 15 { NO_RELAY } else { NO_DIRECTORY }
}

/// The clock's error in words.
fn clock_text(seconds: i64) -> String {
    let direction = if seconds > 0 { "fast" } else { "slow" };
    format!("the clock of this machine is {} seconds {direction}; set it to the right time", seconds.abs())
}

/// Seconds our clock is ahead; `None` when the network does not say, or cannot be right.
pub(super) fn skew_seconds(skew: ClockSkew) -> Option<i64> {
    let seconds = match skew {
        ClockSkew::None => 0,
        ClockSkew::Slow(by) => i64::try_from(by.as_secs()).unwrap_or(i64::MAX).saturating_neg(),
        ClockSkew::Fast(by) => i64::try_from(by.as_secs()).unwrap_or(i64::MAX),
    };
    (seconds.abs() < SENSELESS_SKEW_S).then_some(seconds)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn skew_has_a_sign_and_a_bound() {
        assert_eq!(skew_seconds(ClockSkew::Slow(Duration::from_secs(90))), Some(-90));
        assert_eq!(skew_seconds(ClockSkew::Fast(Duration::from_secs(90))), Some(90));
        assert_eq!(skew_seconds(ClockSkew::None), Some(0));
        assert_eq!(skew_seconds(ClockSkew::Fast(Duration::MAX)), None);
    }

    #[test]
    fn the_clock_text_names_seconds_and_direction() {
        assert!(clock_text(-93_600).contains("93600 seconds slow"));
        assert!(clock_text(300).contains("300 seconds fast"));
    }
}
