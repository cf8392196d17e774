//! Blocks of runs, and what is read off them.

use std::process::Command;

use serde_json::{Value, json};

use crate::Options;
use crate::contender::Contender;
use crate::report::{Report, short};
use crate::svg;

/// Blocks per contender and mode.
pub const ROUNDS: usize = 4;
/// Runs at the head of each block that are not counted.
const WARM_UP: usize = 2;

/// One run as `launch` tells it.
#[derive(Clone, Copy)]
pub struct Sample {
    pub nanoseconds: u64,
    pub peak_kb: u64,
    pub faults: u64,
}

/// A contender's runs, or why there are none.
pub struct Measured<'a> {
    pub one: &'a Contender,
    pub samples: Result<Vec<Sample>, String>,
}

impl Measured<'_> {
    pub fn milliseconds(&self) -> Vec<f64> {
        let samples = self.samples.as_deref().unwrap_or(&[]);
        samples.iter().map(|sample| sample.nanoseconds as f64 / 1e6).collect()
    }
}

pub fn block(
    options: &Options,
    one: &Contender,
    (warm_up, runs): (usize, usize),
    idle_ms: usize,
) -> Result<Vec<Sample>, String> {
    let mut launch = Command::new(options.programs.join("launch"));
    launch.arg((runs + warm_up).to_string()).arg(idle_ms.to_string()).args(&one.command);
    one.surround(&mut launch);
    let output = launch.output().map_err(|error| format!("launch: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{}{}", complaint, text.lines().last().unwrap_or("")));
    }
    let samples = text.lines().skip(warm_up).filter_map(|line| {
        let mut numbers = line.split(' ').map(|number| number.parse().ok());
        Some(Sample { nanoseconds: numbers.next()??, peak_kb: numbers.next()??, faults: numbers.next()?? })
    });
    Ok(samples.collect())
}

/// Each contender in blocks that go round, with the machine idle before each run or not.
pub fn measure<'a>(
    options: &Options,
    all: &'a [Contender],
    runs: usize,
    idle_ms: usize,
) -> Vec<Measured<'a>> {
    let mut results: Vec<_> = all.iter().map(|one| Measured { one, samples: Ok(Vec::new()) }).collect();
    let rounds = ROUNDS.min(runs.max(1));
    for _ in 0..rounds {
        for measured in &mut results {
            if let Ok(gathered) = &mut measured.samples {
                match block(options, measured.one, (WARM_UP, runs.div_ceil(rounds)), idle_ms) {
                    Ok(new) => gathered.extend(new),
                    Err(reason) => measured.samples = Err(reason),
                }
            }
        }
    }
    results
}

/// Where `share` of the values lie below.
pub fn quantile(values: &[f64], share: f64) -> f64 {
    let mut values = values.to_vec();
    values.sort_unstable_by(f64::total_cmp);
    let position = share * values.len().saturating_sub(1) as f64;
    let (below, part) = (position as usize, position.fract());
    let at =
        |index: usize| values.get(index.min(values.len().saturating_sub(1))).copied().unwrap_or(f64::NAN);
    at(below) * (1.0 - part) + at(below + 1) * part
}

pub fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// A first line of what went wrong.
pub fn brief(reason: &str) -> String {
    let reason = reason.trim().replace(['\n', '|'], "; ");
    reason.chars().take(160).collect()
}

/// The section of one mode: a table with ratios to the first contender and to ours, a picture, and the numbers.
pub fn tell(report: &mut Report, name: &str, title: &str, about: &str, results: &[Measured<'_>]) {
    report.section(title, about);
    let of = |wanted: &dyn Fn(&str) -> bool| {
        let found = results.iter().find(|measured| wanted(&measured.one.name))?;
        found.samples.is_ok().then(|| median(&found.milliseconds()))
    };
    let floor = of(&|name| name == "bare calls");
    let ours = of(&|name| name.contains("minirunc-static"));
    let (mut rows, mut refused, mut json) = (Vec::new(), Vec::new(), serde_json::Map::new());
    for measured in results {
        let samples = match &measured.samples {
            Ok(samples) => samples,
            Err(reason) => {
                refused.push(format!("{} did not run: {}", measured.one.name, brief(reason)));
                continue;
            }
        };
        let times = measured.milliseconds();
        let others =
            |of: &dyn Fn(&Sample) -> u64| samples.iter().map(|sample| of(sample) as f64).collect::<Vec<_>>();
        let (peak, faults) = (others(&|sample| sample.peak_kb), others(&|sample| sample.faults));
        let ratio =
            |base: Option<f64>| base.map_or("-".into(), |base| format!("{:.2}", median(&times) / base));
        rows.push(vec![
            measured.one.name.clone(),
            format!("{} ms", short(median(&times))),
            format!("{} - {}", short(quantile(&times, 0.1)), short(quantile(&times, 0.9))),
            ratio(floor),
            ratio(ours),
            format!("{:.0} KB", median(&peak)),
            format!("{:.0}", median(&faults)),
        ]);
        json.insert(
            measured.one.name.clone(),
            json!({"milliseconds": times.iter().map(|time| (time * 1e4).round() / 1e4).collect::<Vec<_>>(), "median": median(&times), "peak_kb": median(&peak), "faults": median(&faults)}),
        );
    }
    let head = ["", "median", "10 % - 90 %", "x floor", "x ours", "peak RSS", "page faults"];
    report.table(&head, &rows);
    refused.iter().for_each(|reason| report.say(reason));
    let dots: Vec<_> = results
        .iter()
        .filter(|it| it.samples.is_ok())
        .map(|it| (it.one.name.clone(), it.milliseconds()))
        .collect();
    if !dots.is_empty() {
        report.chart(name, title, &svg::distributions(title, "ms, logarithmic", &dots));
    }
    report.data(name, Value::Object(json));
    // Others may be unable to run on this machine; the floor and we may not.
    for measured in results.iter().filter(|it| it.one.required) {
        if let Err(reason) = &measured.samples {
            report.failures.push(format!("{name}: {}: {}", measured.one.name, brief(reason)));
        }
    }
}
