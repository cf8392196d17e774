//! `list`: all containers of the state root, as a table, as JSON, or by their names.

use core::fmt::{self, Write};

use rustix::fs::{CWD, Mode, OFlags, openat};

use super::lex::{Item, Parser, usage};
use super::output::{Output, print};
use super::{Command, Globals, report};
use crate::container::query::{self, Summary};
use crate::container::store::{MISSING, Names, Store, read_full};
use crate::error::{Context, Errno, Error, Result};
use crate::text::{Bytes, Into, Short, short, shown};
use crate::wire::json::Writer;
use crate::wire::passwd;
use crate::{limits, sys};

pub const COMMAND: Command = Command {
    name: "list",
    operands: "",
    help: "list the containers",
    flags: "\
    format,f table|json: how they are shown\n\
    quiet,q: print their ids only\n",
    run,
};

#[cold]
fn run(globals: &Globals, mut parser: Parser) -> Result<u8> {
    let (mut json, mut quiet) = (false, false);
    while let Some(item) = parser.advance()? {
        match item {
            Item::Flag(_, format) if format == c"json" || format == c"table" => json = format == c"json",
            Item::Flag(..) => return Err(Error::refused("list", "invalid format option")),
            Item::Switch(_, on) => quiet = on,
            Item::Operand(_) => return Err(usage("no operand is expected")),
        }
    }
    let containers = Containers::open(globals)?;
    let mut out = Output::new();
    if quiet {
        containers.each(&mut |it| writeln!(out, "{}", Bytes(it.state.id)));
        out.flush()?;
    } else if json {
        containers.as_json(&mut out).map_err(|_| Error::refused("list", "not formatted"))?;
        out.flush()?;
    } else {
        let mut rows = Into::new(sys::memory::anonymous(limits::NAMES).context("mmap", "list")?);
        let _ = rows.write_str("ID\tPID\tSTATUS\tBUNDLE\tCREATED\tOWNER\n");
        let users = users()?;
        containers.each(&mut |it| {
            let (id, status, bundle) = (Bytes(it.state.id), Bytes(it.state.status), Bytes(it.state.bundle));
            let owner = name(users, it.owner);
            writeln!(rows, "{id}\t{}\t{status}\t{bundle}\t{}\t{owner}", it.state.pid, it.created)
        });
        let rows = rows.finish();
        print(|out| align(rows, out))?;
    }
    Ok(0)
}

/// The containers of the state root; none where it has not been made yet.
struct Containers<'a> {
    globals: &'a Globals,
    all: Option<(Store, Names)>,
}

impl<'a> Containers<'a> {
    fn open(globals: &'a Globals) -> Result<Self> {
        let all = match Store::open(globals.root()?) {
            // One that was asked for by name has to be there.
            Err(error) if error.errno() == Some(Errno::NOENT) && globals.root.is_none() => None,
            store => {
                let store = store?;
                let names = store.names()?;
                Some((store, names))
            }
        };
        Ok(Self { globals, all })
    }

    /// Each in the order of their names. One that cannot be read does not hide the others, and one that is deleted
    /// meanwhile is none.
    fn each(&self, show: &mut dyn FnMut(&Summary<'_>) -> fmt::Result) {
        let Some((store, names)) = &self.all else { return };
        let mut last = c"";
        while let Some(id) = names.after(last) {
            match query::look(store, id, show) {
                Err(error) if error.op() != MISSING => {
                    let broken = Error::refused("list", format_args!("{}: {error}", shown(id)));
                    report::warning(self.globals, &broken);
                }
                _ => {}
            }
            last = id;
        }
    }

    /// As Go's encoder writes a slice, which is `null` when nothing was put into it.
    fn as_json(&self, out: &mut Output) -> fmt::Result {
        let (mut any, users) = (false, users().unwrap_or(&[]));
        let mut writer = Writer::compact(out);
        self.each(&mut |it| {
            if !any {
                writer.array(None)?;
            }
            any = true;
            it.print(&name(users, it.owner), &mut writer)
        });
        if any {
            writer.end_array()?;
        }
        out.write_str(if any { "\n" } else { "null\n" })
    }
}

/// passwd(5) of the host; none is an empty one.
pub(super) fn users() -> Result<&'static [u8]> {
    let Ok(file) = openat(CWD, c"/etc/passwd", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) else {
        return Ok(&[]);
    };
    let memory = sys::memory::anonymous(limits::PASSWD).context("mmap", "/etc/passwd")?;
    let len = read_full(file, memory).context("read", "/etc/passwd")?;
    Ok(memory.get(..len).unwrap_or(&[]))
}

/// The name of a user, or `#` and the number.
fn name(users: &[u8], uid: u32) -> Short {
    match passwd::name(users, uid) {
        Some(name) => short(format_args!("{}", Bytes(name))),
        None => short(format_args!("#{uid}")),
    }
}

/// Lines of cells, a tab between them, as Go's tabwriter lays them out for runc: columns of at least 12 characters, at least
/// 3 of them blank behind the longest cell.
fn align(lines: &[u8], out: &mut Output) -> fmt::Result {
    let lines = || core::str::from_utf8(lines).unwrap_or("").lines();
    let mut widths = [12; 6];
    for line in lines() {
        for (width, cell) in widths.iter_mut().zip(line.split('\t')) {
            *width = (*width).max(cell.chars().count() + 3);
        }
    }
    for line in lines() {
        let mut cells = line.split('\t').zip(widths).peekable();
        while let Some((cell, width)) = cells.next() {
            let width = if cells.peek().is_some() { width } else { 0 };
            write!(out, "{cell:<width$}")?;
        }
        out.write_char('\n')?;
    }
    Ok(())
}
