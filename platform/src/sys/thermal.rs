//! How hot the board is (Linux, `Documentation/driver-api/thermal/sysfs-api.rst`).

use std::fs;

/// Sensors looked at, at most.
const ZONES: usize = 16;

/// Degrees Celsius of the hottest sensor, where there is one that answers.
pub fn hottest() -> Option<i32> {
    let zone = |number| {
        let text = fs::read_to_string(format!("/sys/class/thermal/thermal_zone{number}/temp")).ok()?;
        plausible(&text)
    };
    (0..ZONES).filter_map(zone).max()
}

/// Thousandths of a degree as text; sensors that are switched off give wild values.
fn plausible(text: &str) -> Option<i32> {
    let degrees = text.trim().parse::<i32>().ok()? / 1000;
    (-40..=150).contains(&degrees).then_some(degrees)
}

#[cfg(test)]
mod tests {
    use super::plausible;

    #[test]
    fn wild_values_are_no_temperatures() {
        assert_eq!(plausible("48312\n"), Some(48));
        assert_eq!([plausible("-274000"), plausible("no"), plausible("999000")], [None; 3]);
    }
}
