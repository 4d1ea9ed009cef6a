//! What a process has cost, as the kernel counts it.

use std::{fs, io};

/// CPU time and memory of one process.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// Seconds of CPU, user and system, all threads; the kernel counts in hundredths.
    pub cpu_s: f64,
    /// Resident memory now, in bytes; 0 for a process that ended and was not yet waited for.
    pub rss: u64,
    /// Its highest value so far (`VmHWM`), in bytes.
    pub rss_peak: u64,
    /// Whether the process ended and was not yet waited for: the CPU time is final.
    pub ended: bool,
}

impl Usage {
    /// Reads `/proc`. An error when there is no such process.
    pub fn of(pid: u32) -> io::Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        parse(&stat, &status).ok_or_else(|| io::Error::other("the kernel's process file has an unknown form"))
    }
}

fn parse(stat: &str, status: &str) -> Option<Usage> {
    // The second field is the program's name in parentheses, which may itself hold spaces and parentheses.
    let (_, fields) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<u32>().ok());
    let cpu_s = (f64::from(ticks(11)?) + f64::from(ticks(12)?)) / TICKS_PER_SECOND;
    let kib = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key));
        line.and_then(|rest| rest.split_whitespace().next()).and_then(|number| number.parse::<u64>().ok())
    };
    let bytes = |key| kib(key).unwrap_or(0).saturating_mul(1024);
    Some(Usage {
        cpu_s,
        rss: bytes("VmRSS:"),
        rss_peak: bytes("VmHWM:"),
        ended: fields.first() == Some(&"Z"),
    })
}

/// `USER_HZ`, the unit of `/proc/PID/stat`; 100 on every Linux we run on (proc(5)).
const TICKS_PER_SECOND: f64 = 100.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_past_an_odd_name() {
        let stat = "7 (a) b) (c) S 1 7 7 0 -1 4194560 1 0 0 0 250 50 0 0 20 0 1 0 9 9 9";
        let usage = parse(stat, "Name:\ta\nVmHWM:\t    2048 kB\nVmRSS:\t  1024 kB\n").unwrap();
        assert_eq!(usage, Usage { cpu_s: 3.0, rss: 1 << 20, rss_peak: 2 << 20, ended: false });
    }

    #[test]
    fn reads_our_own_process() {
        let usage = Usage::of(std::process::id()).unwrap();
        assert!(usage.rss > 0 && usage.rss_peak >= usage.rss && !usage.ended);
    }
}
