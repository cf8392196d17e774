//! The texts of the cgroup filesystems, and those of /proc that tell where they are. Pure views.

/// A line of /proc/pid/cgroup: `hierarchy:controllers:path` (cgroups(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Membership<'a> {
    /// `cpu,cpuacct`, `name=systemd`; empty for cgroup v2.
    pub controllers: &'a [u8],
    /// Where the process is, from the root of its cgroup namespace.
    pub path: &'a [u8],
}

/// The lines of /proc/pid/cgroup; others are skipped.
pub fn memberships(text: &[u8]) -> impl Iterator<Item = Membership<'_>> {
    lines(text).filter_map(|line| {
        // The path is last, because it may hold colons.
        let mut parts = line.splitn(3, |&byte| byte == b':');
        let _number = parts.next()?;
        Some(Membership { controllers: parts.next()?, path: parts.next()? })
    })
}

/// A line of /proc/pid/mountinfo that mounts a cgroup hierarchy (proc_pid_mountinfo(5)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CgroupMount<'a> {
    /// Still with its octal escapes.
    pub mountpoint: &'a [u8],
    /// Cgroup v2.
    pub unified: bool,
    /// Superblock options: v1's controllers are among them.
    pub options: &'a [u8],
}

impl<'a> CgroupMount<'a> {
    /// The mount of one line, if it is one of cgroups.
    pub fn parse(line: &'a [u8]) -> Option<Self> {
        let mut fields = line.split(|&byte| byte == b' ');
        let mountpoint = fields.nth(4)?;
        // Optional fields, as many as there are, then a lone hyphen.
        let filesystem = fields.by_ref().skip_while(|field| *field != b"-").nth(1)?;
        let unified = match filesystem {
            b"cgroup" => false,
            b"cgroup2" => true,
            _ => return None,
        };
        Some(Self { mountpoint, unified, options: fields.nth(1)? })
    }

    /// Whether this is the hierarchy that /proc/pid/cgroup calls `controllers`.
    pub fn holds(&self, controllers: &[u8]) -> bool {
        if controllers.is_empty() || self.unified {
            return controllers.is_empty() && self.unified;
        }
        list(controllers).all(|wanted| list(self.options).any(|option| option == wanted))
    }
}

/// The lines of a text, without their ends.
pub fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|&byte| byte == b'\n').filter(|line| !line.is_empty())
}

/// The elements of `a,b,c`.
pub fn list(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|&byte| byte == b',')
}

/// The words of `a b c` with an end of line or without.
pub fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty())
}

/// The number after `key` in a flat keyed file (`memory.events`, `memory.oom_control`, `cgroup.events`).
pub fn keyed(text: &[u8], key: &[u8]) -> Option<u64> {
    lines(text).find_map(|line| {
        let mut parts = words(line);
        if parts.next() == Some(key) { number(parts.next()?) } else { None }
    })
}

/// A decimal number with an end of line or without.
pub fn number(text: &[u8]) -> Option<u64> {
    core::str::from_utf8(text.trim_ascii()).ok()?.parse().ok()
}

/// Numbers of a `cgroup.procs`, also across the borders of what one read(2) gave.
#[derive(Default)]
pub struct Pids(u32);

impl Pids {
    /// Calls `each` for every number whose line ends in this piece. 0 is a process of another pid
    /// namespace, which has no number here: it is told, too.
    pub fn feed(&mut self, piece: &[u8], mut each: impl FnMut(u32)) {
        for &byte in piece {
            if byte.is_ascii_digit() {
                self.0 = self.0.wrapping_mul(10).wrapping_add(u32::from(byte - b'0'));
            } else {
                each(core::mem::take(&mut self.0));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    const SELF: &[u8] = b"9:name=systemd:/\n4:cpu,cpuacct:/a:b\n0::/init.scope\n";

    #[test]
    fn a_membership_keeps_the_colons_of_its_path() {
        let found: Vec<_> = memberships(SELF).map(|m| (m.controllers, m.path)).collect();
        let expected: [(&[u8], &[u8]); 3] =
            [(b"name=systemd", b"/"), (b"cpu,cpuacct", b"/a:b"), (b"", b"/init.scope")];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_mount_is_known_by_type_and_options() {
        let line = b"35 31 0:32 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:5 master:1 - cgroup cgroup rw,cpuacct,cpu";
        let mount = CgroupMount::parse(line).unwrap();
        assert_eq!(mount.mountpoint, b"/sys/fs/cgroup/cpu,cpuacct");
        assert!(mount.holds(b"cpu,cpuacct") && mount.holds(b"cpu"));
        assert!(!mount.holds(b"cpuset") && !mount.holds(b""));
        let line = b"41 31 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate";
        assert!(CgroupMount::parse(line).unwrap().holds(b""));
        assert_eq!(CgroupMount::parse(b"31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw"), None);
        assert_eq!(CgroupMount::parse(b"31 23"), None);
    }

    #[test]
    fn a_key_is_a_whole_word() {
        let text = b"low 0\noom 3\noom_kill 2\noom_group_kill 9\n";
        assert_eq!(keyed(text, b"oom_kill"), Some(2));
        assert_eq!(keyed(text, b"kill"), None);
        assert_eq!(keyed(b"oom_kill\n", b"oom_kill"), None);
    }

    #[test]
    fn pids_survive_any_border_between_two_reads() {
        let text = b"1\n234\n0\n56\n";
        for border in 0..text.len() {
            let (mut pids, mut found) = (Pids::default(), Vec::new());
            pids.feed(&text[..border], |pid| found.push(pid));
            pids.feed(&text[border..], |pid| found.push(pid));
            assert_eq!(found, [1, 234, 0, 56], "border {border}");
        }
    }
}
