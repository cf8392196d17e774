//! Lines in a picture (SVG), with a logarithmic scale upwards.

use std::fmt::Write as _;
use std::path::Path;

pub struct Line<'a> {
    /// Lines of one group have one colour.
    pub group: &'a str,
    pub name: &'a str,
    pub points: Vec<(f64, f64)>,
}

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 420.0;
/// Left, top, right and bottom.
const MARGIN: [f64; 4] = [60.0, 20.0, 150.0, 45.0];
const COLOURS: [&str; 5] = ["#c0392b", "#2471a3", "#229954", "#7d3c98", "#b9770e"];

/// Writes the picture.
pub fn plot(path: &Path, below: &str, beside: &str, lines: &[Line<'_>]) -> std::io::Result<()> {
    let points = || lines.iter().flat_map(|line| &line.points);
    let right = points().map(|point| point.0).fold(1.0, f64::max);
    let top = points().map(|point| point.1).fold(1.0, f64::max).log10().ceil();
    let bottom = points().map(|point| point.1).fold(f64::MAX, f64::min).clamp(1e-3, 1.0).log10().floor();
    let x = |value: f64| MARGIN[0] + value / right * (WIDTH - MARGIN[0] - MARGIN[2]);
    let y = |value: f64| {
        let share = (value.max(1e-3).log10() - bottom) / (top - bottom);
        HEIGHT - MARGIN[3] - share * (HEIGHT - MARGIN[1] - MARGIN[3])
    };
    let mut svg = format!(
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {HEIGHT}' font-family='sans-serif' font-size='12'>\n\
         <rect width='{WIDTH}' height='{HEIGHT}' fill='white'/>\n"
    );
    let (left, edge) = (x(0.0), x(right));
    for decade in bottom as i32..=top as i32 {
        let value = 10f64.powi(decade);
        let at = y(value);
        let _ = writeln!(
            svg,
            "<path d='M{left} {at}H{edge}' stroke='#ddd'/><text x='{}' y='{}' text-anchor='end'>{value} {beside}</text>",
            left - 5.0,
            at + 4.0
        );
    }
    for quarter in 0..=4 {
        let value = right / 4.0 * f64::from(quarter);
        let _ = writeln!(
            svg,
            "<text x='{}' y='{}' text-anchor='middle'>{value}</text>",
            x(value),
            HEIGHT - MARGIN[3] + 18.0
        );
    }
    let _ = writeln!(
        svg,
        "<text x='{}' y='{}' text-anchor='middle'>{below}</text>",
        x(right / 2.0),
        HEIGHT - 8.0
    );
    let mut groups: Vec<&str> = Vec::new();
    for line in lines {
        let nth = groups.iter().position(|group| *group == line.group).unwrap_or_else(|| {
            groups.push(line.group);
            groups.len() - 1
        });
        let colour = COLOURS[nth % COLOURS.len()];
        let path: Vec<String> =
            line.points.iter().map(|point| format!("{:.1} {:.1}", x(point.0), y(point.1))).collect();
        let _ =
            writeln!(svg, "<path d='M{}' fill='none' stroke='{colour}' stroke-width='1.5'/>", path.join("L"));
        if let Some(last) = line.points.last() {
            let _ = writeln!(
                svg,
                "<text x='{}' y='{:.1}' fill='{colour}' font-size='10'>{} {}</text>",
                edge + 5.0,
                y(last.1) + 3.0,
                line.group,
                line.name
            );
        }
    }
    svg.push_str("</svg>\n");
    std::fs::write(path, svg)
}
