//! `exec`: runs another process in a container.

use core::ffi::CStr;

use nsenter::attr::{Message, Writer};

use super::lex::{Item, Parser, usage};
use super::{Command, Globals, report, trace};
use crate::container::attend::Signals;
use crate::container::exec::Order;
use crate::container::{Container, id, pid_file};
use crate::error::{Context, Error, Result};
use crate::plan::exec::Changes;
use crate::plan::{self, Plan, kind, names};
use crate::sys;
use crate::text::shown;

pub const COMMAND: Command = Command {
    name: "exec",
    operands: "ID COMMAND [ARG...]",
    help: "run another process in a container",
    flags: "\
    process,p FILE: all of the process, as JSON\n\
    cwd DIR: its working directory\n\
    env,e NAME=VALUE: one more variable (repeatable)\n\
    tty,t: a terminal of its own\n\
    user,u UID[:GID]: another user\n\
    additional-gids,g GID: one more group (repeatable)\n\
    cap,c CAP: one more capability (repeatable)\n\
    no-new-privs: no program may add privileges\n\
    detach,d: leave it running\n\
    pid-file FILE: write its pid there\n\
    preserve-fds N: pass N more descriptors, from 3 on\n\
    cgroup [CONTROLLERS:]PATH: a cgroup below the container's (repeatable)\n\
    ignore-paused: also when paused: runs once resumed\n\
    console-socket PATH: send the terminal there\n\
    pidfd-socket PATH: send a pidfd of the process there\n\
    process-label LABEL: another SELinux context\n\
    apparmor PROFILE: another AppArmor profile\n\
    trace FILE: write when each phase began and how long it took (-: a table)\n",
    run,
};

/// What runc exits with when it is the runtime that failed, and not the process.
const FAILED: u8 = 255;

/// Most bytes of what the flags list: as many as execve(2) takes of arguments, each with its header.
const GIVEN: usize = 16 << 20;

