//! Descriptors, signals and environment that a caller hands to the runtime.

#![allow(unsafe_code)]

use std::ffi::{CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Opens `path` as descriptor `number`, without close-on-exec.
pub fn leak(command: &mut Command, path: &str, number: i32) {
    let path = CString::new(path).unwrap();
    // SAFETY: system calls only; the path was made before fork.
    unsafe {
        command.pre_exec(move || {
            let fd = libc::open(path.as_ptr(), libc::O_RDONLY);
            if fd != number {
                libc::dup2(fd, number);
                libc::close(fd);
            }
            Ok(())
        });
    }
}

/// Sees to it that these are not open in the runtime.
pub fn close(command: &mut Command, numbers: &'static [i32]) {
    // SAFETY: system calls only. Not closed at once: std reports a failed exec through a descriptor of its own.
    unsafe {
        command.pre_exec(move || {
            for &fd in numbers {
                libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC);
            }
            Ok(())
        });
    }
}

/// Root with these groups, and without the right to shed them.
pub fn keep_groups(command: &mut Command, groups: &'static [u32]) {
    const CAP_SETGID: libc::c_ulong = 6;
    // SAFETY: system calls only.
    unsafe {
        command.pre_exec(move || {
            minirunc_tests::runtime::check(libc::setgroups(groups.len(), groups.as_ptr()))?;
            minirunc_tests::runtime::check(libc::prctl(libc::PR_CAPBSET_DROP, CAP_SETGID, 0, 0, 0))
        });
    }
}

/// Socket activation (sd_listen_fds(3)): LISTEN_PID is the runtime's own pid, known only between fork and exec.
/// Call it last, since it does the exec.
pub fn listen(command: &mut Command, count: u32) {
    let text = |s: &OsStr| CString::new(s.as_bytes()).unwrap();
    let program = text(command.get_program());
    let mut args = vec![program.clone()];
    args.extend(command.get_args().map(text));
    let mut env: Vec<CString> = command
        .get_envs()
        .filter_map(|(key, value)| {
            Some(CString::new([key.as_bytes(), b"=", value?.as_bytes()].concat()).unwrap())
        })
        .collect();
    env.push(CString::new(format!("LISTEN_FDS={count}")).unwrap());
    let mut pid = *b"LISTEN_PID=0000000\0";
    // SAFETY: system calls and arithmetic on memory made before fork.
    unsafe {
        command.pre_exec(move || {
            let mut rest = libc::getpid();
            for digit in pid[11..18].iter_mut().rev() {
                *digit = b'0' + (rest % 10) as u8;
                rest /= 10;
            }
            let mut argv = [std::ptr::null(); 32];
            for (slot, arg) in argv.iter_mut().zip(&args) {
                *slot = arg.as_ptr();
            }
            let mut envp = [std::ptr::null(); 32];
            for (slot, variable) in envp.iter_mut().zip(&env) {
                *slot = variable.as_ptr();
            }
            envp[env.len()] = pid.as_ptr().cast();
            libc::execve(program.as_ptr(), argv.as_ptr(), envp.as_ptr());
            Err(std::io::Error::last_os_error())
        });
    }
}

/// Blocks two signals as a careless caller does.
pub fn block_signals(command: &mut Command) {
    // SAFETY: system calls only.
    unsafe {
        command.pre_exec(|| {
            let mut set: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&mut set);
            libc::sigaddset(&mut set, libc::SIGUSR1);
            libc::sigaddset(&mut set, libc::SIGHUP);
            libc::sigprocmask(libc::SIG_BLOCK, &set, std::ptr::null_mut());
            Ok(())
        });
    }
}
