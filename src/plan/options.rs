//! The mount options of the OCI specification, and what each asks for.
//!
//! mount(2) mixes three families in one word; here they are apart, because the kernel's newer calls are:
//! attributes of one mount (`MOUNT_ATTR_*`, mount_setattr(2)), the same for a whole tree, and flags of the
//! superblock (`MS_*`), which a bind mount cannot change. What is not in the table is the filesystem's.

use super::mount::{BIND, Mount, RBIND};

/// What an option asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// The default: nothing.
    Nothing,
    /// `MOUNT_ATTR_*` on.
    Set(u32),
    /// `MOUNT_ATTR_*` off.
    Clear(u32),
    /// One of the access time modes, which share a field, or `NODIRATIME`. As with mount(2), and so mount(8) and runc, who asks for one
    /// has none of the others that were there.
    Atime(u32),
    /// Not that access time mode, nor `NODIRATIME`: takes back what was asked for, and nothing else (mount(2): without any of
    /// them a mount keeps its own).
    NotAtime(u32),
    /// As `Set`, for the mount and all below it.
    SetAll(u32),
    /// As `Clear`, for the mount and all below it.
    ClearAll(u32),
    /// As `Atime`, for the mount and all below it.
    AtimeAll(u32),
    /// As `NotAtime`, for the mount and all below it.
    NotAtimeAll(u32),
    /// `MS_*` of the superblock on.
    Super(u32),
    /// `MS_*` of the superblock off.
    NotSuper(u32),
    /// `MS_SHARED` ..., with `MS_REC` for the `r` forms.
    Propagation(u32),
    /// [`BIND`] or [`RBIND`].
    Bind(u32),
    Remount,
    CopyUp,
    CopySymlink,
    SourceNofollow,
    DestinationNofollow,
    /// [`BIND`] or [`RBIND`]: of that much the owners are mapped.
    Idmap(u32),
}

use Ask::*;

// linux/mount.h; the libc crate has them for some targets only.
pub const RDONLY: u32 = 0x1;
pub const NOSUID: u32 = 0x2;
pub const NODEV: u32 = 0x4;
pub const NOEXEC: u32 = 0x8;
/// The field of the access time modes.
pub const ATIME: u32 = 0x70;
pub const RELATIME: u32 = 0x00;
pub const NOATIME: u32 = 0x10;
pub const STRICTATIME: u32 = 0x20;
pub const NODIRATIME: u32 = 0x80;
/// Linux 5.14.
pub const NOSYMFOLLOW: u32 = 0x20_0000;

const MS_REC: u32 = libc::MS_REC as u32;
const SHARED: u32 = libc::MS_SHARED as u32;
const SLAVE: u32 = libc::MS_SLAVE as u32;
const PRIVATE: u32 = libc::MS_PRIVATE as u32;
const UNBINDABLE: u32 = libc::MS_UNBINDABLE as u32;
const SILENT: u32 = libc::MS_SILENT as u32;
const SYNCHRONOUS: u32 = libc::MS_SYNCHRONOUS as u32;
const DIRSYNC: u32 = libc::MS_DIRSYNC as u32;
const MANDLOCK: u32 = libc::MS_MANDLOCK as u32;
const I_VERSION: u32 = libc::MS_I_VERSION as u32;
const LAZYTIME: u32 = 1 << 25;

