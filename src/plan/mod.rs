//! What we accepted: the plan, a netlink message of small values.
//!
//! The plan is made once from config.json and the command line, sent to init, and kept in the state
//! directory. Reading it costs nothing but a walk over the attributes: values are parsed where they
//! are used, strings stay in place with their NUL. Lists are repeated attributes in their order.

pub mod convert;
pub mod device;
pub mod exec;
pub mod hook;
pub mod list;
pub mod mount;
pub mod names;
pub mod namespace;
pub mod noun;
pub mod options;
pub mod print;
pub mod process;
pub mod record;
pub mod resources;
pub mod root;
pub mod scheduling;
mod shown;
pub mod translate;

use core::ffi::CStr;
use core::marker::PhantomData;

use nsenter::attr::{self, Attr, Attrs, Message};

use crate::error::{Error, Result};
pub use noun::Noun;

/// Attribute types of the plan. Never renumbered, never reused.
pub mod kind {
    // Whose it is.
    pub const ID: u16 = 1;
    pub const BUNDLE: u16 = 2;
    pub const OCI_VERSION: u16 = 3;
    pub const ANNOTATION: u16 = 4;
    // What is around it.
    pub const NAMESPACE: u16 = 10;
    pub const ID_MAP: u16 = 11;
    pub const TIME_OFFSET: u16 = 12;
    pub const HOSTNAME: u16 = 13;
    pub const DOMAINNAME: u16 = 14;
    pub const SYSCTL: u16 = 15;
    pub const NET_DEVICE: u16 = 16;
    pub const BRIDGE: u16 = 17;
    /// A reaper of ours is the first process.
    pub const REAPER: u16 = 19;
    // What it sees.
    pub const ROOT: u16 = 20;
    pub const MOUNT: u16 = 21;
    pub const DEVICE: u16 = 22;
    pub const MASKED_PATH: u16 = 23;
    pub const READONLY_PATH: u16 = 24;
    pub const MOUNT_LABEL: u16 = 25;
    pub const OVERLAY: u16 = 26;
    // What runs.
    pub const ARG: u16 = 30;
    pub const ENV: u16 = 31;
    pub const CWD: u16 = 32;
    pub const USER: u16 = 33;
    pub const GROUP: u16 = 34;
    pub const CAPABILITIES: u16 = 35;
    pub const RLIMIT: u16 = 36;
    pub const NO_NEW_PRIVILEGES: u16 = 37;
    pub const OOM_SCORE_ADJ: u16 = 38;
    pub const TERMINAL: u16 = 39;
    pub const PRESERVE_FDS: u16 = 40;
    pub const NO_NEW_KEYRING: u16 = 41;
    pub const SCHEDULER: u16 = 42;
    pub const IO_PRIORITY: u16 = 43;
    pub const EXEC_AFFINITY: u16 = 44;
    pub const MEMORY_POLICY: u16 = 45;
    pub const PERSONALITY: u16 = 46;
    pub const APPARMOR_PROFILE: u16 = 47;
    pub const SELINUX_LABEL: u16 = 48;
    /// All of the above: what `exec` takes over.
    pub const PROCESS: core::ops::Range<u16> = 30..50;
    // What happens around its life.
    pub const HOOK: u16 = 50;
    // What it may use.
    pub const CGROUPS_PATH: u16 = 60;
    pub const CGROUP_MANAGER_DISABLED: u16 = 61;
    pub const MEMORY: u16 = 62;
    pub const CPU: u16 = 63;
    pub const CPUSET: u16 = 64;
    pub const PIDS: u16 = 65;
    pub const BLOCK_IO: u16 = 66;
    pub const BLOCK_DEVICE: u16 = 67;
    pub const HUGE_PAGE: u16 = 68;
    pub const NETWORK: u16 = 69;
    pub const NETWORK_PRIORITY: u16 = 70;
    pub const RDMA: u16 = 71;
    pub const UNIFIED: u16 = 72;
    pub const DEVICE_RULE: u16 = 73;
    pub const INTEL_RDT: u16 = 74;
    // What it may call.
    pub const SECCOMP: u16 = 90;
    pub const SECCOMP_FLAGS: u16 = 91;
    pub const SECCOMP_LISTENER: u16 = 92;
    // Only in the SETUP message: what was made on this host.
    pub const HIERARCHY: u16 = 100;
    pub const TASKS_FDS: u16 = 101;
    pub const RESCTRL: u16 = 112;
    pub const NODEV: u16 = 117;
    // Only in the ORDER message, never stored: what the command asks of init.
    pub const LISTEN_FDS: u16 = 102;
    pub const ASK_HOOKS: u16 = 103;
    pub const GATE: u16 = 104;
    pub const ASK_MOUNTS: u16 = 105;
    pub const EXEC: u16 = 106;
    pub const LISTEN_FDNAMES: u16 = 107;
    pub const NOTIFY: u16 = 108;
    pub const DEBUG: u16 = 110;
    pub const PRIORITIES: u16 = 111;
    pub const OVERLAY_FD: u16 = 115;
    pub const OVERLAY_PLACE: u16 = 116;
    // Only stored, behind both.
    pub const RECORD: u16 = 118;
}

