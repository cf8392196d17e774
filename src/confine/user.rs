//! Who the process is: groups, group, user.

use rustix::io::Errno;
use rustix::thread;

use crate::error::{Context, Error, Result};
use crate::limits;
use crate::plan::process::User;
use crate::plan::{Plan, broken, kind};
use crate::sys::process::is_in_user_namespace;
use rustix::process::{Gid, Uid};

const NEWUSER: i32 = libc::CLONE_NEWUSER;

/// Becomes `user`. Groups first and the user last: CAP_SETGID goes with the user id.
#[inline(never)]
pub fn assume(user: &User, plan: &Plan<'_>) -> Result<()> {
    let mut groups = heapless::Vec::<Gid, { limits::GROUPS }>::new();
    for attr in plan.all(kind::GROUP) {
        let gid = Gid::from_raw(attr?.u32().map_err(broken)?);
        groups.push(gid).map_err(|_| {
            Error::refused("process.user.additionalGids", format_args!("more than {}", limits::GROUPS))
        })?;
    }
    match thread::set_thread_groups(&groups) {
        // In a user namespace where setgroups is denied (CVE-2014-8989) the caller's own groups stay and cannot be shed. Elsewhere
        // it is root without CAP_SETGID, whose groups are not for the process.
        Err(Errno::PERM)
            if groups.is_empty() && (plan.namespace(NEWUSER)?.is_some() || is_in_user_namespace()) => {}
        other => other.context("setgroups", "process.user.additionalGids")?,
    }
    let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
    thread::set_thread_res_gid(gid, gid, gid).context("setresgid", user.gid)?;
    thread::set_thread_res_uid(uid, uid, uid).context("setresuid", user.uid)
}
