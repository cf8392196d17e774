//! Mounts, and the table of their options.

use core::ffi::CStr;

use super::{kind, noun::noun};

/// `bind` of [`Mount`]: a new filesystem.
pub const NO_BIND: u32 = 0;
/// `bind` of [`Mount`]: one mount of the source.
pub const BIND: u32 = 1;
/// `bind` of [`Mount`]: the source's whole tree.
pub const RBIND: u32 = 2;

noun! {
    /// One entry of `mounts`, its options sorted by the system call that takes them.
    kind::MOUNT => Mount<'a> {
        /// Where, absolute inside the root.
        1 destination: &'a CStr,
        /// Filesystem type; none for binds and remounts.
        2 fstype: Option<&'a CStr>,
        /// Bind: absolute host path. Otherwise what the filesystem takes as its source.
        3 source: Option<&'a CStr>,
        /// [`NO_BIND`], [`BIND`] or [`RBIND`].
        4 bind: u32 as Bind,
        /// `remount`: change the mount that is there.
        5 remount: bool,
        /// `MOUNT_ATTR_*` to set on this mount (mount_setattr(2)); atime values included.
        6 set: u64 as Attributes,
        /// `MOUNT_ATTR_*` to clear.
        7 clear: u64 as Attributes,
        /// `MOUNT_ATTR_*` to set on this mount and all below (`rro` ...).
        8 recursive_set: u64 as Attributes,
        /// `MOUNT_ATTR_*` to clear on this mount and all below (`rrw` ...).
        9 recursive_clear: u64 as Attributes,
        /// Superblock flags to set, as mount(2) numbers them (`MS_RDONLY`, `MS_SYNCHRONOUS`, `MS_LAZYTIME` ...).
        10 superblock: u64 as Superblock,
        /// Superblock flags to clear on remount.
        11 superblock_clear: u64 as Superblock,
        /// `MS_SHARED`, `MS_SLAVE`, `MS_PRIVATE`, `MS_UNBINDABLE`, each perhaps with `MS_REC`; 0: as made.
        12 propagation: u32 as Propagation,
        /// Options that only the filesystem knows, comma-joined.
        13 data: Option<&'a CStr>,
        /// `tmpcopyup`: fill the tmpfs with what was below it.
        14 copy_up: bool,
        /// `copy-symlink`: if the source is a symbolic link, make the same link at the destination.
        15 copy_symlink: bool,
        /// `src-nofollow`: bind the source link itself.
        16 source_nofollow: bool,
        /// `dest-nofollow`: mount onto a destination link itself.
        17 destination_nofollow: bool,
        /// [`BIND`] (`idmap`) or [`RBIND`] (`ridmap`): how much of the bind has its owners mapped.
        18 idmap: Option<u32>,
        /// Its own map, as /proc/PID/uid_map takes it; none: the container's user namespace has it.
        19 uid_map: Option<&'a CStr>,
        /// Likewise for groups.
        20 gid_map: Option<&'a CStr>,
    }
}

/// A mount that nothing has been asked of.
pub const BLANK: Mount<'static> = Mount {
    destination: c"/",
    fstype: None,
    source: None,
    bind: NO_BIND,
    remount: false,
    set: 0,
    clear: 0,
    recursive_set: 0,
    recursive_clear: 0,
    superblock: 0,
    superblock_clear: 0,
    propagation: 0,
    data: None,
    copy_up: false,
    copy_symlink: false,
    source_nofollow: false,
    destination_nofollow: false,
    idmap: None,
    uid_map: None,
    gid_map: None,
};

impl Mount<'_> {
    /// Whether the runtime opens the source, with the host's rights: to map a mount's owners takes them, and in a user
    /// namespace (`users`) root may not be allowed to search the directories above it.
    pub fn is_lent(&self, users: bool) -> bool {
        self.bind != NO_BIND && !self.remount && (users || self.idmap.is_some())
    }

    /// Whether its source is in the container's root, where a mount before it may have put it.
    pub fn is_from(&self, root: &CStr) -> bool {
        let below = self.source.and_then(|source| source.to_bytes().strip_prefix(root.to_bytes()));
        below.is_some_and(|below| below.starts_with(b"/"))
    }
}
