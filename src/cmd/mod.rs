//! The command line: one verb per file, one table for parser and help.

mod bare;
mod create;
mod delete;
mod events;
mod exec;
mod features;
mod help;
mod kill;
pub mod lex;
mod list;
mod output;
mod pause;
mod pieces;
mod ps;
mod report;
mod resume;
mod run;
mod spec;
mod start;
mod state;
mod trace;
mod update;

use core::cell::Cell;
use core::ffi::CStr;

use crate::container::store::Store;
use crate::error::{Context as _, Error, Result};
use crate::sys;
use crate::sys::arguments::Strings;
use crate::text::{Into, PathBuf, shown};
use lex::{Item, Parser, usage};

/// The program's name in messages.
pub const NAME: &str = "minirunc-static";

/// A verb.
pub struct Command {
    /// As it is typed.
    pub name: &'static str,
    /// What follows it, for the help.
    pub operands: &'static str,
    /// What it does, for the help.
    pub help: &'static str,
    /// What it takes, as [`lex::flags`] reads it.
    pub flags: &'static str,
    /// Carries it out; the status to exit with.
    run: fn(&Globals, Parser) -> Result<u8>,
}

/// The verbs, in the order of the help.
pub const COMMANDS: &[&Command] = &[
    &run::COMMAND,
    &create::COMMAND,
    &start::COMMAND,
    &exec::COMMAND,
    &state::COMMAND,
    &list::COMMAND,
    &kill::COMMAND,
    &pause::COMMAND,
    &resume::COMMAND,
    &ps::COMMAND,
    &update::COMMAND,
    &events::COMMAND,
    &delete::COMMAND,
    &spec::COMMAND,
    &features::COMMAND,
];

/// Flags before the verb.
pub const FLAGS: &str = "\
    root DIR: where containers' state is kept\n\
    log FILE: also append errors to FILE\n\
    log-format text|json: form of the records there\n\
    debug: tell each step, in the log or on standard error\n\
    cgroup-manager cgroupfs|disabled: who makes cgroups\n\
    systemd-cgroup: refused: systemd is not spoken yet\n\
    rootless true|false|auto: ignore cgroup permission errors\n\
    help,h: print help\n\
    version,v: print the version\n";

/// What the global flags and the environment say.
pub struct Globals {
    /// The program's name, as its help and its version have it.
    name: &'static str,
    root: Option<&'static CStr>,
    log: Option<&'static CStr>,
    debug: bool,
    json: bool,
    cgroups_disabled: bool,
    environment: Strings,
    /// Records that wait until it is known that they are not to stand beside an error.
    warnings: Cell<Option<Into<'static>>>,
    /// Where the phases are written.
    trace: Cell<Option<&'static CStr>>,
}

/// Carries a command line out. The status to exit with.
pub fn main(arguments: Strings, environment: Strings) -> u8 {
    let mut globals = Globals {
        name: NAME,
        root: None,
        log: None,
        debug: false,
        json: false,
        cgroups_disabled: false,
        environment,
        warnings: Cell::new(None),
        trace: Cell::new(None),
    };
    let ensured = sys::stdio::ensure().context("open", "/dev/null");
    match ensured.and_then(|()| dispatch(&mut globals, arguments)) {
        Ok(status) => {
            report::success(&globals);
            status
        }
        Err(error) => report::failure(&globals, &error),
    }
}

fn dispatch(globals: &mut Globals, mut arguments: Strings) -> Result<u8> {
    globals.name = help::name(arguments.next().unwrap_or(c""));
    let mut parser = Parser::new(arguments, FLAGS).flags_first();
    while let Some(item) = parser.advance()? {
        match item {
            Item::Switch("help", true) => return help::overview(globals),
            Item::Switch("version", true) => return help::version(globals),
            Item::Operand(verb) => return command(globals, verb, parser.rest()),
            other => globals.take(other)?,
        }
    }
    help::overview(globals)
}

fn command(globals: &Globals, verb: &CStr, arguments: Strings) -> Result<u8> {
    if verb == c"help" {
        return help::about(globals, arguments.into_iter().next());
    }
    if let b"checkpoint" | b"restore" = verb.to_bytes() {
        // Before its flags are looked at: callers take a `--help` that succeeds for support of CRIU.
        return Err(Error::refused("CRIU", format_args!("{}: not supported by this build", shown(verb))));
    }
    let Some(command) = COMMANDS.iter().find(|command| command.name.as_bytes() == verb.to_bytes()) else {
        return Err(usage(format_args!("No help topic for '{}'", shown(verb))));
    };
    report::step(globals, command.name);
    let done = (command.run)(globals, Parser::new(arguments, command.flags));
    if let Some(path) = globals.trace.get() {
        trace::write(path).unwrap_or_else(|error| report::warning(globals, &error));
    }
    match done {
        Err(error) if error.op() == lex::HELP => help::about(globals, Some(verb)),
        done => done,
    }
}