/// All options that are ours, by name.
pub const OPTIONS: &[(&str, Ask)] = &[
    ("async", NotSuper(SYNCHRONOUS)),
    ("atime", NotAtime(NOATIME)),
    ("bind", Bind(BIND)),
    ("copy-symlink", CopySymlink),
    ("defaults", Nothing),
    ("dest-nofollow", DestinationNofollow),
    ("dev", Clear(NODEV)),
    ("diratime", NotAtime(NODIRATIME)),
    ("dirsync", Super(DIRSYNC)),
    ("exec", Clear(NOEXEC)),
    ("idmap", Idmap(BIND)),
    ("iversion", Super(I_VERSION)),
    ("lazytime", Super(LAZYTIME)),
    ("loud", NotSuper(SILENT)),
    ("mand", Super(MANDLOCK)),
    ("noatime", Atime(NOATIME)),
    ("nodev", Set(NODEV)),
    ("nodiratime", Atime(NODIRATIME)),
    ("noexec", Set(NOEXEC)),
    ("noiversion", NotSuper(I_VERSION)),
    ("nolazytime", NotSuper(LAZYTIME)),
    ("nomand", NotSuper(MANDLOCK)),
    // Relatime is the field's zero: what is not relatime is left to the kernel's default, which is relatime.
    ("norelatime", Nothing),
    ("nostrictatime", NotAtime(STRICTATIME)),
    ("nosuid", Set(NOSUID)),
    ("nosymfollow", Set(NOSYMFOLLOW)),
    ("private", Propagation(PRIVATE)),
    ("ratime", NotAtimeAll(NOATIME)),
    ("rbind", Bind(RBIND)),
    ("rdev", ClearAll(NODEV)),
    ("rdiratime", ClearAll(NODIRATIME)),
    ("relatime", Atime(RELATIME)),
    ("remount", Remount),
    ("rexec", ClearAll(NOEXEC)),
    ("ridmap", Idmap(RBIND)),
    ("rnoatime", AtimeAll(NOATIME)),
    ("rnodev", SetAll(NODEV)),
    ("rnodiratime", SetAll(NODIRATIME)),
    ("rnoexec", SetAll(NOEXEC)),
    ("rnorelatime", Nothing),
    ("rnostrictatime", NotAtimeAll(STRICTATIME)),
    ("rnosuid", SetAll(NOSUID)),
    ("rnosymfollow", SetAll(NOSYMFOLLOW)),
    ("ro", Set(RDONLY)),
    ("rprivate", Propagation(PRIVATE | MS_REC)),
    ("rrelatime", AtimeAll(RELATIME)),
    ("rro", SetAll(RDONLY)),
    ("rrw", ClearAll(RDONLY)),
    ("rshared", Propagation(SHARED | MS_REC)),
    ("rslave", Propagation(SLAVE | MS_REC)),
    ("rstrictatime", AtimeAll(STRICTATIME)),
    ("rsuid", ClearAll(NOSUID)),
    ("rsymfollow", ClearAll(NOSYMFOLLOW)),
    ("runbindable", Propagation(UNBINDABLE | MS_REC)),
    ("rw", Clear(RDONLY)),
    ("shared", Propagation(SHARED)),
    ("silent", Super(SILENT)),
    ("slave", Propagation(SLAVE)),
    ("src-nofollow", SourceNofollow),
    ("strictatime", Atime(STRICTATIME)),
    ("suid", Clear(NOSUID)),
    ("symfollow", Clear(NOSYMFOLLOW)),
    ("sync", Super(SYNCHRONOUS)),
    ("tmpcopyup", CopyUp),
    ("unbindable", Propagation(UNBINDABLE)),
];

const _: () = assert!(super::names::sorted(OPTIONS));

impl Mount<'_> {
    /// Takes one option in; a later one wins against an earlier one.
    pub fn ask(&mut self, ask: Ask) {
        match ask {
            Nothing => {}
            Set(bits) => turn(bits, &mut self.set, &mut self.clear),
            Clear(bits) => turn(bits, &mut self.clear, &mut self.set),
            Atime(NODIRATIME) => {
                self.set |= u64::from(NODIRATIME);
                self.clear |= u64::from(ATIME | NODIRATIME);
            }
            Atime(mode) => {
                atime(mode, &mut self.set, &mut self.clear);
                self.clear |= u64::from(NODIRATIME);
            }
            NotAtime(mode) => self.set &= !u64::from(mode),
            SetAll(bits) => turn(bits, &mut self.recursive_set, &mut self.recursive_clear),
            ClearAll(bits) => turn(bits, &mut self.recursive_clear, &mut self.recursive_set),
            AtimeAll(mode) => atime(mode, &mut self.recursive_set, &mut self.recursive_clear),
            NotAtimeAll(mode) => not_atime(mode, &mut self.recursive_set, &mut self.recursive_clear),
            Super(bits) => turn(bits, &mut self.superblock, &mut self.superblock_clear),
            NotSuper(bits) => turn(bits, &mut self.superblock_clear, &mut self.superblock),
            Propagation(flags) => self.propagation = flags,
            Bind(bind) => self.bind = bind,
            Idmap(reach) => self.idmap = Some(reach),
            Remount => self.remount = true,
            CopyUp => self.copy_up = true,
            CopySymlink => self.copy_symlink = true,
            SourceNofollow => self.source_nofollow = true,
            DestinationNofollow => self.destination_nofollow = true,
        }
    }
}

