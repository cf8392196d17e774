//! `update`: new limits for a container, from flags or as JSON.

use core::ffi::CStr;
use core::fmt;

use rustix::fs::{CWD, Mode, OFlags, openat};

use super::lex::{Item, Parser, flags};
use super::{Command, Globals, only_id, report};
use crate::container::store::read_full;
use crate::container::update;
use crate::error::{Context, Error, Result};
use crate::sys::memory;
use crate::sys::stdio::stdin;
use crate::text::{Into, shown};
use crate::wire::json::Writer;
use crate::{limits, text};

pub const COMMAND: Command = Command {
    name: "update",
    operands: "ID",
    help: "change the limits of a container; what is not named stays as it is",
    flags: FLAGS,
    run,
};

const FLAGS: &str = "\
    blkio-weight N: weight of block I/O, 10 to 1000\n\
    cpu-burst US: CPU time that may be saved up\n\
    cpu-idle 0|1: only what others leave\n\
    cpu-period US: length of a period\n\
    cpu-quota US: CPU time in a period\n\
    cpu-rt-period US: length of a realtime period\n\
    cpu-rt-runtime US: CPU time in a realtime period\n\
    cpu-share N: weight of CPU time, 2 to 262144\n\
    cpuset-cpus LIST: which CPUs\n\
    cpuset-mems LIST: which memory nodes\n\
    memory BYTES: memory limit; -1 is none\n\
    memory-reservation BYTES: what memory pressure leaves\n\
    memory-swap BYTES: memory and swap together; -1 is no limit\n\
    pids-limit N: number of tasks; -1 is no limit\n\
    resources,r FILE: linux.resources as JSON, - is standard input; other flags are ignored\n\
    kernel-memory BYTES: ignored, as the kernel does\n\
    kernel-memory-tcp BYTES: ignored\n\
    l3-cache-schema LINE: what of the cache is its own, as resctrl takes it\n\
    mem-bw-schema LINE: the same for memory bandwidth\n";

/// How a flag's value is written.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    Number,
    /// With a unit behind it, or without.
    Bytes,
    List,
}

/// Where the first flags' values go in `linux.resources`, object by object.
const PLACES: [(&str, &str, Form); 14] = [
    ("blockIO", "weight", Form::Number),
    ("cpu", "burst", Form::Number),
    ("cpu", "idle", Form::Number),
    ("cpu", "period", Form::Number),
    ("cpu", "quota", Form::Number),
    ("cpu", "realtimePeriod", Form::Number),
    ("cpu", "realtimeRuntime", Form::Number),
    ("cpu", "shares", Form::Number),
    ("cpu", "cpus", Form::List),
    ("cpu", "mems", Form::List),
    ("memory", "limit", Form::Bytes),
    ("memory", "reservation", Form::Bytes),
    ("memory", "swap", Form::Bytes),
    ("pids", "limit", Form::Number),
];

/// Of all flags: the last five have no place.
type Values = [Option<&'static CStr>; PLACES.len() + 5];

fn run(globals: &Globals, parser: Parser) -> Result<u8> {
    let mut values: Values = [None; PLACES.len() + 5];
    let id = only_id(parser, |item| {
        if let Item::Flag(name, value) = item {
            let found = flags(FLAGS).zip(&mut values).find(|(flag, _)| flag.name == name);
            // Go callers write "" for what is not given.
            found.into_iter().for_each(|(_, place)| *place = Some(value).filter(|value| !value.is_empty()));
        }
    })?;
    let [.., resources, kernel, kernel_tcp, l3_cache, memory_bandwidth] = values;
    let mut schemata = text::PathBuf::new();
    for line in [l3_cache, memory_bandwidth].into_iter().flatten() {
        schemata
            .push(line.to_bytes())
            .and_then(|()| schemata.push(b"\n"))
            .map_err(|_| Error::refused("update", "too long"))?;
    }
    if kernel.or(kernel_tcp).is_some() {
        report::warning(globals, &Error::refused("update", "kernel memory limits are ignored"));
    }
    let memory = memory::anonymous(limits::RESOURCES).context("mmap", "resources")?;
    let text = match resources {
        Some(file) => read(file, memory)?,
        None => {
            let numbers = numbers(&values)?;
            let mut text = Into::new(memory);
            write(&values, &numbers, &mut Writer::compact(&mut text))
                .map_err(|_| Error::refused("update", "too long"))?;
            text.finish()
        }
    };
    update::update(&globals.store(id)?, id, text, schemata.as_cstr()).map(|()| 0)
}

fn read<'b>(file: &CStr, memory: &'b mut [u8]) -> Result<&'b [u8]> {
    let read = if file == c"-" {
        read_full(stdin(), memory)
    } else {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        read_full(openat(CWD, file, flags, Mode::empty()).context("open", shown(file))?, memory)
    };
    let len = read.context("read", shown(file))?;
    memory.get(..len).filter(|text| text.len() < limits::RESOURCES).ok_or_else(|| {
        Error::refused("update", format_args!("{}: larger than {} bytes", shown(file), limits::RESOURCES))
    })
}

fn numbers(values: &Values) -> Result<[i64; PLACES.len()]> {
    let mut numbers = [0; PLACES.len()];
    for (((number, (_, _, form)), value), flag) in
        numbers.iter_mut().zip(PLACES).zip(values).zip(flags(FLAGS))
    {
        let Some(value) = value.filter(|_| form != Form::List) else { continue };
        let parsed = if form == Form::Bytes { text::bytes(value) } else { text::integer(value) };
        *number = parsed.ok_or_else(|| {
            let op = text::short(format_args!("invalid value for {}", flag.name));
            Error::refused(&op, shown(value))
        })?;
    }
    Ok(numbers)
}

/// The same as JSON, so that flags and files are judged alike.
fn write(values: &Values, numbers: &[i64], writer: &mut Writer<'_>) -> fmt::Result {
    writer.object(None)?;
    let mut open = "";
    for (((object, key, form), value), number) in PLACES.iter().zip(values).zip(numbers) {
        let Some(value) = value else { continue };
        if open != *object {
            if !open.is_empty() {
                writer.end_object()?;
            }
            writer.object(Some(object))?;
            open = object;
        }
        match form {
            Form::List => writer.string(Some(key), value.to_bytes())?,
            _ => writer.number(Some(key), *number)?,
        }
    }
    if !open.is_empty() {
        writer.end_object()?;
    }
    writer.end_object()
}
