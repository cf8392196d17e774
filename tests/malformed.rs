//! Malformed input, without a fuzzer: each format's seeds and what a generator makes of them, for `FUZZ_SECONDS` (2).

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use minirunc_tests::fuzz::{TARGETS, mutate::Mutator, target};

/// What takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the worker is at.
#[derive(Default)]
struct Progress {
    input: Mutex<Vec<u8>>,
    done: AtomicU64,
}

fn seconds() -> Duration {
    let given = std::env::var("FUZZ_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs_f64(given.unwrap_or(2.0))
}

fn drive(name: &str) {
    let target = target(name);
    let progress = Arc::new(Progress::default());
    let theirs = progress.clone();
    let worker = std::thread::spawn(move || {
        let seeds = (target.seeds)();
        let mut mutator = Mutator::new(&seeds, 0x0f_022e);
        let start = Instant::now();
        let all = seeds.iter().cloned().chain(std::iter::from_fn(|| Some(mutator.make())));
        for input in all.take_while(|_| start.elapsed() < seconds()) {
            theirs.input.lock().unwrap().clone_from(&input);
            (target.body)(&input);
            theirs.done.fetch_add(1, Ordering::Relaxed);
        }
        assert!(theirs.done.load(Ordering::Relaxed) > seeds.len() as u64, "no time for more than the seeds");
    });
    let (mut last, mut since) = (0, Instant::now());
    while !worker.is_finished() {
        std::thread::sleep(Duration::from_millis(20));
        let done = progress.done.load(Ordering::Relaxed);
        if done != last {
            (last, since) = (done, Instant::now());
        }
        assert!(since.elapsed() < PATIENCE, "hangs: {}", saved(name, &progress));
    }
    assert!(worker.join().is_ok(), "fails: {}", saved(name, &progress));
    println!("{name}: {} inputs", progress.done.load(Ordering::Relaxed));
}

/// Where the last input is.
fn saved(name: &str, progress: &Progress) -> String {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("malformed-{name}"));
    std::fs::write(&path, &*progress.input.lock().unwrap()).unwrap();
    path.display().to_string()
}

macro_rules! targets {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            drive(stringify!($name));
        })*

        #[test]
        fn every_target_is_driven() {
            let names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
            assert_eq!(names, [$(stringify!($name)),*]);
        }
    };
}

targets!(json config form state argv plan boot sync rtnetlink mountinfo cgroup proc seccomp);
