//! `run`: makes a container, stays with it, and removes it.

use core::ffi::CStr;
use core::fmt::Write;

use nsenter::attr::Message;
use rustix::fs::{self, Access};
use rustix::io::Errno;

use super::bare::{self, of_bare};
use super::lex::{Item, Parser, usage};
use super::output::Output;
use super::{Command, Globals, report, trace};
use crate::container::attend::Signals;
use crate::container::launch::{Order, translate};
use crate::container::store::Store;
use crate::container::{Container, config, id, pid_file};
use crate::error::{Context, Error, Result};
use crate::plan::{self, Plan};
use crate::sys::arguments::Strings;
use crate::sys::process;
use crate::text::{PathBuf, shown};

pub const COMMAND: Command = Command {
    name: "run",
    operands: "BUNDLE | ID | COMMAND...",
    help: "run the container of a bundle, or a command in a root",
    flags: FLAGS,
    run: |globals, parser| launch(globals, parser, false),
};

macro_rules! of_create {
    () => {
        "\
        bundle,b DIR: the bundle; then the operand is an id\n\
        console-socket PATH: send the terminal there\n\
        pidfd-socket PATH: send a pidfd of its process there\n\
        pid-file FILE: write the pid of its process there\n\
        no-pivot: move the root instead of pivot_root\n\
        no-new-keyring: keep the caller's session keyring\n\
        init: a reaper of ours, which forwards signals, before the process\n\
        preserve-fds N: pass N more descriptors, from 3 on\n\
        detach,d: leave it running\n\
        trace FILE: write when each phase began and how long it took (-: a table)\n"
    };
}

/// What `create` takes. containerd passes it `--detach`.
pub const OF_CREATE: &str = of_create!();

/// What `run` takes besides.
const FLAGS: &str = concat!(
    of_create!(),
    of_bare!(),
    "\
    keep: do not remove it when it ends\n\
    no-subreaper: do not adopt its orphans\n\
    id ID: the id; then the operand is a bundle\n\
    dry-run: print the plan and do nothing\n"
);

/// What the flags say.
#[derive(Default)]
struct Options {
    bundle: Option<&'static CStr>,
    id: Option<&'static CStr>,
    operand: Option<&'static CStr>,
    pid_file: Option<&'static CStr>,
    console_socket: Option<&'static CStr>,
    pidfd_socket: Option<&'static CStr>,
    detach: bool,
    keep: bool,
    no_subreaper: bool,
    no_pivot: bool,
    no_new_keyring: bool,
    dry_run: bool,
    init: bool,
    preserve_fds: u32,
    /// `--rootfs` or `--image`: there is no bundle.
    root: Option<&'static CStr>,
    /// Then, the command.
    command: Option<Strings>,
    /// What makes sense only then.
    bare: Option<&'static str>,
}

