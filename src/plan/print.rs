//! The plan for people: one attribute a line, in the message's order (`run --dry-run`).
//!
//! The same values, shown by the same declarations, that init executes: what is printed is what would
//! be done.

use core::fmt::{self, Write};
use core::mem::MaybeUninit;

use nsenter::attr::Attr;

use super::noun::Table;
use super::{Noun, Plan, broken, kind};
use super::{device, hook, mount, namespace, process, resources, root, scheduling};
use crate::error::{Error, Result};
use crate::text;

/// What an attribute holds.
enum How {
    Text,
    Number,
    Signed,
    Flag,
    Program,
    Noun(&'static Table),
}

use How::{Flag, Number, Program, Signed, Text};

const fn noun<'a, T: Noun<'a>>() -> How {
    How::Noun(T::TABLE)
}

/// What there is to print, by attribute type.
static LINES: &[(u16, &str, How)] = &[
    (kind::ID, "id", Text),
    (kind::BUNDLE, "bundle", Text),
    (kind::OCI_VERSION, "oci-version", Text),
    (kind::ANNOTATION, "annotation", noun::<process::Annotation<'_>>()),
    (kind::NAMESPACE, "namespace", noun::<namespace::Namespace<'_>>()),
    (kind::ID_MAP, "id-map", noun::<namespace::IdMap>()),
    (kind::TIME_OFFSET, "time-offset", noun::<namespace::TimeOffset>()),
    (kind::HOSTNAME, "hostname", Text),
    (kind::DOMAINNAME, "domainname", Text),
    (kind::SYSCTL, "sysctl", noun::<namespace::Sysctl<'_>>()),
    (kind::NET_DEVICE, "net-device", noun::<namespace::NetDevice<'_>>()),
    (kind::BRIDGE, "bridge", noun::<namespace::Bridge<'_>>()),
    (kind::REAPER, "reaper", Flag),
    (kind::ROOT, "root", noun::<root::Root<'_>>()),
    (kind::MOUNT, "mount", noun::<mount::Mount<'_>>()),
    (kind::DEVICE, "device", noun::<device::Device<'_>>()),
    (kind::MASKED_PATH, "masked-path", Text),
    (kind::READONLY_PATH, "readonly-path", Text),
    (kind::MOUNT_LABEL, "mount-label", Text),
    (kind::OVERLAY, "overlay", Text),
    (kind::ARG, "arg", Text),
    (kind::ENV, "env", Text),
    (kind::CWD, "cwd", Text),
    (kind::USER, "user", noun::<process::User>()),
    (kind::GROUP, "group", Number),
    (kind::CAPABILITIES, "capabilities", noun::<process::Capabilities>()),
    (kind::RLIMIT, "rlimit", noun::<process::Rlimit>()),
    (kind::NO_NEW_PRIVILEGES, "no-new-privileges", Flag),
    (kind::OOM_SCORE_ADJ, "oom-score-adj", Signed),
    (kind::TERMINAL, "terminal", noun::<process::Terminal>()),
    (kind::PRESERVE_FDS, "preserve-fds", Number),
    (kind::NO_NEW_KEYRING, "no-new-keyring", Flag),
    (kind::SCHEDULER, "scheduler", noun::<scheduling::Scheduler>()),
    (kind::IO_PRIORITY, "io-priority", noun::<scheduling::IoPriority>()),
    (kind::EXEC_AFFINITY, "exec-affinity", noun::<scheduling::ExecAffinity<'_>>()),
    (kind::MEMORY_POLICY, "memory-policy", noun::<scheduling::MemoryPolicy<'_>>()),
    (kind::PERSONALITY, "personality", Number),
    (kind::APPARMOR_PROFILE, "apparmor-profile", Text),
    (kind::SELINUX_LABEL, "selinux-label", Text),
    (kind::SECCOMP, "seccomp", Program),
    (kind::SECCOMP_FLAGS, "seccomp-flags", Number),
    (kind::SECCOMP_LISTENER, "seccomp-listener", noun::<process::Listener<'_>>()),
    (kind::HOOK, "hook", noun::<hook::Hook<'_>>()),
    (kind::CGROUPS_PATH, "cgroups-path", Text),
    (kind::CGROUP_MANAGER_DISABLED, "cgroup-manager-disabled", Flag),
    (kind::MEMORY, "memory", noun::<resources::Memory>()),
    (kind::CPU, "cpu", noun::<resources::Cpu>()),
    (kind::CPUSET, "cpuset", noun::<resources::Cpuset<'_>>()),
    (kind::PIDS, "pids", noun::<resources::Pids>()),
    (kind::BLOCK_IO, "block-io", noun::<resources::BlockIo>()),
    (kind::BLOCK_DEVICE, "block-device", noun::<resources::BlockDevice>()),
    (kind::HUGE_PAGE, "huge-page", noun::<resources::HugePage<'_>>()),
    (kind::NETWORK, "network", noun::<resources::Network>()),
    (kind::NETWORK_PRIORITY, "network-priority", noun::<resources::NetworkPriority<'_>>()),
    (kind::RDMA, "rdma", noun::<resources::Rdma<'_>>()),
    (kind::UNIFIED, "unified", noun::<resources::Unified<'_>>()),
    (kind::INTEL_RDT, "intel-rdt", noun::<resources::IntelRdt<'_>>()),
    (kind::DEVICE_RULE, "device-rule", noun::<device::DeviceRule>()),
];

/// Writes `plan` to `f`. An attribute that is not known is refused, as it is by those who execute the plan.
pub fn print(plan: &Plan<'_>, f: &mut dyn Write) -> Result<()> {
    for attr in plan.attributes() {
        line(attr?, f)?;
    }
    Ok(())
}

fn line(attr: Attr<'_>, f: &mut dyn Write) -> Result<()> {
    let Some((_, name, how)) = LINES.iter().find(|(kind, ..)| *kind == attr.kind) else {
        return Err(broken(attr.unknown()));
    };
    // After the name comes what the value says of itself, which begins with a blank.
    match how {
        Text => write(f, name, format_args!(" {}", text::shown(attr.string().map_err(broken)?))),
        Number => write(f, name, format_args!(" {}", attr.u32().map_err(broken)?)),
        Signed => write(f, name, format_args!(" {}", attr.i64().map_err(broken)?)),
        Flag => write(f, name, format_args!("")),
        Program => write(f, name, format_args!(" instructions={}", attr.bytes().len() / 8)),
        How::Noun(table) => {
            let mut room = MaybeUninit::uninit();
            let noun = table.parse(attr.attrs(), &mut room).map_err(broken)?;
            write(f, name, format_args!("{noun}"))
        }
    }
}

fn write(f: &mut dyn Write, name: &str, value: fmt::Arguments<'_>) -> Result<()> {
    writeln!(f, "{name}{value}").map_err(|_| Error::refused("print", "the output does not take it"))
}
