//! How much of the node's memory Tor's queues may take, and long streams.

use crate::config::Config;

/// A sixth of the node's memory may wait in Tor's queues: 16 MiB by default, a second or two of eight busy lanes.
const SHARE: u64 = 6;

/// What Arti sets aside for each open stream, in bytes, used or not: twice tor-memquota 0.47's `MAX_CACHE`. Where that
/// is more than it may take altogether, it closes whole circuits with all their streams.
const RESERVE: u64 = 2 * 16 * 1024;

/// In bytes. Room for as many streams as the SOCKS listener takes, but never more than five sixths of the memory.
pub(super) fn of(config: &Config) -> u64 {
    let (all, socks) = (config.memory.0, &config.proxy.socks);
    let streams = if socks.enabled { u64::from(socks.max_connections) } else { 0 };
    let share = all / SHARE;
    (share + streams * RESERVE).min(all - share).max(super::tor::MIN_MEMORY)
}

/// In bytes: what long streams may cost beside that. Two thirds of the memory, by default enough for a download of 1.2 GiB.
pub(super) const fn wear(config: &Config) -> u64 {
    config.memory.0 / 3 * 2
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
    fn it_is_never_all_of_the_memory() {
        let mut config = Config::default();
        config.memory.0 = 48 * MIB;
        assert_eq!(of(&config), 40 * MIB);
    }
}