/// A message of values: the plan, or the set-up that goes with it.
#[derive(Clone, Copy)]
pub struct Plan<'a> {
    attrs: Attrs<'a>,
    /// Which types there are, a bit each: most of what is asked for is not there. All of them in a broken message, whose error is
    /// told by who reads it.
    kinds: [u64; 2],
}

impl<'a> Plan<'a> {
    /// The view of a received or stored message.
    #[inline(never)]
    pub fn new(message: Message<'a>) -> Self {
        let mut kinds = [0; 2];
        for attr in message.attrs {
            match attr {
                Ok(attr) => kinds
                    .get_mut(usize::from(attr.kind / 64))
                    .map_or((), |word| *word |= 1 << (attr.kind % 64)),
                Err(_) => kinds = [u64::MAX; 2],
            }
        }
        Self { attrs: message.attrs, kinds }
    }

    /// All attributes, in their order. A broken message yields its error and ends.
    pub fn attributes(&self) -> impl Iterator<Item = Result<Attr<'a>>> + use<'a> {
        self.attrs.map(|attr| attr.map_err(broken))
    }

    /// Attributes of one type, in their order. A broken message yields its error and ends.
    #[inline(never)]
    pub fn all(&self, kind: u16) -> All<'a> {
        let absent = self.kinds.get(usize::from(kind / 64)).is_some_and(|word| word >> (kind % 64) & 1 == 0);
        All { attrs: if absent { Attrs::default() } else { self.attrs }, kind }
    }

    /// Values of one noun, in their order.
    pub fn each<T: Noun<'a>>(&self) -> Each<'a, T> {
        Each { all: self.all(T::KIND), noun: PhantomData }
    }

    /// The value of a noun that is there at most once.
    pub fn one<T: Noun<'a>>(&self) -> Result<Option<T>> {
        T::one(&mut self.all(T::KIND))
    }

    /// The strings of one type, in their order.
    pub fn strings(&self, kind: u16) -> impl Iterator<Item = Result<&'a CStr>> + use<'a> {
        self.all(kind).map(|attr| attr?.string().map_err(broken))
    }

    /// The string of a type that is there at most once.
    #[inline(never)]
    pub fn string(&self, kind: u16) -> Result<Option<&'a CStr>> {
        self.strings(kind).next().transpose()
    }

    /// A number that is there at most once.
    #[inline(never)]
    pub fn u32(&self, kind: u16) -> Result<Option<u32>> {
        self.all(kind).next().transpose()?.map(|attr| attr.u32().map_err(broken)).transpose()
    }

    /// A signed number that is there at most once.
    pub fn i64(&self, kind: u16) -> Result<Option<i64>> {
        self.all(kind).next().transpose()?.map(|attr| attr.i64().map_err(broken)).transpose()
    }

    /// Whether an attribute of this type is there.
    #[inline(never)]
    pub fn has(&self, kind: u16) -> Result<bool> {
        Ok(self.all(kind).next().transpose()?.is_some())
    }
}

/// Attributes of one type.
#[derive(Clone)]
pub struct All<'a> {
    attrs: Attrs<'a>,
    kind: u16,
}

impl<'a> Iterator for All<'a> {
    type Item = Result<Attr<'a>>;

    #[inline(never)]
    fn next(&mut self) -> Option<Self::Item> {
        for attr in &mut self.attrs {
            match attr {
                Ok(attr) if attr.kind != self.kind => {}
                Ok(attr) => return Some(Ok(attr)),
                Err(error) => return Some(Err(broken(error))),
            }
        }
        None
    }
}

/// Values of one noun.
pub struct Each<'a, T> {
    all: All<'a>,
    noun: PhantomData<T>,
}

impl<'a, T: Noun<'a>> Iterator for Each<'a, T> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Self::Item> {
        T::next(&mut self.all)
    }
}

/// The message of this kind at the start of what was stored, and what is behind it.
pub fn stored(bytes: &[u8], kind: u16) -> Result<(Plan<'_>, &[u8])> {
    match Message::parse(bytes).map_err(broken)? {
        (message, rest) if message.kind == kind => Ok((Plan::new(message), rest)),
        _ => Err(Error::refused(BROKEN, "not of this version")),
    }
}

/// The default of linux.cgroupsPath, before the container's id.
pub const DEFAULT_CGROUP: &[u8] = b"/minirunc-";

/// The operation of the errors of [`broken`].
pub const BROKEN: &str = "plan";

/// A stored or received plan that is not one: another program's file, or a disk's fault.
#[cold]
pub fn broken(error: attr::Error) -> Error {
    Error::refused(BROKEN, format_args!("attribute {}: {:?}", error.kind, error.fault))
}
