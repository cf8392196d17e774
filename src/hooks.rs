//! Programs that the configuration wants to be run around the container's life.
//!
//! Where a hook runs is the caller's business: this runs it where the caller is. It gets the state on its standard input, its
//! environment is what its entry says and nothing else. What it prints goes nowhere (the standard descriptors may be
//! the container's own, whose output is not to be mixed with a hook's), but the first of it becomes part of the error when it fails.

use core::ffi::CStr;
use core::fmt::{self, Write};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::pipe::PipeFlags;
use rustix::process::{WaitId, WaitIdOptions, WaitIdStatus};

use crate::error::{Context, Error, Result};
use crate::limits;
use crate::oci::state::State;
use crate::plan::hook::{Hook, STAGES, Strings};
use crate::plan::process::Annotation;
use crate::plan::{Plan, kind};
use crate::sys::process::{self, Child, Vector};
use crate::sys::{clock, memory, pidfd, signal, stdio};
use crate::text::{self, Bytes, shown};

/// In nanoseconds.
const SECOND: u64 = 1_000_000_000;

/// How much of a failed hook's output its error repeats.
const OUTPUT: usize = 256;

/// What the child says where execve(2) failed, as shells do.
const NOT_EXECUTED: i32 = 127;

/// Runs the hooks of one stage in their order, each to its end, told the container's `status` and its first process
/// (0: none). One without an environment has the `inherited` one. Each failure goes to `failed`, which decides whether to go on: that of a poststop hook is but a warning.
pub fn announce(
    stage: u32,
    plan: &Plan<'_>,
    (status, pid): (&[u8], i32),
    inherited: Option<&Vector<'_>>,
    failed: &mut dyn FnMut(Error) -> Result<()>,
) -> Result<()> {
    if !any(stage, plan)? {
        return Ok(());
    }
    // Larger than the plan where JSON escapes a byte as six. Untouched memory costs nothing.
    let room = memory::anonymous(limits::PLAN).context("mmap", "state")?;
    let mut out = text::Into::new(room);
    let string = |kind| Ok::<_, Error>(plan.string(kind)?.unwrap_or(c"").to_bytes());
    let state = State { id: string(kind::ID)?, status, pid, bundle: string(kind::BUNDLE)? };
    let annotations = plan.each::<Annotation<'_>>().map_while(Result::ok);
    state
        .write(annotations.map(|it| (it.key.to_bytes(), it.value.to_bytes())), &mut out)
        .map_err(|_| Error::refused("state", "longer than its limit"))?;
    each(stage, plan, out.finish(), inherited, failed)
}

fn each(
    stage: u32,
    plan: &Plan<'_>,
    state: &[u8],
    inherited: Option<&Vector<'_>>,
    failed: &mut dyn FnMut(Error) -> Result<()>,
) -> Result<()> {
    for hook in plan.each::<Hook<'_>>() {
        let hook = hook?;
        if hook.stage == stage {
            one(&hook, state, inherited).or_else(&mut *failed)?;
        }
    }
    Ok(())
}

/// Whether the plan has any of this stage.
pub fn any(stage: u32, plan: &Plan<'_>) -> Result<bool> {
    for hook in plan.each::<Hook<'_>>() {
        if hook?.stage == stage {
            return Ok(true);
        }
    }
    Ok(false)
}

