//! What the probe said.

use std::collections::BTreeMap;
use std::ops::Index;

/// The probe's `key=value` lines.
#[derive(Debug)]
pub struct Facts(BTreeMap<String, String>);

impl Facts {
    /// Other lines on stdout are left alone: a hook may print too.
    pub fn parse(stdout: &str) -> Self {
        let lines = stdout.lines().filter_map(|line| line.trim_end_matches('\r').split_once('='));
        Self(lines.map(|(key, value)| (unescape(&key.replace("%3d", "=")), unescape(value))).collect())
    }

    pub fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// A number, or the failure of the test.
    #[track_caller]
    pub fn number(&self, key: &str) -> i64 {
        let text = self[key].trim();
        text.parse().unwrap_or_else(|_| panic!("{key} should be a number, is {text:?}"))
    }

    /// The mounts of an answer to `read /proc/self/mountinfo`.
    #[track_caller]
    pub fn mounts(&self) -> Mounts {
        Mounts::parse(&self[MOUNTINFO])
    }
}

/// The question whose answer [`Facts::mounts`] reads.
pub const MOUNTINFO: &str = "read /proc/self/mountinfo";

impl Index<&str> for Facts {
    type Output = str;

    #[track_caller]
    fn index(&self, key: &str) -> &str {
        self.0.get(key).unwrap_or_else(|| panic!("no fact {key:?} among {:#?}", self.0))
    }
}

fn unescape(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, if c == '\\' { chars.next() } else { None }) {
            ('\\', Some('n')) => out.push('\n'),
            ('\\', Some(c)) => out.push(c),
            _ => out.push(c),
        }
    }
    out
}

/// One line of /proc/self/mountinfo (proc_pid_mountinfo(5)).
#[derive(Clone, Debug, Default)]
pub struct Mount {
    pub root: String,
    pub point: String,
    pub options: Vec<String>,
    pub propagation: Vec<String>,
    pub kind: String,
    pub source: String,
    pub super_options: Vec<String>,
}

impl Mount {
    pub fn has(&self, option: &str) -> bool {
        self.options.iter().any(|o| o == option)
    }

    pub fn super_has(&self, option: &str) -> bool {
        self.super_options.iter().any(|o| o == option)
    }

    /// `shared`, `master`, `unbindable` without their peer group's number; private is none of them.
    pub fn propagates(&self) -> Vec<&str> {
        self.propagation.iter().filter_map(|p| p.split(':').next()).collect()
    }
}

#[derive(Clone, Debug)]
pub struct Mounts(pub Vec<Mount>);

impl Mounts {
    pub fn parse(text: &str) -> Self {
        let list = |s: &str| s.split(',').map(str::to_string).collect::<Vec<_>>();
        let one = |line: &str| {
            let (left, right) = line.split_once(" - ")?;
            let left: Vec<&str> = left.split(' ').collect();
            let mut right = right.splitn(3, ' ');
            Some(Mount {
                root: (*left.get(3)?).into(),
                point: (*left.get(4)?).into(),
                options: list(left.get(5)?),
                propagation: left.iter().skip(6).map(|s| (*s).to_string()).collect(),
                kind: right.next()?.into(),
                source: right.next()?.into(),
                super_options: list(right.next().unwrap_or("")),
            })
        };
        Self(text.lines().filter_map(one).collect())
    }

    pub fn find(&self, point: &str) -> Option<&Mount> {
        self.0.iter().rev().find(|m| m.point == point)
    }

    /// The topmost mount at `point`.
    #[track_caller]
    pub fn at(&self, point: &str) -> &Mount {
        self.find(point).unwrap_or_else(|| panic!("no mount at {point} among {:#?}", self.0))
    }
}
