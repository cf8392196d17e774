//! Where the time goes: medians of the phases that `--trace` tells, of `run` and of `exec`, as bars.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::Options;
use crate::contender::{self, Contender};
use crate::exec::Target;
use crate::measure::median;
use crate::report::Report;
use crate::svg::{self, Bar};

/// A phase in all runs: process, name, and milliseconds of beginning and length.
struct Phase {
    who: String,
    name: String,
    starts: Vec<f64>,
    lengths: Vec<f64>,
}

/// Runs `command` with `--trace` behind its verb, so often. The phases, and the milliseconds of the whole as seen from outside.
fn traced(
    options: &Options,
    one: &Contender,
    verb: usize,
    (runs, idle_ms): (usize, usize),
) -> Result<(Vec<Phase>, Vec<f64>), String> {
    let path = options.bundle.join("trace.json");
    let mut phases: Vec<Phase> = Vec::new();
    let mut totals = Vec::new();
    for nth in 0..runs + 2 {
        std::thread::sleep(Duration::from_millis(idle_ms as u64));
        let mut command = Command::new(&one.command[0]);
        command.args(&one.command[1..=verb]).arg("--trace").arg(&path).args(&one.command[verb + 1..]);
        one.surround(&mut command);
        let start = Instant::now();
        let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status();
        let took = start.elapsed().as_secs_f64() * 1e3;
        if !status.as_ref().is_ok_and(|status| status.success()) {
            return Err(format!("{:?}: {status:?}", one.command));
        }
        // The first ones warm up.
        if nth < 2 {
            continue;
        }
        totals.push(took);
        let text = std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let trace: Value = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
        for event in trace["traceEvents"].as_array().into_iter().flatten().filter(|event| event["ph"] == "X")
        {
            let text = |key: &str| event[key].as_str().unwrap_or("").to_string();
            let number = |key: &str| event[key].as_f64().unwrap_or(0.0) / 1e3;
            let (who, name) = (text("cat"), text("name"));
            let known = phases.iter_mut().position(|phase| phase.who == who && phase.name == name);
            let known = known.unwrap_or_else(|| {
                phases.push(Phase { who, name, starts: Vec::new(), lengths: Vec::new() });
                phases.len() - 1
            });
            phases[known].starts.push(number("ts"));
            phases[known].lengths.push(number("dur"));
        }
    }
    let _ = std::fs::remove_file(&path);
    Ok((phases, totals))
}

/// What the runtime does not do itself.
const WAITS: [&str; 3] = ["init ready", "program executed", "process"];

/// One bar for the runtime and one for what it started.
fn bars(label: &str, phases: &[Phase]) -> Vec<Bar> {
    let side = |name: &str, runtime: bool| {
        let mut own: Vec<_> = phases.iter().filter(|phase| (phase.who == "runtime") == runtime).collect();
        own.sort_by(|a, b| median(&a.starts).total_cmp(&median(&b.starts)));
        let start = own.first().map_or(0.0, |first| median(&first.starts));
        let name_of = |phase: &Phase| {
            let waits = runtime && WAITS.contains(&phase.name.as_str());
            if waits { format!("{}{}", svg::WAIT, phase.name) } else { phase.name.clone() }
        };
        let parts = own.iter().map(|phase| (name_of(phase), median(&phase.lengths))).collect();
        Bar { name: format!("{label}{name}"), start, parts }
    };
    vec![side(": runtime", true), side(": child, init", false)]
}

pub fn both(options: &Options, report: &mut Report) {
    let Some(runtime) = contender::runtimes(options).into_iter().find(|one| one.is_ours()) else { return };
    let run = Contender::of(&runtime, &options.bundle);
    one(options, report, "run", (&run, 3));
    if let Ok(target) = Target::new(options, runtime) {
        let state = contender::state_root(target.runtime.name);
        let program = target.runtime.path.display().to_string();
        let command = [&*program, "--root", &state, "exec", &target.id, "/bin/true"].map(String::from);
        one(options, report, "exec", (&Contender::new(target.runtime.name, command.into()), 3));
    }
}

fn one(options: &Options, report: &mut Report, name: &str, (contender, verb): (&Contender, usize)) {
    let title = format!("Phases of {name}");
    let about = "Medians of what `--trace` tells. Each phase is named after what is done at its end; `init ready`, `program executed` and \
                 `process` are the runtime's waits for others, and have no colour.";
    report.section(&title, about);
    let one_core = Contender { one_core: true, ..contender.clone() };
    let modes = [
        ("back to back", contender, options.runs.div_ceil(4), 0),
        ("after rest", contender, options.idle_runs.div_ceil(4), options.idle_ms),
        ("one processor", &one_core, options.runs.div_ceil(4), 0),
    ];
    let (mut drawn, mut columns, mut data) = (Vec::new(), Vec::new(), serde_json::Map::new());
    for (mode, contender, runs, idle_ms) in modes {
        match traced(options, contender, verb, (runs, idle_ms)) {
            Ok((phases, totals)) => {
                drawn.extend(bars(mode, &phases));
                let list: Vec<_> = phases
                    .iter()
                    .map(|it| json!({"process": it.who, "phase": it.name, "begins_ms": median(&it.starts), "takes_ms": median(&it.lengths)}))
                    .collect();
                data.insert(mode.into(), json!({"phases": list, "total_ms": median(&totals)}));
                columns.push((mode, phases, median(&totals)));
            }
            Err(reason) => report.failures.push(format!("phases of {name}: {reason}")),
        }
    }
    let mut rows = Vec::new();
    let Some((_, first, _)) = columns.first() else { return };
    for phase in first {
        let mut row = vec![format!("{}: {}", phase.who, phase.name)];
        for (_, phases, _) in &columns {
            let same = phases.iter().find(|other| other.who == phase.who && other.name == phase.name);
            row.push(same.map_or("-".into(), |same| format!("{:.0}", median(&same.lengths) * 1e3)));
        }
        rows.push(row);
    }
    let total = columns.iter().map(|column| format!("{:.0}", column.2 * 1e3));
    rows.push([String::from("all, as seen from outside")].into_iter().chain(total).collect());
    let head: Vec<_> = ["microseconds"].into_iter().chain(columns.iter().map(|column| column.0)).collect();
    report.table(&head, &rows);
    report.chart(&format!("phases-{name}"), &title, &svg::bars(&title, "ms", &drawn));
    report.data(&format!("phases-{name}"), Value::Object(data));
}