fn one(hook: &Hook<'_>, state: &[u8], inherited: Option<&Vector<'_>>) -> Result<()> {
    let stage = STAGES.get(hook.stage as usize).unwrap_or(&"?");
    let name = text::short(format_args!("error running {stage} hook #{}", hook.index));
    let failed = |errno| Error::system(&name, shown(hook.path), errno);

    let argv = vector(hook.args, Some(hook.path)).map_err(failed)?;
    let own = vector(hook.env, None).map_err(failed)?;
    let envp = inherited.filter(|_| hook.env.iter().next().is_none()).unwrap_or(&own);
    let (input, state_end) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(failed)?;
    let (output_end, output) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(failed)?;
    let Some(child) = process::fork().map_err(failed)? else {
        let (heard, errno) = become_hook(&input, &output, hook.path, &argv, envp);
        let _ = write!(Heard(heard), "execve: {}", text::Errno(errno));
        process::exit(NOT_EXECUTED);
    };
    drop(output);
    let mut talk = Talk {
        child,
        state_end: Some(state_end),
        output_end: Some(output_end),
        _input: input,
        said: heapless::Vec::new(),
    };
    let end = talk.attend(state, hook.timeout).map_err(failed)?;
    if matches!(end, End::Status(0)) {
        return Ok(());
    }
    let said = talk.said.trim_ascii();
    let colon = if said.is_empty() { "" } else { ": " };
    Err(Error::refused(&name, format_args!("{}: {end}{colon}{}", shown(hook.path), Bytes(said))))
}

/// The strings, or the one that stands for none.
fn vector<'a>(strings: Strings<'a>, otherwise: Option<&'a CStr>) -> rustix::io::Result<Vector<'a>> {
    let count = strings.iter().count();
    let mut vector = Vector::new(count.max(1))?;
    strings.iter().chain(otherwise.filter(|_| count == 0)).try_for_each(|text| vector.push(text))?;
    Ok(vector)
}

/// The hook's side of fork(2): nothing of ours but the pipes, no signal blocked or ignored. What failed, and where that is heard.
fn become_hook<'a>(
    input: &OwnedFd,
    output: &'a OwnedFd,
    path: &CStr,
    argv: &Vector<'_>,
    envp: &Vector<'_>,
) -> (BorrowedFd<'a>, Errno) {
    let moved = rustix::stdio::dup2_stdin(input)
        .and_then(|()| rustix::stdio::dup2_stdout(output))
        .and_then(|()| rustix::stdio::dup2_stderr(output));
    if let Err(errno) = moved {
        return (output.as_fd(), errno);
    }
    // What the runtime was given to pass on (--preserve-fds) is for the container. All of our own is close-on-exec
    // anyway, so a kernel without the call (before Linux 5.9) is no reason to fail.
    let _ = process::close_range(3, u32::MAX);
    for number in 1..=signal::LAST {
        let _ = signal::set_default(number);
    }
    let _ = signal::unblock_all();
    (stdio::stderr(), process::execve(path, argv, envp))
}

/// How a hook ended.
enum End {
    Status(i32),
    Signal(i32),
    Timeout(u64),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "exit status {status}"),
            Self::Signal(libc::SIGSYS) => f.write_str("killed by signal 31 (bad system call)"),
            Self::Signal(signal) => write!(f, "killed by signal {signal}"),
            Self::Timeout(seconds) => write!(f, "timed out after {seconds} s"),
        }
    }
}

/// A hook that runs, and our ends of its pipes.
struct Talk {
    child: Child,
    /// Closed when the whole state is written.
    state_end: Option<OwnedFd>,
    /// Closed at its end of file.
    output_end: Option<OwnedFd>,
    /// The hook's end of the first pipe, kept open so that a hook that does not read makes no SIGPIPE of our writing.
    _input: OwnedFd,
    /// The first of what the hook printed.
    said: heapless::Vec<u8, OUTPUT>,
}

impl Talk {
    /// Feeds the state and takes the output until the hook exits; kills it when its time is up. It is reaped in any case.
    fn attend(&mut self, state: &[u8], timeout: Option<u64>) -> rustix::io::Result<End> {
        let exited = self.converse(state, timeout);
        if !matches!(exited, Ok(true)) {
            let _ = pidfd::send_signal(self.child.pidfd.as_fd(), libc::SIGKILL);
        }
        let status = self.reap()?;
        self.listen();
        Ok(match (exited?, status.exit_status(), status.terminating_signal()) {
            (false, ..) => End::Timeout(timeout.unwrap_or_default()),
            (true, Some(status), _) => End::Status(status),
            (true, None, signal) => End::Signal(signal.unwrap_or(0)),
        })
    }