/// `run`, or as far as `create` goes: there the process waits for `start`.
pub fn launch(globals: &Globals, parser: Parser, create: bool) -> Result<u8> {
    let arguments = parser.ahead();
    let options = parse(globals, parser)?;
    let listen_fds = listen_fds(globals);
    // Before anything is opened: these numbers are the caller's.
    let kept = options.preserve_fds.saturating_add(listen_fds);
    check_open(kept)?;
    // What the caller has open besides is nobody's, least of all a container's that waits for its start.
    let _ = process::close_on_exec(kept.saturating_add(3));
    let (bundle, id) = options.which(create)?;
    let pid_file = options.pid_file.map(pid_file::locate).transpose()?;
    let mut warn = |warning: &Error| report::warning(globals, warning);
    let foreground = !create && !options.detach;
    let order = Order {
        id: id.as_cstr(),
        bundle: &bundle,
        form: options.command.map(|command| bare::form(arguments, FLAGS, command)).transpose()?,
        no_pivot: options.no_pivot,
        no_new_keyring: options.no_new_keyring,
        preserve_fds: options.preserve_fds,
        reaper: options.init,
        listen_fds,
        listen_names: globals.environment.variable("LISTEN_FDNAMES"),
        notify: globals.notify(),
        foreground,
        console_socket: options.console_socket,
        pidfd_socket: options.pidfd_socket,
        pid_file: pid_file.as_ref(),
        gated: create,
        cgroups_disabled: globals.cgroups_disabled,
        debug: globals.debug,
        search: globals.environment.variable("PATH"),
    };
    if options.dry_run {
        return dry_run(translate(&order, None, None, &mut warn)?);
    }
    let store = Store::make(globals.root()?)?;
    let signals = if foreground { Some(Signals::block()?) } else { None };
    if foreground && !options.no_subreaper {
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
            .context("prctl", "child subreaper")?;
    }
    let mut container = match Container::launch(&store, &order, &mut warn) {
        Err(error) if !create => return Ok(refusal(globals, &error)),
        done => done?,
    };
    let Some(signals) = signals else {
        container.await_ready()?;
        return Ok(0);
    };
    let status = container.attend(&signals, &mut warn);
    if status.as_ref().is_ok_and(|&status| status == 128 + 9) && container.ran_out_of_memory() {
        let cause = Error::refused("run", "container init was OOM-killed (memory limit too low?)");
        report::failure(globals, &cause);
    }
    if !options.keep {
        if let Err(error) = container.destroy(&mut warn) {
            report::warning(globals, &error);
        }
    }
    status
}

/// Tells why a container did not start; a program that is not there is 127, one that cannot be run 126.
fn refusal(globals: &Globals, error: &Error) -> u8 {
    let status = report::failure(globals, error);
    match (error.op(), error.errno()) {
        ("exec", Some(Errno::NOENT | Errno::NOTDIR) | None) => 127,
        ("exec", _) => 126,
        _ => status,
    }
}

fn parse(globals: &Globals, mut parser: Parser) -> Result<Options> {
    let mut options = Options::default();
    loop {
        let ahead = parser.ahead();
        let Some(item) = parser.advance()? else { break };
        match item {
            Item::Flag("bundle", value) => options.bundle = Some(value),
            Item::Flag("id", value) => options.id = Some(value),
            Item::Flag("pid-file", value) => options.pid_file = Some(value),
            Item::Flag("preserve-fds", value) => options.preserve_fds = number(value)?,
            Item::Switch("detach", on) => options.detach = on,
            Item::Switch("keep", on) => options.keep = on,
            Item::Switch("no-subreaper", on) => options.no_subreaper = on,
            Item::Switch("no-pivot", on) => options.no_pivot = on,
            Item::Switch("no-new-keyring", on) => options.no_new_keyring = on,
            Item::Switch("dry-run", on) => options.dry_run = on,
            Item::Flag("trace", path) => trace::begin(globals, path),
            Item::Switch("init", on) => options.init = on,
            Item::Flag("console-socket", value) => options.console_socket = Some(value),
            Item::Flag("pidfd-socket", value) => options.pidfd_socket = Some(value),
            Item::Flag("rootfs" | "image", value) => options.root = Some(value),
            Item::Flag(name, _) | Item::Switch(name, _) => options.bare = Some(name),
            Item::Operand(_) if options.root.is_some() => {
                let mut command = ahead;
                if command.clone().next() == Some(c"--") {
                    command.next();
                }
                options.command = Some(command);
                break;
            }
            Item::Operand(operand) if options.operand.is_none() => options.operand = Some(operand),
            Item::Operand(_) => return Err(usage("one operand is expected: a bundle or an id")),
        }
    }
    if options.root.is_some() {
        if options.bundle.is_some() || options.operand.is_some() {
            return Err(usage("--rootfs and --image come before the command, and without a bundle"));
        }
        let nothing = parser.ahead();
        options.command.get_or_insert(nothing);
    } else if let Some(name) = options.bare {
        return Err(usage(format_args!("--{name}: only with --rootfs or --image")));
    }
    Ok(options)
}

