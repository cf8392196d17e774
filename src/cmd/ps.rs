//! `ps`: the processes of a container, as pids or as a table.
//!
//! The table is made here and not by the host's ps(1), which need not be there. It has that program's columns and
//! takes those of its options that choose columns; who is listed, the container decides.

use core::fmt::{self, Write};

use super::lex::{Item, Parser, usage};
use super::output::Output;
use super::{Command, Globals, id_and_rest, list};
use crate::container::processes::{self, Process};
use crate::error::{Errno, Error, Result};
use crate::sys::arguments::Strings;
use crate::sys::clock;
use crate::sys::process::has_procfs;
use crate::text::{Bytes, Short, short};
use crate::wire::cgroupfs::{list, words};
use crate::wire::passwd;
use crate::wire::time::Moment;

pub const COMMAND: Command = Command {
    name: "ps",
    operands: "[ID [PS OPTIONS]]",
    help: "list the processes of a container, or the containers; options of ps(1): -e -f -o a u x",
    flags: "\
    format,f table|json: what to print\n",
    run,
};

fn run(globals: &Globals, parser: Parser) -> Result<u8> {
    // Without an id, the containers.
    let mut look = Parser::new(parser.ahead(), COMMAND.flags);
    let mut any = false;
    while let Some(item) = look.advance()? {
        any |= matches!(item, Item::Operand(_));
        if any {
            break;
        }
    }
    if !any {
        return (list::COMMAND.run)(globals, Parser::new(parser.ahead(), list::COMMAND.flags));
    }
    let mut json = Ok(false);
    let (id, options) = id_and_rest(parser, &mut |item| {
        json = match item {
            Item::Flag(_, value) if value == c"json" => Ok(true),
            Item::Flag(_, value) if value == c"table" => Ok(false),
            _ => Err(usage("invalid format option")),
        };
    })?;
    let json = json?;
    let columns = columns(options)?;
    let store = globals.store(id)?;
    let mut out = Output::new();
    let mut done = Ok(());
    if json {
        let mut before = "[";
        processes::each(&store, id, &mut |pid| {
            done = done.and_then(|()| write!(out, "{before}{pid}"));
            before = ",";
        })?;
        done = done.and_then(|()| out.write_str(if before == "[" { "null\n" } else { "]\n" }));
    } else {
        if !has_procfs() {
            return Err(Error::system("open", "/proc", Errno::NOENT));
        }
        let host = Host::look();
        let mut buffer = [0; 8192];
        done = row(&mut out, &columns, |column| short(format_args!("{}", Bytes(column.header))));
        processes::each(&store, id, &mut |pid| {
            if let Some(process) = Process::read(pid, &mut buffer) {
                done =
                    done.and_then(|()| row(&mut out, &columns, |column| host.cell(column.content, &process)));
            }
        })?;
    }
    done.map_err(|_| Error::refused("ps", "not formatted"))?;
    out.flush().map(|()| 0)
}

