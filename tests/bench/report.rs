//! What the bench says: on the terminal as it goes, and in the end as Markdown, JSON and pictures in one directory.

use std::fmt::Write as _;
use std::path::PathBuf;

use serde_json::{Map, Value};

pub struct Report {
    directory: PathBuf,
    markdown: String,
    data: Map<String, Value>,
    /// Whatever must not fail and did.
    pub failures: Vec<String>,
}

impl Report {
    pub fn new(directory: PathBuf) -> Self {
        let markdown = String::from("# The bench of minirunc-static\n");
        Self { directory, markdown, data: Map::new(), failures: Vec::new() }
    }

    /// A part of the report begins.
    pub fn section(&mut self, title: &str, about: &str) {
        println!("\n{title}");
        let _ = writeln!(self.markdown, "\n## {title}\n\n{about}");
    }

    /// A paragraph.
    pub fn say(&mut self, words: &str) {
        println!("  {words}");
        let _ = writeln!(self.markdown, "\n{words}");
    }

    /// What only who reads the file wants to see.
    pub fn aside(&mut self, words: &str) {
        if !words.is_empty() {
            let _ = writeln!(
                self.markdown,
                "\n<details><summary>how</summary>\n\n```diff\n{words}\n```\n\n</details>"
            );
        }
    }

    /// A table: the first column is a name, the others are numbers.
    pub fn table(&mut self, head: &[&str], rows: &[Vec<String>]) {
        if rows.is_empty() {
            return;
        }
        let lengths = |column: usize| {
            rows.iter().filter_map(move |row| row.get(column)).map(|cell| cell.chars().count())
        };
        let widths: Vec<usize> = head
            .iter()
            .enumerate()
            .map(|(column, name)| lengths(column).max().unwrap_or(0).max(name.chars().count()))
            .collect();
        let line = |cells: &mut dyn Iterator<Item = &str>| {
            let mut line = String::from(" ");
            for (nth, (cell, &width)) in cells.zip(&widths).enumerate() {
                let _ =
                    if nth == 0 { write!(line, " {cell:<width$}") } else { write!(line, "  {cell:>width$}") };
            }
            line
        };
        println!("{}", line(&mut head.iter().copied()));
        let _ = writeln!(
            self.markdown,
            "\n| {} |\n|---|{}",
            head.join(" | "),
            "---:|".repeat(head.len().saturating_sub(1))
        );
        for row in rows {
            println!("{}", line(&mut row.iter().map(String::as_str)));
            let _ = writeln!(self.markdown, "| {} |", row.join(" | "));
        }
    }

    /// A picture, `NAME.svg` beside the report.
    pub fn chart(&mut self, name: &str, title: &str, svg: &str) {
        let path = self.directory.join(format!("{name}.svg"));
        match std::fs::create_dir_all(&self.directory).and_then(|()| std::fs::write(&path, svg)) {
            Ok(()) => drop(writeln!(self.markdown, "\n![{title}]({name}.svg)")),
            Err(error) => self.failures.push(format!("{}: {error}", path.display())),
        }
    }

    /// The numbers behind a section.
    pub fn data(&mut self, name: &str, value: Value) {
        self.data.insert(name.into(), value);
    }

    /// Writes the files. Says what has failed; whether nothing has.
    pub fn finish(mut self) -> bool {
        let json = serde_json::to_string(&Value::Object(std::mem::take(&mut self.data))).unwrap_or_default();
        for (name, text) in [("report.md", &self.markdown), ("report.json", &json)] {
            let path = self.directory.join(name);
            match std::fs::create_dir_all(&self.directory).and_then(|()| std::fs::write(&path, text)) {
                Ok(()) => println!("{}{}", if name == "report.md" { "\n" } else { "" }, path.display()),
                Err(error) => self.failures.push(format!("{}: {error}", path.display())),
            }
        }
        for failure in &self.failures {
            eprintln!("bench: {failure}");
        }
        self.failures.is_empty()
    }
}

/// A number with three places that count, and its unit where it has one.
pub fn short(value: f64) -> String {
    match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    }
}
