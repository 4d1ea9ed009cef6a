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
    /// Of `rss`, pages of files: the program itself and what it mapped.
    pub rss_file: u64,
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
        rss_file: bytes("RssFile:"),
        ended: fields.first() == Some(&"Z"),
    })
}

/// The time that all CPUs together have spent since the machine started.
#[derive(Clone, Copy, Debug)]
pub struct Machine {
    idle: u32,
    all: u32,
}

impl Machine {
    /// Reads `/proc/stat`.
    pub fn now() -> io::Result<Self> {
        machine(&fs::read_to_string("/proc/stat")?)
            .ok_or_else(|| io::Error::other("the kernel's statistics have an unknown form"))
    }

    /// The part of the time since then in which CPUs were busy, 0 to 1, with whatever.
    pub fn busy_since(self, then: Self) -> f64 {
        let idle = f64::from(self.idle.wrapping_sub(then.idle));
        let all = f64::from(self.all.wrapping_sub(then.all));
        if all > 0.0 { 1.0 - idle / all } else { 0.0 }
    }
}

/// The first line counts all CPUs: user, nice, system, idle, iowait, irq, softirq, steal (proc(5)). The counters are cut to
/// 32 bits, which differences of less than a year do not notice.
fn machine(stat: &str) -> Option<Machine> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    let low = |ticks: u64| u32::try_from(ticks & u64::from(u32::MAX)).unwrap_or(0);
    let ticks: Vec<u32> = line.split_whitespace().take(8).filter_map(|n| n.parse().ok().map(low)).collect();
    let idle = ticks.get(3)?.wrapping_add(*ticks.get(4)?);
    Some(Machine { idle, all: ticks.iter().fold(0, |sum, ticks| u32::wrapping_add(sum, *ticks)) })
}

/// `USER_HZ`, the unit of `/proc/PID/stat`; 100 on every Linux we run on (proc(5)).
const TICKS_PER_SECOND: f64 = 100.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_past_an_odd_name() {
        let stat = "7 (a) b) (c) S 1 7 7 0 -1 4194560 1 0 0 0 250 50 0 0 20 0 1 0 9 9 9";
        let status = "Name:\ta\nVmHWM:\t    2048 kB\nVmRSS:\t  1024 kB\nRssFile:\t 512 kB\n";
        let usage = parse(stat, status).unwrap();
        let expected = Usage { cpu_s: 3.0, rss: 1 << 20, rss_peak: 2 << 20, rss_file: 1 << 19, ended: false };
        assert_eq!(usage, expected);
    }

    #[test]
    fn a_machine_is_busy_with_all_but_idling() {
        let then = machine("cpu  10 0 10 100 0 0 0 0 0 0\ncpu0 1 1\n").unwrap();
        let now = machine("cpu  50 10 20 130 10 0 5 5 9 9\n").unwrap();
        assert!((now.busy_since(then) - 0.6).abs() < 1e-9);
        assert!(then.busy_since(then).abs() < 1e-9);
    }

    #[test]
    fn reads_our_own_process() {
        let usage = Usage::of(std::process::id()).unwrap();
        assert!(usage.rss > 0 && usage.rss_peak >= usage.rss && !usage.ended);
    }
}
