//! A series of values as a small SVG plot, and as figures for who cannot see it.

use std::fmt::Write;

use maud::{Markup, html};

/// Width and height of the drawing, in its own units.
const EXTENT: (u64, u64) = (600, 120);

/// One line of a plot.
#[derive(Clone, Debug)]
pub(super) struct Series {
    pub(super) name: &'static str,
    /// Class of the line: `one` or `two`.
    pub(super) class: &'static str,
    /// Oldest first; gaps are left out.
    pub(super) values: Vec<Option<u64>>,
}

/// A plot with a title, what the whole width means, and how to say a value.
pub(super) fn plot(
    title: &str,
    span: &str,
    points: usize,
    series: &[Series],
    say: fn(u64) -> String,
) -> Markup {
    let all = || series.iter().flat_map(|series| series.values.iter().flatten().copied());
    let top = nice(all().max().unwrap_or(0));
    let summary = summary(series, say);
    html! {
        figure class="plot" {
            figcaption { (title) " " small { "last " (span) ", up to " (say(top)) } }
            @if all().next().is_none() { p class="empty" { "Nothing was measured yet." } }
            @else {
                svg viewBox={ "0 0 " (EXTENT.0) " " (EXTENT.1) } preserveAspectRatio="none" role="img" aria-label={ (title) ": " (summary) } {
                    @for quarter in 1..4u64 {
                        line class="grid" x1="0" x2=(EXTENT.0) y1=(EXTENT.1 * quarter / 4) y2=(EXTENT.1 * quarter / 4) {}
                    }
                    @for series in series {
                        @for run in runs(series, points, top) { polyline class=(series.class) points=(run) {} }
                    }
                }
            }
            p class="axis" aria-hidden="true" { span { "1 " (span) " ago" } span { "now" } }
            p class="line" { @for series in series { span { i class={ "key " (series.class) } {} (legend(series, say)) } } }
        }
    }
}

/// The points of each run without gaps. The newest value stands at the right edge.
fn runs(series: &Series, points: usize, top: u64) -> Vec<String> {
    let steps = u64::try_from(points.saturating_sub(1)).unwrap_or(1).max(1);
    let first = points.saturating_sub(series.values.len());
    let mut runs = vec![String::new()];
    for (index, value) in series.values.iter().enumerate() {
        let Some(value) = value else {
            runs.push(String::new());
            continue;
        };
        let x = u64::try_from(first + index).unwrap_or(0) * EXTENT.0 / steps;
        let height = u64::try_from(u128::from(*value) * u128::from(EXTENT.1 - 4) / u128::from(top.max(1)));
        let y = EXTENT.1.saturating_sub(2).saturating_sub(height.unwrap_or(0));
        if let Some(run) = runs.last_mut() {
            if run.is_empty() {
                // A point alone would not be seen.
                _ = write!(run, "{},{y} ", x.saturating_sub(1));
            }
            _ = write!(run, "{x},{y} "); // a String takes everything
        }
    }
    runs.retain(|run| !run.is_empty());
    runs
}

fn summary(series: &[Series], say: fn(u64) -> String) -> String {
    series.iter().map(|series| legend(series, say)).collect::<Vec<_>>().join("; ")
}

fn legend(series: &Series, say: fn(u64) -> String) -> String {
    let values: Vec<u64> = series.values.iter().flatten().copied().collect();
    let (Some(last), Some(most)) = (values.last(), values.iter().max()) else {
        return format!("{}: none", series.name);
    };
    format!("{}: {} now, {} at most", series.name, say(*last), say(*most))
}

/// The next round number: 1, 2 or 5 times a power of two or ten would do; a quarter more than the most is enough.
fn nice(most: u64) -> u64 {
    most.saturating_add(most / 4).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(values: &[Option<u64>]) -> Series {
        Series { name: "in", class: "one", values: values.to_vec() }
    }

    #[test]
    fn points_fill_from_the_right_and_gaps_break_the_line() {
        let runs = runs(&series(&[Some(0), Some(100), None, Some(50)]), 5, 100);
        assert_eq!(runs, ["149,118 150,118 300,2 ", "599,60 600,60 "]);
        assert!(super::runs(&series(&[None]), 5, 100).is_empty());
    }

    #[test]
    fn the_plot_says_in_words_what_it_draws() {
        let page = plot("Memory", "hour", 5, &[series(&[Some(1), Some(7)])], |value| format!("{value} B"));
        let page = page.into_string();
        assert!(
            page.contains("in: 7 B now, 7 B at most")
                && page.contains("<polyline")
                && page.contains("role=\"img\"")
        );
        let empty = plot("Memory", "hour", 5, &[series(&[])], |value| value.to_string()).into_string();
        assert!(empty.contains("Nothing was measured") && !empty.contains("<svg"));
        // Large values do not overflow.
        plot("x", "hour", 5, &[series(&[Some(u64::MAX)])], |value| value.to_string());
    }
}
