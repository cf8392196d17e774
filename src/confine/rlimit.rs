//! Resource limits (getrlimit(2)).

use crate::error::{Error, Result};
use crate::plan::Plan;
use crate::plan::names;
use crate::plan::process::Rlimit;
use crate::sys::process;

/// Sets them all on the caller. The last thing before the identity changes: raising one needs CAP_SYS_RESOURCE, and a
/// low RLIMIT_NOFILE would keep init itself from opening what it needs.
pub fn apply(plan: &Plan<'_>) -> Result<()> {
    for limit in plan.each::<Rlimit>() {
        let limit = limit?;
        process::set_limit(None, limit.resource, limit.soft, limit.hard)
            .map_err(|errno| failed(&limit, errno))?;
    }
    Ok(())
}

/// Raises the hard limits of `pid` where the plan wants more than it has. For a container in a user namespace, whose init
/// has no CAP_SYS_RESOURCE that counts: the runtime raises from outside, init then lowers.
pub fn raise(plan: &Plan<'_>, pid: i32) -> Result<()> {
    for limit in plan.each::<Rlimit>() {
        let limit = limit?;
        let (soft, hard) =
            process::limit(Some(pid), limit.resource).map_err(|errno| failed(&limit, errno))?;
        if limit.hard > hard {
            process::set_limit(Some(pid), limit.resource, soft, limit.hard)
                .map_err(|errno| failed(&limit, errno))?;
        }
    }
    Ok(())
}

#[cold]
fn failed(limit: &Rlimit, errno: rustix::io::Errno) -> Error {
    let name = names::RLIMITS.iter().find(|&&(_, number)| number == limit.resource);
    Error::system("prlimit", name.map_or("?", |&(name, _)| name), errno)
}