impl Globals {
    fn take(&mut self, item: Item) -> Result<()> {
        match item {
            Item::Flag("root", path) => self.root = Some(path),
            Item::Flag("log", path) => self.log = Some(path).filter(|path| !path.is_empty()),
            Item::Switch("debug", on) => self.debug = on,
            Item::Flag("log-format", form) => match form.to_bytes() {
                b"json" => self.json = true,
                b"text" => self.json = false,
                _ => return Err(usage(format_args!("unknown log-format \"{}\"", shown(form)))),
            },
            Item::Flag("cgroup-manager", manager) => match manager.to_bytes() {
                b"cgroupfs" => self.cgroups_disabled = false,
                b"disabled" => self.cgroups_disabled = true,
                b"systemd" => {
                    return Err(Error::refused(
                        "--cgroup-manager systemd",
                        "not supported by this build yet",
                    ));
                }
                _ => return Err(usage(format_args!("unknown cgroup-manager \"{}\"", shown(manager)))),
            },
            Item::Switch("systemd-cgroup", true) => {
                return Err(Error::refused("--systemd-cgroup", "not supported by this build yet"));
            }
            // Permission errors of cgroups are forgiven to an ordinary user, and to nobody else: `auto`.
            Item::Flag("rootless", value) if lex::boolean(Some(value)).is_none() && value != c"auto" => {
                return Err(usage(format_args!("invalid value \"{}\" for -rootless", shown(value))));
            }
            _ => {}
        }
        Ok(())
    }

    /// `--root` made absolute, or /run/minirunc, or below $XDG_RUNTIME_DIR for whom that is meant.
    fn root(&self) -> Result<PathBuf> {
        let unfit = |_| Error::refused("--root", "longer than a path may be");
        if let Some(root) = self.root {
            let root = root.to_bytes();
            let mut path = PathBuf::new();
            if !root.starts_with(b"/") {
                path = crate::container::config::locate(c".")?;
            }
            path.join(root).map_err(unfit)?;
            if path.as_bytes().iter().all(|byte| b"/.".contains(byte)) {
                return Err(Error::refused("--root", "refusing to use / as the state root"));
            }
            return Ok(path);
        }
        let runtime_dir = self.environment.variable("XDG_RUNTIME_DIR").filter(|dir| !dir.is_empty());
        let dir = runtime_dir.filter(|_| self.is_a_users()).map_or(&b"/run"[..], CStr::to_bytes);
        let mut path = PathBuf::from_bytes(dir).map_err(unfit)?;
        path.join(b"minirunc").map_err(unfit)?;
        Ok(path)
    }

    /// Whether $XDG_RUNTIME_DIR is the place for state: an ordinary user's, and whose who is root in a user
    /// namespace but does not say so in $USER. The host's root may have got it from a log-in by su(1).
    fn is_a_users(&self) -> bool {
        !rustix::process::geteuid().is_root()
            || self.environment.variable("USER") != Some(c"root") && sys::process::is_in_user_namespace()
    }

    /// Where systemd waits to hear that the service is ready.
    fn notify(&self) -> Option<&'static CStr> {
        self.environment.variable("NOTIFY_SOCKET").filter(|address| !address.is_empty())
    }

    /// The state root, which must be there.
    fn store(&self, id: &CStr) -> Result<Store> {
        match Store::open(self.root()?) {
            Err(error) if error.errno() == Some(crate::error::Errno::NOENT) => {
                Err(crate::container::store::missing(id))
            }
            done => done,
        }
    }
}

/// The container's id, checked, and whatever stands behind it.
fn id_and_rest(mut parser: Parser, flag: &mut dyn FnMut(Item)) -> Result<(&'static CStr, Strings)> {
    while let Some(item) = parser.advance()? {
        match item {
            Item::Operand(id) => {
                crate::container::id::check(id)?;
                return Ok((id, parser.rest()));
            }
            other => flag(other),
        }
    }
    Err(usage("a container id is expected"))
}

/// The one operand of a verb: the container's id, checked.
fn only_id(mut parser: Parser, mut flag: impl FnMut(Item)) -> Result<&'static CStr> {
    let mut id = None;
    while let Some(item) = parser.advance()? {
        match item {
            Item::Operand(operand) if id.is_none() => id = Some(operand),
            Item::Operand(_) => return Err(usage("one container id is expected")),
            other => flag(other),
        }
    }
    let id = id.ok_or_else(|| usage("a container id is expected"))?;
    crate::container::id::check(id)?;
    Ok(id)
}