/// What a column is filled with.
#[derive(Clone, Copy)]
enum Content {
    Pid,
    /// A number of /proc/pid/stat, by its field.
    Field(u8),
    /// KiB of /proc/pid/status, by its line.
    Memory(&'static str),
    Uid,
    User,
    Name,
    Command,
    State,
    Terminal,
    /// Processor time over life time: tenths of a percent, or percent.
    Busy(bool),
    /// Of all memory.
    Share,
    Started,
    Elapsed,
    Used,
}

/// What ps(1) calls a column, what it writes above it, and how wide; to the left when negative.
const KNOWN: &[(&str, &str, i8, Content)] = &[
    ("%cpu", "%CPU", 4, Content::Busy(true)),
    ("%mem", "%MEM", 4, Content::Share),
    ("args", "COMMAND", 0, Content::Command),
    ("c", "C", 2, Content::Busy(false)),
    ("cmd", "CMD", 0, Content::Command),
    ("comm", "COMMAND", -15, Content::Name),
    ("command", "COMMAND", 0, Content::Command),
    ("etime", "ELAPSED", 11, Content::Elapsed),
    ("ni", "NI", 3, Content::Field(19)),
    ("nlwp", "NLWP", 4, Content::Field(20)),
    ("pcpu", "%CPU", 4, Content::Busy(true)),
    ("pgid", "PGID", 7, Content::Field(5)),
    ("pid", "PID", 7, Content::Pid),
    ("pmem", "%MEM", 4, Content::Share),
    ("ppid", "PPID", 7, Content::Field(4)),
    ("rss", "RSS", 6, Content::Memory("VmRSS:")),
    ("s", "S", 1, Content::State),
    ("sid", "SID", 7, Content::Field(6)),
    ("start", "START", 5, Content::Started),
    ("stat", "STAT", -4, Content::State),
    ("state", "S", 1, Content::State),
    ("stime", "STIME", 5, Content::Started),
    ("time", "TIME", 8, Content::Used),
    ("tty", "TTY", -8, Content::Terminal),
    ("uid", "UID", 5, Content::Uid),
    ("user", "USER", -8, Content::User),
    ("vsz", "VSZ", 6, Content::Memory("VmSize:")),
];

const FULL: &[u8] = b"user=UID,pid,ppid,c,stime,tty,time,cmd";
const SHORT: &[u8] = b"pid,tty,time,comm=CMD";
const STATED: &[u8] = b"pid,tty,stat,time,command";
const LOAD: &[u8] = b"user,pid,%cpu,%mem,vsz,rss,tty,stat,start,time,command";

struct Column {
    header: &'static [u8],
    width: i8,
    content: Content,
}

type Columns = heapless::Vec<Column, 32>;

/// The columns that ps(1) would show for these options, which may come as one argument or as several.
fn columns(options: Strings) -> Result<Columns> {
    let mut columns = Columns::new();
    let mut usual = None;
    let mut words = options.flat_map(|argument| words(argument.to_bytes()));
    while let Some(word) = words.next() {
        let (dash, mut letters) = match word {
            [b'-', letters @ ..] => (true, letters),
            letters => (false, letters),
        };
        while let [letter, rest @ ..] = letters {
            letters = rest;
            match (letter, dash) {
                // Which processes.
                (b'e' | b'A' | b'd' | b'a', true) => usual = usual.or(Some(SHORT)),
                (b'a' | b'x', _) => usual = usual.filter(|&usual| usual != SHORT).or(Some(STATED)),
                (b'f', true) => usual = Some(FULL),
                (b'u', false) => usual = Some(LOAD),
                (b'o', _) => {
                    let names = if rest.is_empty() { words.next().unwrap_or_default() } else { rest };
                    choose(&mut columns, names)?;
                    letters = &[];
                }
                _ => return Err(usage(format_args!("ps: option {} is not known here", Bytes(word)))),
            }
        }
    }
    if columns.is_empty() {
        choose(&mut columns, usual.unwrap_or(FULL))?;
    }
    Ok(columns)
}

/// Appends `name,name=HEADER,...`.
fn choose(columns: &mut Columns, names: &'static [u8]) -> Result<()> {
    for name in list(names) {
        let mut parts = name.splitn(2, |&byte| byte == b'=');
        let name = parts.next().unwrap_or_default();
        let known = KNOWN.iter().find(|(known, ..)| known.as_bytes() == name);
        let Some(&(_, header, width, content)) = known else {
            return Err(usage(format_args!("ps: column {} is not known here", Bytes(name))));
        };
        let header = parts.next().unwrap_or(header.as_bytes());
        columns.push(Column { header, width, content }).map_err(|_| usage("ps: too many columns"))?;
    }
    Ok(())
}

fn row(out: &mut Output, columns: &Columns, cell: impl Fn(&Column) -> Short) -> fmt::Result {
    let mut blank = "";
    for column in columns {
        let (text, width) = (cell(column), usize::from(column.width.unsigned_abs()));
        match column.width > 0 {
            true => write!(out, "{blank}{text:>width$}")?,
            false => write!(out, "{blank}{text:<width$}")?,
        }
        blank = " ";
    }
    out.write_char('\n')
}

/// What the numbers of a process are compared with.
struct Host {
    /// passwd(5).
    users: &'static [u8],
    /// Seconds since 1970, and since the machine began to count.
    now: i64,
    up: i64,
    /// KiB.
    memory: i64,
}

/// Clock ticks per second (`USER_HZ`), on every architecture that we run on.
const TICKS: i64 = 100;

impl Host {
    fn look() -> Self {
        let memory = rustix::system::sysinfo();
        Self {
            users: super::list::users().unwrap_or_default(),
            now: clock::realtime().tv_sec,
            up: clock::boottime().tv_sec,
            memory: ((memory.totalram as i64 * i64::from(memory.mem_unit)) >> 10).max(1),
        }
    }

