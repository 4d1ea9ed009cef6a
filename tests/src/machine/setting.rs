//! What is not as it should be around a machine.

use std::process::Command;

/// Everything is fine unless it says otherwise.
#[derive(Clone, Debug, Default)]
pub struct Setting {
    /// When it believes to be switched on, such as `1970-01-01T00:00:00`.
    pub clock: Option<&'static str>,
    /// Bytes a second that its card can be written with.
    pub write_limit: Option<u32>,
    /// The cable is in, and nobody answers at its other end.
    pub router_is_silent: bool,
    /// The kernel listens to keys at its console: see [`super::Machine::kill_largest`].
    pub keys: bool,
}

/// What tells QEMU how many bytes a second a drive can be written with.
pub(super) fn write_limit(drive: &str, limit: u32) -> String {
    format!(
        "{{\"execute\":\"block_set_io_throttle\",\"arguments\":{{\"device\":\"{drive}\",\"bps\":0,\"bps_rd\":0,\"bps_wr\":{limit},\
         \"iops\":0,\"iops_rd\":0,\"iops_wr\":0}}}}"
    )
}

impl Setting {
    pub(super) fn apply(&self, command: &mut Command) {
        if let Some(clock) = self.clock {
            command.args(["-rtc", &format!("base={clock}")]);
        }
    }

    /// More words about a drive.
    pub(super) fn drive(&self) -> String {
        self.write_limit.map_or_else(String::new, |limit| format!(",throttling.bps-write={limit}"))
    }

    pub(super) fn cmdline(&self, plain: &str) -> String {
        format!("{plain}{}", if self.keys { " sysrq_always_enabled" } else { "" })
    }
}