impl Options {
    /// Which bundle, and under which id: `--bundle DIR ID`, `ID` in a bundle; and `run BUNDLE`, `run --id ID BUNDLE`. Without a bundle,
    /// what is not absolute is so from where we are.
    fn which(&self, create: bool) -> Result<(PathBuf, PathBuf)> {
        let own = |id: &CStr| {
            id::check(id)?;
            PathBuf::from_bytes(id.to_bytes()).map_err(|_| Error::refused("id", "longer than its limit"))
        };
        if let Some(root) = self.root {
            return Ok((config::locate(c".")?, self.id.map_or_else(|| Ok(invented(root.to_bytes())), own)?));
        }
        let operand = self.operand.ok_or_else(|| usage("a bundle or a container id is expected"))?;
        if let Some(bundle) = self.bundle {
            return Ok((config::locate(bundle)?, own(operand)?));
        }
        if let Some(id) = self.id {
            return Ok((config::locate(operand)?, own(id)?));
        }
        // An id has no slash, and a bundle is a directory: what could be both is the bundle that it names.
        if !create && (operand.to_bytes().contains(&b'/') || is_bundle(operand)) {
            let bundle = config::locate(operand)?;
            let id = invented(bundle.as_bytes());
            return Ok((bundle, id));
        }
        Ok((config::locate(c".")?, own(operand)?))
    }
}

/// Whether a directory of this name is there, with a config.json.
fn is_bundle(name: &CStr) -> bool {
    let Ok(mut path) = PathBuf::from_bytes(name.to_bytes()) else { return false };
    path.join(config::NAME.as_bytes()).is_ok() && fs::access(path.as_cstr(), Access::EXISTS).is_ok()
}

/// `<last name of a path>-<our pid>`, with what an id may not have replaced.
fn invented(path: &[u8]) -> PathBuf {
    let name = path.rsplit(|&byte| byte == b'/').find(|name| !name.is_empty()).unwrap_or(b"root");
    let mut id = PathBuf::new();
    for &byte in name.iter().take(255) {
        let fine = byte.is_ascii_alphanumeric() || b"_+-.".contains(&byte);
        let _ = id.push(&[if fine { byte } else { b'_' }]);
    }
    let _ = write!(id, "-{}", rustix::process::getpid().as_raw_nonzero());
    id
}

pub fn number(text: &CStr) -> Result<u32> {
    let value = text.to_str().ok().and_then(|text| text.parse().ok());
    value.ok_or_else(|| usage(format_args!("\"{}\" is not a number", shown(text))))
}

/// LISTEN_FDS, when it was meant for us (sd_listen_fds(3)).
fn listen_fds(globals: &Globals) -> u32 {
    let read = |name| globals.environment.variable(name)?.to_str().ok()?.parse::<u32>().ok();
    let me = rustix::process::getpid().as_raw_nonzero().get();
    match (read("LISTEN_PID"), read("LISTEN_FDS")) {
        (Some(pid), Some(fds)) if i64::from(pid) == i64::from(me) => fds,
        _ => 0,
    }
}

/// Descriptors that are promised to the process have to be there.
pub fn check_open(count: u32) -> Result<()> {
    for fd in (3..).take(count as usize) {
        if crate::sys::descriptor::is_closed(fd) {
            return Err(Error::refused("--preserve-fds", format_args!("descriptor {fd} is not open")));
        }
    }
    Ok(())
}

/// Prints the plan.
#[cold]
#[inline(never)]
fn dry_run(message: &[u8]) -> Result<u8> {
    let plan = Plan::new(Message::parse(message).map_err(plan::broken)?.0);
    let mut out = Output::new();
    plan::print::print(&plan, &mut out)?;
    out.flush()?;
    Ok(0)
}
