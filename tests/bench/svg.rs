//! Pictures for the report, written by hand: SVG is text. Three kinds: distributions, stacked bars, lines.

use std::fmt::Write as _;

const WIDTH: f64 = 760.0;
/// Room for names on the left.
const LEFT: f64 = 150.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 44.0;

/// One for each contender or phase, in order. They differ in lightness, too, for who sees no colours.
const COLOURS: [&str; 12] = [
    "#1b4f72", "#c0392b", "#229954", "#b9770e", "#7d3c98", "#5dade2", "#f1948a", "#7dcea0", "#f8c471",
    "#c39bd3", "#566573", "#abb2b9",
];

pub fn colour(nth: usize) -> &'static str {
    COLOURS[nth % COLOURS.len()]
}

/// What stands in a text, made harmless.
fn text(words: &str) -> String {
    words.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

struct Picture {
    svg: String,
    height: f64,
}

impl Picture {
    fn new(title: &str, height: f64) -> Self {
        let mut svg = format!(
            "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {height}' font-family='sans-serif' font-size='12'>\n\
             <rect width='{WIDTH}' height='{height}' fill='white'/>\n"
        );
        let _ = writeln!(svg, "<text x='10' y='18' font-size='14' font-weight='bold'>{}</text>", text(title));
        Self { svg, height }
    }

    fn line(&mut self, path: &str, colour: &str, width: f64) {
        let _ = writeln!(self.svg, "<path d='{path}' fill='none' stroke='{colour}' stroke-width='{width}'/>");
    }

    fn label(&mut self, (x, y): (f64, f64), anchor: &str, colour: &str, words: &str) {
        let words = text(words);
        let _ = writeln!(
            self.svg,
            "<text x='{x:.1}' y='{y:.1}' text-anchor='{anchor}' fill='{colour}' font-size='11'>{words}</text>"
        );
    }

    /// Marks below, with lines up to the top.
    fn below(&mut self, axis: &Axis, unit: &str) {
        let bottom = self.height - BOTTOM;
        for value in axis.marks() {
            let x = axis.place(value);
            self.line(&format!("M{x:.1} {TOP}V{bottom:.1}"), "#e5e7e9", 1.0);
            self.label((x, bottom + 15.0), "middle", "black", &number(value));
        }
        self.label(((LEFT + WIDTH - RIGHT) / 2.0, self.height - 8.0), "middle", "black", unit);
    }

    fn end(mut self) -> String {
        self.svg.push_str("</svg>\n");
        self.svg
    }
}

fn number(value: f64) -> String {
    format!("{}", (value * 1e4).round() / 1e4)
}

/// From values to places.
struct Axis {
    logarithmic: bool,
    /// Values, and where they are.
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Axis {
    fn of(values: impl Iterator<Item = f64> + Clone, logarithmic: bool, (from, to): (f64, f64)) -> Self {
        let high = values.clone().fold(f64::MIN_POSITIVE, f64::max);
        let low = if logarithmic { values.fold(high, f64::min).max(high / 1e6) } else { 0.0 };
        Self { logarithmic, low, high: if high > low { high } else { low + 1.0 }, from, to }
    }

    fn place(&self, value: f64) -> f64 {
        let share = if self.logarithmic {
            (value.max(self.low) / self.low).ln() / (self.high / self.low).ln()
        } else {
            value / self.high
        };
        self.from + share * (self.to - self.from)
    }

    /// Round values within: 1, 2 and 5 times each power of ten, or six at most.
    fn marks(&self) -> Vec<f64> {
        let power = |value: f64| 10_f64.powf(value.log10().floor());
        if self.logarithmic {
            let mut marks = Vec::new();
            let mut decade = power(self.low);
            while decade <= self.high {
                marks.extend([1.0, 2.0, 5.0].map(|part| part * decade));
                decade *= 10.0;
            }
            marks.retain(|&mark| mark >= self.low && mark <= self.high);
            return marks;
        }
        let step = power(self.high);
        let step =
            [0.2, 0.5, 1.0, 2.0].map(|part| part * step).into_iter().find(|step| self.high / step <= 6.0);
        let step = step.unwrap_or(self.high);
        (0..=(self.high / step) as usize).map(|nth| nth as f64 * step).collect()
    }
}

/// Each row's values as dots on a logarithmic scale, with the median and the middle 80 %.
pub fn distributions(title: &str, unit: &str, rows: &[(String, Vec<f64>)]) -> String {
    const ROW: f64 = 34.0;
    let mut picture = Picture::new(title, TOP + BOTTOM + ROW * rows.len() as f64);
    let values = rows.iter().flat_map(|row| row.1.iter().copied());
    let axis = Axis::of(values, true, (LEFT, WIDTH - RIGHT));
    picture.below(&axis, unit);
    for (nth, (name, values)) in rows.iter().enumerate() {
        let middle = TOP + ROW * (nth as f64 + 0.5);
        picture.label((LEFT - 8.0, middle + 4.0), "end", "black", name);
        let mut sorted = values.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        let at =
            |share: f64| sorted.get((share * (sorted.len().max(1) - 1) as f64).round() as usize).copied();
        let (Some(low), Some(median), Some(high)) = (at(0.1), at(0.5), at(0.9)) else { continue };
        // At most 200 dots, spread upwards and downwards by their order so that they do not hide each other.
        let dots: String = values
            .iter()
            .step_by(values.len().div_ceil(200))
            .enumerate()
            .map(|(nth, &value)| {
                format!("M{:.1} {:.1}h.1", axis.place(value), middle + ((nth * 7) % 17) as f64 - 8.0)
            })
            .collect();
        let _ = writeln!(
            picture.svg,
            "<path d='{dots}' stroke='{}' stroke-width='3' stroke-linecap='round' opacity='.35'/>",
            colour(nth)
        );
        let [low, median, high] = [low, median, high].map(|value| axis.place(value));
        picture.line(&format!("M{low:.1} {middle}H{high:.1}"), "black", 1.0);
        picture.line(&format!("M{median:.1} {}v20", middle - 10.0), "black", 2.0);
    }
    picture.end()
}

/// A bar: where it begins, and its parts, each with its length.
pub struct Bar {
    pub name: String,
    pub start: f64,
    pub parts: Vec<(String, f64)>,
}

/// Parts whose names begin like this do nothing, and have no colour.
pub const WAIT: &str = "waits: ";
/// Parts in the legend.
const MOST: usize = 27;

/// Bars of parts. Parts of one name have one colour; the longest are told below.
pub fn bars(title: &str, unit: &str, bars: &[Bar]) -> String {
    const ROW: f64 = 30.0;
    const LEGEND: f64 = 15.0;
    let end = |bar: &Bar| bar.start + bar.parts.iter().map(|part| part.1).sum::<f64>();
    let most = bars.iter().map(end).fold(0.0, f64::max);
    // Longest first, so that colours are spent on what matters.
    let mut names: Vec<(String, f64)> = Vec::new();
    let known = bars.iter().flat_map(|bar| &bar.parts).filter(|part| !part.0.starts_with(WAIT));
    for (name, length) in known {
        match names.iter_mut().find(|known| known.0 == *name) {
            Some(known) => known.1 = known.1.max(*length),
            None => names.push((name.clone(), *length)),
        }
    }
    names.sort_by(|a, b| b.1.total_cmp(&a.1));
    let legend = names.len().min(MOST).div_ceil(3) as f64 * LEGEND + 6.0;
    let mut picture = Picture::new(title, TOP + BOTTOM + legend + ROW * bars.len() as f64);
    picture.height -= legend;
    let axis = Axis::of([most].into_iter(), false, (LEFT, WIDTH - RIGHT));
    picture.below(&axis, unit);
    picture.height += legend;
    for (nth, bar) in bars.iter().enumerate() {
        let top = TOP + ROW * nth as f64 + 4.0;
        picture.label((LEFT - 8.0, top + 15.0), "end", "black", &bar.name);
        let mut at = bar.start;
        for (name, length) in &bar.parts {
            let (x, width) = (axis.place(at), axis.place(at + length) - axis.place(at));
            let fill = names.iter().position(|known| known.0 == *name).map_or("#f4f6f7".into(), fill);
            let name = text(name);
            let _ = writeln!(
                picture.svg,
                "<rect x='{x:.1}' y='{top}' width='{width:.2}' height='22' fill='{fill}' stroke='#85929e' stroke-width='.3'>\
                 <title>{name}: {length:.3} {unit}</title></rect>"
            );
            at += length;
        }
    }
    let top = TOP + ROW * bars.len() as f64 + BOTTOM;
    for (nth, (name, length)) in names.iter().take(MOST).enumerate() {
        let (x, y) = (10.0 + (nth % 3) as f64 * 248.0, top + (nth / 3) as f64 * LEGEND);
        let _ =
            writeln!(picture.svg, "<rect x='{x}' y='{y:.1}' width='10' height='10' fill='{}'/>", fill(nth));
        let short: String = name.chars().take(33).collect();
        picture.label((x + 15.0, y + 9.0), "start", "black", &format!("{short} {length:.3}"));
    }
    picture.end()
}

/// A part's colour: the hues go round by the golden angle, so that neighbours differ. Past the legend's end they are grey.
fn fill(nth: usize) -> String {
    match nth {
        0..MOST => {
            format!("hsl({:.0},{}%,{}%)", nth as f64 * 137.5 % 360.0, 50 + nth % 3 * 12, 38 + nth % 4 * 9)
        }
        _ => "#d5d8dc".into(),
    }
}

/// A line of points.
pub struct Line {
    /// Lines of one group have one colour.
    pub group: String,
    pub name: String,
    pub points: Vec<(f64, f64)>,
}

/// Lines; `logarithmic` to the right and upwards.
pub fn lines(title: &str, (below, beside): (&str, &str), logarithmic: [bool; 2], lines: &[Line]) -> String {
    const HEIGHT: f64 = 380.0;
    /// Room for the names on the right.
    const NAMES: f64 = 150.0;
    let mut picture = Picture::new(title, HEIGHT);
    let points = lines.iter().flat_map(|line| line.points.iter().copied());
    let across = Axis::of(points.clone().map(|point| point.0), logarithmic[0], (70.0, WIDTH - NAMES));
    let up = Axis::of(points.map(|point| point.1), logarithmic[1], (HEIGHT - BOTTOM, TOP + 14.0));
    picture.below(&across, below);
    for value in up.marks() {
        let y = up.place(value);
        picture.line(&format!("M70 {y:.1}H{}", WIDTH - NAMES), "#e5e7e9", 1.0);
        picture.label((64.0, y + 4.0), "end", "black", &number(value));
    }
    picture.label((64.0, TOP), "end", "black", beside);
    let mut groups: Vec<&str> = Vec::new();
    let mut taken: Vec<f64> = Vec::new();
    for line in lines {
        let nth = groups.iter().position(|group| *group == line.group).unwrap_or_else(|| {
            groups.push(&line.group);
            groups.len() - 1
        });
        let mut places = line.points.iter().map(|point| (across.place(point.0), up.place(point.1)));
        let path: Vec<String> = places.clone().map(|(x, y)| format!("{x:.1} {y:.1}")).collect();
        picture.line(&format!("M{}", path.join("L")), colour(nth), 1.6);
        for (x, y) in places.clone() {
            picture.line(&format!("M{:.1} {y:.1}h4", x - 2.0), colour(nth), 4.0);
        }
        if let Some((_, mut y)) = places.next_back() {
            // A name that would cover another one moves down.
            while let Some(other) = taken.iter().find(|other| (**other - y).abs() < 11.0) {
                y = other + 11.0;
            }
            taken.push(y);
            let name = format!("{} {}", line.group, line.name);
            picture.label((WIDTH - NAMES + 6.0, y + 4.0), "start", colour(nth), name.trim());
        }
    }
    picture.end()
}