    /// `true` when the hook has exited, `false` when its time is up.
    fn converse(&mut self, mut state: &[u8], timeout: Option<u64>) -> rustix::io::Result<bool> {
        // Only our end, so that the hook's reads still wait: the flag belongs to the open file, and a pipe has two.
        for end in [&self.state_end, &self.output_end].into_iter().flatten() {
            rustix::fs::fcntl_setfl(end, rustix::fs::fcntl_getfl(end)? | OFlags::NONBLOCK)?;
        }
        let deadline = timeout.map(|seconds| now().saturating_add(seconds.saturating_mul(SECOND)));
        loop {
            self.feed(&mut state)?;
            self.listen();
            let left = deadline.map(|deadline| deadline.saturating_sub(now()));
            match self.poll(left) {
                Ok(true) => return Ok(true),
                Ok(false) if left == Some(0) => return Ok(false),
                Ok(false) | Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
    }

    /// Waits until there is something to do: `true` when the hook has exited.
    fn poll(&self, left: Option<u64>) -> rustix::io::Result<bool> {
        let mut polled = heapless::Vec::<PollFd<'_>, 3>::new();
        let _ = polled.push(PollFd::new(&self.child.pidfd, PollFlags::IN));
        if let Some(end) = &self.state_end {
            let _ = polled.push(PollFd::new(end, PollFlags::OUT));
        }
        if let Some(end) = &self.output_end {
            let _ = polled.push(PollFd::new(end, PollFlags::IN));
        }
        let left =
            left.map(|left| Timespec { tv_sec: (left / SECOND) as i64, tv_nsec: (left % SECOND) as i64 });
        rustix::event::poll(&mut polled, left.as_ref())?;
        Ok(polled.first().is_some_and(|pidfd| !pidfd.revents().is_empty()))
    }

    /// Writes as much of the state as the pipe takes. A hook that does not want it is none the worse for that.
    fn feed(&mut self, state: &mut &[u8]) -> rustix::io::Result<()> {
        while let Some(end) = &self.state_end {
            match rustix::io::write(end, state) {
                Ok(written) if written < state.len() => *state = state.get(written..).unwrap_or(&[]),
                Ok(_) | Err(Errno::PIPE) => self.state_end = None,
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }

    /// Takes what the hook printed, and drops what is beyond [`OUTPUT`], so that it never waits for us. Not more than a
    /// chunk of that at once: a hook may print for ever, but has its timeout.
    fn listen(&mut self) {
        let mut chunk = [0; 512];
        while let Some(end) = &self.output_end {
            match rustix::io::read(end, &mut chunk) {
                Ok(1..) if self.said.is_full() => return,
                Ok(len @ 1..) => chunk.iter().take(len).for_each(|&byte| _ = self.said.push(byte)),
                Err(Errno::AGAIN) => return,
                Err(Errno::INTR) => {}
                _ => self.output_end = None,
            }
        }
    }

    fn reap(&self) -> rustix::io::Result<WaitIdStatus> {
        loop {
            match rustix::process::waitid(WaitId::PidFd(self.child.pidfd.as_fd()), WaitIdOptions::EXITED) {
                Ok(Some(status)) => return Ok(status),
                Ok(None) | Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
    }
}

/// A clock that nobody sets, in nanoseconds.
fn now() -> u64 {
    let now = clock::monotonic();
    now.tv_sec as u64 * SECOND + now.tv_nsec as u64
}

/// What is heard of a hook that could not be executed.
struct Heard<'a>(BorrowedFd<'a>);

impl Write for Heard<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        rustix::io::write(self.0, text.as_bytes()).map(drop).map_err(|_| fmt::Error)
    }
}

#[cfg(test)]
mod tests;
