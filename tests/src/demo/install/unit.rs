//! The systemd unit, judged by systemd.

use std::io;
use std::process::Command;

use super::{Rows, output, top};

/// Exposure at most, as systemd counts it: 0 is none, 10 is all.
const MOST: f64 = 1.5;

pub(super) fn run(rows: &mut Rows) -> io::Result<()> {
    let unit = top().join("boards/deploy/bulbil.service");
    let printed =
        output(Command::new("systemd-analyze").args(["security", "--offline=yes", "--no-pager"]).arg(unit))?;
    let score = score(&printed).ok_or_else(|| io::Error::other("systemd-analyze gave no exposure level"))?;
    rows.add("unit: exposure by systemd-analyze security", score <= MOST, score, "of 10");
    Ok(())
}

/// `→ Overall exposure level for bulbil.service: 1.1 OK`.
fn score(printed: &str) -> Option<f64> {
    let line = printed.lines().find(|line| line.contains("Overall exposure level"))?;
    line.rsplit_once(": ")?.1.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_score_is_read() {
        assert_eq!(score("x\n→ Overall exposure level for bulbil.service: 1.1 OK 🙂\n"), Some(1.1));
        assert_eq!(score("nothing"), None);
    }
}
