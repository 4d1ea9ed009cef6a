//! Lines over a common axis, as a small SVG.

use std::fmt::Write;

/// One line of the plot.
#[derive(Debug)]
pub(super) struct Line<'l> {
    pub(super) name: &'l str,
    /// Points from left to right.
    pub(super) points: Vec<(f64, f64)>,
}

const WIDTH: f64 = 800.0;
const HEIGHT: f64 = 360.0;

/// Room for the numbers at the axes.
const MARGIN: f64 = 50.0;

const COLOURS: [&str; 4] = ["#7d4698", "#2e7d32", "#c62828", "#1565c0"];

/// Draws `lines` from 0 to the largest value, and a dashed line at `limit`. Texts are put in as they are.
pub(super) fn svg(title: &str, across: &str, lines: &[Line<'_>], limit: f64) -> String {
    let points = || lines.iter().flat_map(|line| &line.points);
    let most_x = points().fold(1.0, |most, at| f64::max(most, at.0));
    let most_y = points().fold(limit, |most, at| f64::max(most, at.1)) * 1.05;
    let x = |value: f64| MARGIN + value / most_x * (WIDTH - 2.0 * MARGIN);
    let y = |value: f64| HEIGHT - MARGIN - value / most_y * (HEIGHT - 2.0 * MARGIN);
    let (left, right, foot) = (x(0.0), x(most_x), y(0.0));
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n\
         <text x=\"{left}\" y=\"30\" font-size=\"15\">{title}</text>\n\
         <path d=\"M{left} {}V{foot}H{right}\" fill=\"none\" stroke=\"black\"/>\n",
        y(most_y)
    );
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "<text x=\"{right}\" y=\"{}\" text-anchor=\"end\">{most_x:.0} {across}</text>",
        foot + 20.0
    );
    let _ = writeln!(
        text,
        "<path d=\"M{left} {0:.1}H{right}\" stroke=\"grey\" stroke-dasharray=\"6 4\"/>\n\
         <text x=\"{1}\" y=\"{0:.1}\" text-anchor=\"end\" dominant-baseline=\"middle\">{limit:.0}</text>",
        y(limit),
        left - 5.0
    );
    for (line, colour) in lines.iter().zip(COLOURS.iter().cycle()) {
        let path: Vec<String> =
            line.points.iter().map(|at| format!("{:.1},{:.1}", x(at.0), y(at.1))).collect();
        let (end_x, end_y) = line.points.last().copied().unwrap_or_default();
        let _ = writeln!(
            text,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\"/>\n\
             <text x=\"{:.1}\" y=\"{:.1}\" fill=\"{colour}\" text-anchor=\"end\">{} {end_y:.1}</text>",
            path.join(" "),
            x(end_x),
            y(end_y) - 8.0,
            line.name
        );
    }
    text + "</svg>\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_lies_within_the_picture() {
        let lines = [
            Line { name: "one", points: vec![(0.0, 10.0), (500.0, 200.0)] },
            Line { name: "two", points: vec![(0.0, 0.0), (1000.0, 20.0)] },
        ];
        let svg = svg("Memory", "MiB", &lines, 96.0);
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
        assert_eq!(svg.matches("<polyline").count(), 2);
        for pair in svg.split("points=\"").skip(1).flat_map(|rest| rest.split('"').next().unwrap().split(' '))
        {
            let (x, y) = pair.split_once(',').unwrap();
            let (x, y): (f64, f64) = (x.parse().unwrap(), y.parse().unwrap());
            assert!((0.0..=WIDTH).contains(&x) && (0.0..=HEIGHT).contains(&y), "{pair}");
        }
    }

    #[test]
    fn no_points_make_an_empty_picture() {
        assert!(svg("Memory", "MiB", &[], 96.0).contains("</svg>"));
    }
}
