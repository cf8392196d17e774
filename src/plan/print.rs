//! The plan for people: one attribute a line, in the message's order (`run --dry-run`).
//!
//! The same values, shown by the same declarations, that init executes: what is printed is what would
//! be done.

use core::fmt::{Display, Write};

use nsenter::attr::Attr;

use super::{Noun, Plan, broken, kind};
use super::{device, hook, mount, namespace, process, resources, root};
use crate::error::{Error, Result};
use crate::text;

/// Writes `plan` to `f`. An attribute that is not known is refused, as it is by those who execute the plan.
pub fn print(plan: &Plan<'_>, f: &mut dyn Write) -> Result<()> {
    plan.attributes().try_for_each(|attr| line(attr?, f))
}

fn line(attr: Attr<'_>, f: &mut dyn Write) -> Result<()> {
    match attr.kind {
        kind::ID => string("id", attr, f),
        kind::BUNDLE => string("bundle", attr, f),
        kind::OCI_VERSION => string("oci-version", attr, f),
        kind::ANNOTATION => noun::<process::Annotation<'_>>("annotation", attr, f),
        kind::NAMESPACE => noun::<namespace::Namespace<'_>>("namespace", attr, f),
        kind::ID_MAP => noun::<namespace::IdMap>("id-map", attr, f),
        kind::TIME_OFFSET => noun::<namespace::TimeOffset>("time-offset", attr, f),
        kind::HOSTNAME => string("hostname", attr, f),
        kind::DOMAINNAME => string("domainname", attr, f),
        kind::SYSCTL => noun::<namespace::Sysctl<'_>>("sysctl", attr, f),
        kind::ROOT => noun::<root::Root<'_>>("root", attr, f),
        kind::MOUNT => noun::<mount::Mount<'_>>("mount", attr, f),
        kind::DEVICE => noun::<device::Device<'_>>("device", attr, f),
        kind::MASKED_PATH => string("masked-path", attr, f),
        kind::READONLY_PATH => string("readonly-path", attr, f),
        kind::ARG => string("arg", attr, f),
        kind::ENV => string("env", attr, f),
        kind::CWD => string("cwd", attr, f),
        kind::USER => noun::<process::User>("user", attr, f),
        kind::GROUP => number("group", attr, f),
        kind::CAPABILITIES => noun::<process::Capabilities>("capabilities", attr, f),
        kind::RLIMIT => noun::<process::Rlimit>("rlimit", attr, f),
        kind::NO_NEW_PRIVILEGES => flag("no-new-privileges", f),
        kind::OOM_SCORE_ADJ => {
            let score = attr.i64().map_err(broken)?;
            write(f, "oom-score-adj", format_args!(" {score}"))
        }
        kind::TERMINAL => noun::<process::Terminal>("terminal", attr, f),
        kind::PRESERVE_FDS => number("preserve-fds", attr, f),
        kind::NO_NEW_KEYRING => flag("no-new-keyring", f),
        kind::HOOK => noun::<hook::Hook<'_>>("hook", attr, f),
        kind::CGROUPS_PATH => string("cgroups-path", attr, f),
        kind::CGROUP_MANAGER_DISABLED => flag("cgroup-manager-disabled", f),
        kind::MEMORY => noun::<resources::Memory>("memory", attr, f),
        kind::CPU => noun::<resources::Cpu>("cpu", attr, f),
        kind::CPUSET => noun::<resources::Cpuset<'_>>("cpuset", attr, f),
        kind::PIDS => noun::<resources::Pids>("pids", attr, f),
        kind::BLOCK_IO => noun::<resources::BlockIo>("block-io", attr, f),
        kind::BLOCK_DEVICE => noun::<resources::BlockDevice>("block-device", attr, f),
        kind::HUGE_PAGE => noun::<resources::HugePage<'_>>("huge-page", attr, f),
        kind::NETWORK => noun::<resources::Network>("network", attr, f),
        kind::NETWORK_PRIORITY => noun::<resources::NetworkPriority<'_>>("network-priority", attr, f),
        kind::RDMA => noun::<resources::Rdma<'_>>("rdma", attr, f),
        kind::UNIFIED => noun::<resources::Unified<'_>>("unified", attr, f),
        kind::DEVICE_RULE => noun::<device::DeviceRule>("device-rule", attr, f),
        _ => Err(broken(attr.unknown())),
    }
}

fn noun<'a, T: Noun<'a> + Display>(name: &str, attr: Attr<'a>, f: &mut dyn Write) -> Result<()> {
    write(f, name, T::parse(attr.attrs()).map_err(broken)?)
}

fn string(name: &str, attr: Attr<'_>, f: &mut dyn Write) -> Result<()> {
    let string = attr.string().map_err(broken)?;
    write(f, name, format_args!(" {}", text::shown(string)))
}

fn number(name: &str, attr: Attr<'_>, f: &mut dyn Write) -> Result<()> {
    let number = attr.u32().map_err(broken)?;
    write(f, name, format_args!(" {number}"))
}

fn flag(name: &str, f: &mut dyn Write) -> Result<()> {
    write(f, name, "")
}

/// One line: the attribute's name, then what its value says of itself, which begins with a blank.
fn write(f: &mut dyn Write, name: &str, value: impl Display) -> Result<()> {
    writeln!(f, "{name}{value}").map_err(|_| Error::refused("print", "the output does not take it"))
}
