//! How much of the node's memory Tor's queues may take, and long streams.
//!
//! A third of `memory` is the node itself, a sixth waits in Tor's queues, and half is for open streams: what Arti sets
//! aside for each, and what long ones make it hold.

use crate::config::Config;

/// A sixth of the node's memory may wait in Tor's queues: 16 MiB by default, a second or two of eight busy lanes.
const SHARE: u64 = 6;

/// What Arti sets aside for each open stream, in bytes, used or not: twice tor-memquota 0.47's `MAX_CACHE`. Where that
/// is more than it may take altogether, it closes whole circuits with all their streams.
pub(in crate::net) const RESERVE: u64 = 2 * 16 * 1024;

/// In bytes. Room for as many streams as the SOCKS listener takes, but never more than five sixths of the memory.
pub(super) fn of(config: &Config) -> u64 {
    let (all, socks) = (config.memory.0, &config.proxy.socks);
    let streams = if socks.enabled { u64::from(socks.max_connections) } else { 0 };
    let share = all / SHARE;
    (share + streams * RESERVE).min(all - share).max(super::tor::MIN_MEMORY)
}

/// In bytes: half of the memory, for open streams and what long ones cost, of all kinds together. What Arti sets aside
/// for streams that are open goes off it; a single upload of 950 MiB is left by default.
pub(super) const fn wear(config: &Config) -> u64 {
    config.memory.0 / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;

    #[test]
    fn there_is_room_for_as_many_streams_as_the_proxy_takes() {
        let mut config = Config::default();
        assert_eq!(of(&config), (16 + 64) * MIB);
        config.proxy.socks.max_connections = 64;
        assert_eq!(of(&config), (16 + 2) * MIB);
        config.proxy.socks.enabled = false;
        assert_eq!(of(&config), 16 * MIB);
    }

    #[test]
    fn the_shares_are_no_more_than_the_memory() {
        let config = Config::default();
        let (all, queues) = (config.memory.0, config.memory.0 / SHARE);
        assert_eq!(all / 3 + queues + wear(&config), all);
        // As Arti counts, some streams may be open beside the node, full queues and long streams.
        let streams = 1024;
        assert!(all / 3 + queues + streams * RESERVE + wear(&config) / 3 <= all);
    }

    #[test]
    fn it_is_never_all_of_the_memory() {
        let mut config = Config::default();
        config.memory.0 = 48 * MIB;
        assert_eq!(of(&config), 40 * MIB);
    }
}
