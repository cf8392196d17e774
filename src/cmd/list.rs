//! `list`: all containers of the state root, as a table, as JSON, or by their names.

use core::ffi::CStr;
use core::fmt::{self, Write};

use rustix::fs::{CWD, Mode, OFlags, openat};

use super::lex::{Item, Parser, usage};
use super::output::{Output, print};
use super::{Command, Globals, report};
use crate::container::query;
use crate::container::record::{self, Stored};
use crate::container::store::{MISSING, Store, read_full};
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
    let mut out = Output::new();
    if quiet {
        each(globals, &mut |store, id, room| {
            Stored::load(store, id, room)?;
            writeln!(out, "{}", shown(id)).map_err(unformatted)
        })?;
        out.flush()?;
    } else if json {
        as_json(globals, &mut out)?;
        out.flush()?;
    } else {
        let mut rows = Into::new(sys::memory::anonymous(limits::NAMES).context("mmap", "list")?);
        let _ = rows.write_str("ID\tPID\tSTATUS\tBUNDLE\tCREATED\tOWNER\n");
        let mut users = Users::read()?;
        each(globals, &mut |store, id, room| {
            query::look(store, id, room, &mut |it| {
                let (id, status, bundle) = (Bytes(it.state.id), it.state.status, Bytes(it.state.bundle));
                let (pid, created, owner) = (it.state.pid, it.created, users.name(it.owner));
                writeln!(rows, "{id}\t{pid}\t{}\t{bundle}\t{created}\t{owner}", Bytes(status))
            })
        })?;
        let rows = rows.finish();
        print(|out| align(rows, out))?;
    }
    Ok(0)
}

fn unformatted(_: fmt::Error) -> Error {
    Error::refused("list", "not formatted")
}

/// What is done with one, and memory to read it into.
type Look<'a> = dyn FnMut(&Store, &CStr, &mut [u8]) -> Result<()> + 'a;

/// Each in the order of their names; none where the state root has not been made yet. One that cannot be read does not hide
/// the others, and one that is deleted meanwhile is none. All are read into the same memory.
fn each(globals: &Globals, look: &mut Look<'_>) -> Result<()> {
    let store = match Store::open(globals.root()?) {
        // One that was asked for by name has to be there.
        Err(error) if error.errno() == Some(Errno::NOENT) && globals.root.is_none() => return Ok(()),
        store => store?,
    };
    let room = record::room()?;
    for id in store.names()?.sorted()? {
        match look(&store, id, room) {
            Err(error) if error.op() != MISSING => {
                let broken = Error::refused("list", format_args!("{}: {error}", shown(id)));
                report::warning(globals, &broken);
            }
            _ => {}
        }
    }
    Ok(())
}

/// As Go's encoder writes a slice, which is `null` when nothing was put into it.
fn as_json(globals: &Globals, out: &mut Output) -> Result<()> {
    let (mut any, mut users) = (false, Users::read()?);
    let mut writer = Writer::compact(out);
    each(globals, &mut |store, id, room| {
        query::look(store, id, room, &mut |it| {
            if !any {
                writer.array(None)?;
            }
            any = true;
            it.print(users.name(it.owner), &mut writer)
        })
    })?;
    if any {
        writer.end_array().map_err(unformatted)?;
    }
    out.write_str(if any { "\n" } else { "null\n" }).map_err(unformatted)
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

/// Names of users. All containers are mostly of one.
struct Users {
    passwd: &'static [u8],
    last: Option<(u32, Short)>,
}

impl Users {
    fn read() -> Result<Self> {
        Ok(Self { passwd: users()?, last: None })
    }

    /// The name of a user, or `#` and the number.
    fn name(&mut self, uid: u32) -> &str {
        if self.last.as_ref().is_none_or(|(last, _)| *last != uid) {
            let name = match passwd::name(self.passwd, uid) {
                Some(name) => short(format_args!("{}", Bytes(name))),
                None => short(format_args!("#{uid}")),
            };
            self.last = Some((uid, name));
        }
        self.last.as_ref().map_or("", |(_, name)| name)
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