fn turn(bits: u32, on: &mut u64, off: &mut u64) {
    *on |= u64::from(bits);
    *off &= !u64::from(bits);
}

fn atime(mode: u32, set: &mut u64, clear: &mut u64) {
    *set = *set & !u64::from(ATIME) | u64::from(mode);
    *clear |= u64::from(ATIME);
}

/// Without this mode it is the kernel's default, relatime; another mode asked for before stays.
/// mount_setattr(2) only takes the whole field to clear.
fn not_atime(mode: u32, set: &mut u64, clear: &mut u64) {
    let now = *set as u32 & ATIME;
    if now == mode || now == RELATIME {
        atime(RELATIME, set, clear);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::mount::BLANK;
    use crate::plan::names::find;

    fn asked(options: &[&str]) -> Mount<'static> {
        let mut mount = BLANK;
        options.iter().for_each(|option| mount.ask(find(OPTIONS, option).unwrap()));
        mount
    }

    #[test]
    fn the_later_option_wins() {
        let mount = asked(&["nosuid", "ro", "suid", "rw"]);
        assert_eq!((mount.set, mount.clear), (0, u64::from(NOSUID | RDONLY)));
        let mount = asked(&["rw", "ro", "async", "sync"]);
        assert_eq!((mount.set, mount.clear), (RDONLY.into(), 0));
        assert_eq!((mount.superblock, mount.superblock_clear), (SYNCHRONOUS.into(), 0));
    }

    #[test]
    fn access_time_modes_clear_their_whole_field() {
        for (options, set) in [
            (&["noatime"][..], NOATIME),
            (&["noatime", "strictatime"], STRICTATIME),
            (&["noatime", "relatime"], RELATIME),
            (&["noatime", "atime"], RELATIME),
            (&["noatime", "nostrictatime"], NOATIME),
            (&["nodiratime"], NODIRATIME),
            (&["strictatime", "nodiratime"], STRICTATIME | NODIRATIME),
            (&["nodiratime", "noatime", "diratime"], NOATIME),
        ] {
            let mount = asked(options);
            assert_eq!((mount.set, mount.clear), (set.into(), (ATIME | NODIRATIME).into()), "{options:?}");
        }
        assert_eq!(asked(&["rnoatime"]).recursive_clear, ATIME.into());
    }

    #[test]
    fn taking_back_an_access_time_mode_that_nobody_asked_for_changes_nothing() {
        let mount = asked(&["atime", "diratime", "norelatime", "nostrictatime"]);
        assert_eq!((mount.set, mount.clear), (0, 0));
    }

    #[test]
    fn bind_after_rbind_is_one_mount() {
        assert_eq!(asked(&["rbind"]).bind, RBIND);
        assert_eq!(asked(&["rbind", "bind"]).bind, BIND);
    }

    /// The MUST and SHOULD rows of config.md, "Linux mount options".
    #[test]
    fn every_option_of_the_specification_is_known() {
        let listed = "async atime bind defaults dev diratime dirsync exec iversion lazytime loud noatime nodev \
            nodiratime noexec noiversion nolazytime norelatime nostrictatime nosuid private rbind relatime remount \
            ro rprivate rshared rslave runbindable rw shared silent slave strictatime suid sync unbindable \
            nosymfollow symfollow ratime rdev rdiratime rexec rnoatime rnodiratime rnoexec rnorelatime \
            rnostrictatime rnosuid rnosymfollow rrelatime rro rrw rstrictatime rsuid rsymfollow idmap ridmap \
            rnodev mand nomand tmpcopyup";
        for option in listed.split_ascii_whitespace() {
            assert!(find(OPTIONS, option).is_some(), "{option}");
        }
    }
}
