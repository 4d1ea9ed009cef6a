//! Numbers and texts as people read them.

/// Without what would move a terminal's cursor or colour its text: others wrote this.
pub(crate) fn plain(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}

/// Bytes with a binary unit: `1.5 MiB`.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let (mut tenths, mut unit) = (u128::from(bytes) * 10 / 1024, 0);
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    let name = UNITS.get(unit).copied().unwrap_or("B");
    if tenths < 1000 {
        format!("{}.{} {name}", tenths / 10, tenths % 10)
    } else {
        format!("{} {name}", tenths / 10)
    }
}

/// Bytes a second.
pub(crate) fn rate(bytes: u64) -> String {
    format!("{}/s", size(bytes))
}

/// A span in its two largest units: `2 h 5 min`.
pub(crate) fn span(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min {} s", seconds % 60),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

/// How much of `whole` is there, in percent; 100 only when nothing is missing.
pub(crate) fn percent(part: u64, whole: u64) -> u64 {
    if part >= whole {
        return 100;
    }
    u64::try_from(u128::from(part) * 100 / u128::from(whole)).unwrap_or(0)
}

/// Seconds until `left` bytes have come at this rate, if they ever do.
pub(crate) fn time_left(left: u64, rate: u64) -> Option<String> {
    if rate == 0 { None } else { Some(span(left.div_ceil(rate))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!([size(0), size(1023), size(1024), size(1536)], ["0 B", "1023 B", "1.0 KiB", "1.5 KiB"]);
        assert_eq!([size(100 << 20), size(u64::MAX)], ["100 MiB", "16383 PiB"]);
        assert_eq!(
            [span(9), span(61), span(7_500), span(100_000)],
            ["9 s", "1 min 1 s", "2 h 5 min", "1 d 3 h"]
        );
        assert_eq!([percent(0, 0), percent(999, 1_000), percent(1, 3), percent(5, 5)], [100, 99, 33, 100]);
        assert_eq!(time_left(10, 0), None);
        assert_eq!(time_left(10, 3).as_deref(), Some("4 s"));
    }
}