/// What the flags say, but for what is a list.
#[derive(Default)]
struct Options {
    process: Option<&'static CStr>,
    pid_file: Option<&'static CStr>,
    user: Option<&'static CStr>,
    /// Of the console and of the pidfd.
    sockets: [Option<&'static CStr>; 2],
    capabilities: u64,
    no_new_privileges: Option<bool>,
    preserve_fds: u32,
    tty: bool,
    detach: bool,
    ignore_paused: bool,
}

fn run(globals: &Globals, parser: Parser) -> Result<u8> {
    let memory = sys::memory::anonymous(GIVEN).context("mmap", "arguments")?;
    let mut given = Writer::new(memory, 0);
    let cgroups = sys::memory::anonymous(GIVEN).context("mmap", "arguments")?;
    let mut cgroups = Writer::new(cgroups, 0);
    let mut options = Options::default();
    let id = parse(globals, parser, &mut options, &mut given, &mut cgroups)?;
    super::run::check_open(options.preserve_fds)?;
    let (uid, gid) = options.user.map_or(Ok((None, None)), user)?;
    let pid_file = options.pid_file.map(pid_file::locate).transpose()?;
    let order = Order {
        id,
        process: options.process,
        changes: Changes {
            given: list(given)?,
            uid,
            gid,
            capabilities: options.capabilities,
            no_new_privileges: options.no_new_privileges,
            terminal: options.tty,
            preserve_fds: options.preserve_fds,
        },
        cgroups: list(cgroups)?,
        ignore_paused: options.ignore_paused,
        foreground: !options.detach,
        debug: globals.debug,
        pid_file: pid_file.as_ref(),
        sockets: options.sockets,
    };
    exec(globals, &order).or_else(|error| {
        report::failure(globals, &error.within("exec failed"));
        Ok(FAILED)
    })
}

fn exec(globals: &Globals, order: &Order<'_>) -> Result<u8> {
    id::check(order.id)?;
    if order.process.is_none() && !order.changes.given.has(kind::ARG)? {
        return Err(Error::refused("arguments", "process args cannot be empty"));
    }
    let store = globals.store(order.id)?;
    let signals = if order.foreground { Some(Signals::block()?) } else { None };
    let mut warn = |warning: &Error| report::warning(globals, warning);
    let mut process = Container::exec(&store, order, &mut warn)?;
    match signals {
        Some(signals) => process.attend(&signals, &mut warn),
        None => Ok(0),
    }
}

/// The lists go into messages of their own, `given` and `cgroups`.
fn parse(
    globals: &Globals,
    parser: Parser,
    options: &mut Options,
    given: &mut Writer<'_>,
    cgroups: &mut Writer<'_>,
) -> Result<&'static CStr> {
    let mut parser = parser.flags_first();
    let mut id = None;
    let mut cwd = None;
    while let Some(item) = parser.advance()? {
        match item {
            Item::Flag("process", value) => options.process = Some(value),
            Item::Flag("pid-file", value) => options.pid_file = Some(value),
            Item::Flag("trace", path) => trace::begin(globals, path),
            Item::Flag("process-label", value) => given.string(kind::SELINUX_LABEL, value),
            Item::Flag("apparmor", value) => given.string(kind::APPARMOR_PROFILE, value),
            Item::Flag("cwd", value) => cwd = Some(value),
            Item::Flag("env", value) => given.string(kind::ENV, value),
            Item::Flag("console-socket", value) => options.sockets[0] = Some(value),
            Item::Flag("pidfd-socket", value) => options.sockets[1] = Some(value),
            Item::Flag("user", value) => options.user = Some(value),
            Item::Flag("additional-gids", value) => given.u32(kind::GROUP, super::run::number(value)?),
            Item::Flag("cap", value) => options.capabilities |= capability(value)?,
            Item::Flag("preserve-fds", value) => options.preserve_fds = super::run::number(value)?,
            Item::Flag("cgroup", value) => cgroups.string(kind::CGROUPS_PATH, value),
            Item::Switch("tty", on) => options.tty = on,
            Item::Switch("detach", on) => options.detach = on,
            Item::Switch("no-new-privs", on) => options.no_new_privileges = Some(on),
            Item::Switch("ignore-paused", on) => options.ignore_paused = on,
            Item::Flag(name, _) | Item::Switch(name, _) => {
                return Err(Error::refused(
                    "exec",
                    format_args!("--{name}: not supported by this build yet"),
                ));
            }
            Item::Operand(operand) if id.is_none() => id = Some(operand),
            Item::Operand(operand) => given.string(kind::ARG, operand),
        }
    }
    if let Some(cwd) = cwd.filter(|cwd| !cwd.is_empty()) {
        given.string(kind::CWD, cwd);
    }
    id.ok_or_else(|| usage("a container id is expected"))
}

fn list(writer: Writer<'static>) -> Result<Plan<'static>> {
    let message = writer.finish().map_err(plan::broken)?;
    Ok(Plan::new(Message::parse(message).map_err(plan::broken)?.0))
}

/// `UID[:GID]`, numbers both.
fn user(text: &CStr) -> Result<(Option<u32>, Option<u32>)> {
    let number =
        |bytes: &[u8]| core::str::from_utf8(bytes).ok()?.parse::<u32>().ok().filter(|&it| it != u32::MAX);
    let mut parts = text.to_bytes().splitn(2, |&byte| byte == b':');
    let (uid, gid) = (parts.next().map(number), parts.next().map(number));
    match (uid, gid) {
        (Some(Some(uid)), None) => Ok((Some(uid), None)),
        (Some(Some(uid)), Some(Some(gid))) => Ok((Some(uid), Some(gid))),
        _ => Err(usage(format_args!("invalid value \"{}\" for -user", shown(text)))),
    }
}

/// The bit of a capability: `CAP_KILL`.
fn capability(name: &CStr) -> Result<u64> {
    let known = names::find(names::CAPABILITIES, name.to_str().unwrap_or(""));
    known
        .map(|number| 1 << number)
        .ok_or_else(|| usage(format_args!("unknown capability \"{}\"", shown(name))))
}