    #[inline(never)]
    fn cell(&self, content: Content, process: &Process<'_>) -> Short {
        let number = |field: u8| process.stat.number(field.into());
        let used = number(14) + number(15);
        let age = (self.up - number(22) / TICKS).max(0);
        let text: &[u8] = match content {
            Content::Pid => return plain(process.pid.into()),
            Content::Field(field) => return plain(number(field)),
            Content::Memory(line) => return plain(process.memory(line)),
            Content::Busy(exact) => {
                let tenths = used * 1000 / TICKS / age.max(1);
                return if exact { share(tenths) } else { plain((tenths / 10).min(99)) };
            }
            Content::Share => return share(process.memory("VmRSS:") * 1000 / self.memory),
            Content::Terminal => return terminal(number(7)),
            Content::Started => return self.day(self.now - age),
            Content::Elapsed => return duration(age),
            Content::Used => return duration(used / TICKS),
            Content::User => match passwd::name(self.users, process.uid) {
                Some(name) => name,
                None => return plain(process.uid.into()),
            },
            Content::Uid => return plain(process.uid.into()),
            Content::State => process.stat.field(3).unwrap_or(b"?"),
            Content::Command if !process.arguments.is_empty() => process.arguments,
            Content::Command | Content::Name => process.stat.name,
        };
        let kernel = matches!(content, Content::Command) && process.arguments.is_empty();
        let (open, close) = if kernel { ("[", "]") } else { ("", "") };
        short(format_args!("{open}{}{close}", Bytes(text)))
    }

    /// The time of a moment of today, the day of others. In UTC: which zone the reader is in, only files of libc know.
    fn day(&self, seconds: i64) -> Short {
        let text = short(format_args!("{}", Moment { seconds, nanoseconds: 0 }));
        let today = seconds.div_euclid(86_400) == self.now.div_euclid(86_400);
        let part = if today { text.get(11..16) } else { text.get(5..10) };
        short(format_args!("{}", part.unwrap_or("?")))
    }
}

#[inline(never)]
fn plain(number: i64) -> Short {
    short(format_args!("{number}"))
}

/// Tenths of a percent.
#[inline(never)]
fn share(tenths: i64) -> Short {
    short(format_args!("{}.{}", tenths / 10, tenths % 10))
}

/// `[days-]hours:minutes:seconds`.
fn duration(seconds: i64) -> Short {
    let mut text = Short::new();
    if seconds >= 86_400 {
        let _ = write!(text, "{}-", seconds / 86_400);
    }
    let (hours, minutes) = (seconds / 3600 % 24, seconds / 60 % 60);
    let _ = write!(text, "{hours:02}:{minutes:02}:{:02}", seconds % 60);
    text
}

/// The terminal's name by its number (proc_pid_stat(5), `tty_nr`; Documentation/admin-guide/devices.txt).
fn terminal(number: i64) -> Short {
    let (major, minor) = ((number >> 8) & 0xfff, ((number >> 12) & 0xfff00) | (number & 0xff));
    match major {
        4 if minor < 64 => short(format_args!("tty{minor}")),
        4 => short(format_args!("ttyS{}", minor - 64)),
        136..=143 => short(format_args!("pts/{}", (major - 136) * 256 + minor)),
        _ => short(format_args!("?")),
    }
}
