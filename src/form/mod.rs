//! The minirunc form of config.json, rewritten as OCI text: one text with holes.
//!
//! Nothing is judged here but what OCI has no word for: values go as they are written, the text is read as any
//! config.json is, and what is wrong with a value is told by the key that it was written under.

mod network;
#[cfg(test)]
mod tests;

use core::ffi::CStr;

use crate::error::{Error, Result};
use crate::oci;
use crate::text::{holes, short};
use crate::wire::json::{Document, Node, Rewriter, Text};
use network::Network;

/// /proc, /dev and most of /dev/pts, as `runc spec` has them; its options are still open.
pub const FIRST_MOUNTS: &str = concat!(
    r#"{"destination":"/proc","type":"proc","source":"proc"},"#,
    r#"{"destination":"/dev","type":"tmpfs","source":"tmpfs","#,
    r#""options":["nosuid","strictatime","mode=755","size=65536k"]},"#,
    r#"{"destination":"/dev/pts","type":"devpts","source":"devpts","#,
    r#""options":["nosuid","noexec","newinstance","ptmxmode=0666","mode=0620""#,
);

/// The end of that, /dev/shm and /dev/mqueue, and the begin of /sys.
pub const MORE_MOUNTS: &str = concat!(
    r#"]},{"destination":"/dev/shm","type":"tmpfs","source":"shm","#,
    r#""options":["nosuid","noexec","nodev","mode=1777","size=65536k"]},"#,
    r#"{"destination":"/dev/mqueue","type":"mqueue","source":"mqueue","#,
    r#""options":["nosuid","noexec","nodev"]},{"destination":"/sys","#,
);

/// What is hidden in /proc and /sys.
pub const HIDDEN: &str = concat!(
    r#""maskedPaths":["/proc/acpi","/proc/asound","/proc/kcore","/proc/keys","/proc/latency_stats","#,
    r#""/proc/timer_list","/proc/timer_stats","/proc/sched_debug","/sys/firmware","/proc/scsi","#,
    r#""/sys/devices/virtual/tpm"],"#,
    r#""readonlyPaths":["/proc/bus","/proc/fs","/proc/irq","/proc/sys","/proc/sysrq-trigger"]}}"#,
);

/// What the process may do when nothing is said of it.
pub const CAPABILITIES: &str = concat!(
    r#""CAP_CHOWN","CAP_DAC_OVERRIDE","CAP_FSETID","CAP_FOWNER","CAP_SETGID","CAP_SETUID","CAP_SETPCAP","#,
    r#""CAP_NET_BIND_SERVICE","CAP_SYS_CHROOT","CAP_KILL","CAP_AUDIT_WRITE""#,
);

/// The OCI text. `<before|key|default>` is a hole for the value of a key, with what stands before it; where there is neither
/// value nor default, nothing stands there. `<name>` is one that takes more than a copy.
static TEXT: &[&str] = &[
    r#"{"ociVersion":""#,
    oci::VERSION,
    r#""<,"hostname":|hostname|>,"root":{"path":<|rootfs|"/"><,"readonly":|read_only|>},"process":{"#,
    r#""args":<|cmd|><,"terminal":|terminal|>,"user":{<user>},"cwd":<|working_dir|"/">,"#,
    r#""env":<|env|["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]>,"#,
    r#""capabilities":{<capabilities>},"noNewPrivileges":true},"mounts":["#,
    FIRST_MOUNTS,
    r#","gid=5""#,
    MORE_MOUNTS,
    r#""type":"sysfs","source":"sysfs","options":["nosuid","noexec","nodev","ro"]}<mounts>],"#,
    r#"<annotations>"linux":{<cgroup>"resources":{"devices":[{"allow":false,"access":"rwm"}]"#,
    r#"<,"memory":|resources.memory|><,"cpu":|resources.cpu|><,"pids":|resources.pids|>"#,
    r#"<,"blockIO":|resources.blkio|>},<namespaces><seccomp>"#,
    HIDDEN,
];

/// The keys of the form. The last line has those that the command line needs besides.
const KEYS: &str = "hostname rootfs cmd env working_dir resources namespaces mounts network capabilities seccomp_profile \
                    image user read_only terminal userns";

/// Namespaces without being asked, but for the network's.
const NAMESPACES: &str = r#"{"type":"pid"},{"type":"ipc"},{"type":"uts"},{"type":"mount"}"#;

/// What the form does not say.
#[derive(Default)]
pub struct Request<'a> {
    /// The container's, checked.
    pub id: Option<&'a CStr>,
    /// User and group of an ordinary user, whose container has to be in a user namespace with these alone.
    pub owner: Option<(u32, u32)>,
    /// This kernel has no cgroup namespaces: nobody has asked for one.
    pub no_cgroups: bool,
    /// What `seccomp_profile` names.
    pub profile: Option<&'a Document<'a>>,
}

/// Whether a config.json is in this form: it has no `ociVersion` but a `cmd`.
pub fn is_written(root: &Node<'_>) -> Result<bool> {
    let [version, cmd] = root.pick("ociVersion cmd")?;
    Ok(!version.is_present() && cmd.is_present())
}

/// Writes what `document` says as OCI text to `out`; `warn` is told of keys that say nothing.
pub fn rewrite<'a>(
    document: &'a Document<'a>,
    request: &Request<'a>,
    out: &mut Rewriter<'_, 'a>,
    warn: &mut dyn FnMut(&Error),
) -> Result<()> {
    let root = document.root();
    for (key, _) in root.members()? {
        if !KEYS.split(' ').any(|known| key == known) {
            warn(&key.node().refuse("not a key of this form, ignored"));
        }
    }
    let [rootfs, image] = root.pick("rootfs image")?;
    match (rootfs.is_present(), image.is_present()) {
        (false, false) => rootfs.required()?,
        (true, true) => return Err(image.refuse("not with a rootfs")),
        _ => {}
    }
    let network = Network::read(&root.at("network")?)?;
    let mut rewriting = Rewriting { root, image, network, request, out };
    TEXT.iter().try_for_each(|text| {
        holes(text, &mut |is_hole, part| match is_hole {
            true => rewriting.hole(part),
            false => {
                rewriting.out.text(part);
                Ok(())
            }
        })
    })
}

struct Rewriting<'r, 'm, 'a> {
    root: Node<'a>,
    image: Node<'a>,
    network: Network<'a>,
    request: &'r Request<'a>,
    out: &'r mut Rewriter<'m, 'a>,
}

impl<'a> Rewriting<'_, '_, 'a> {
    fn hole(&mut self, hole: &'static str) -> Result<()> {
        match hole {
            "user" => self.user(),
            "capabilities" => self.capabilities(),
            "mounts" => self.mounts(),
            "annotations" => self.annotations(),
            "cgroup" => self.cgroup(),
            "namespaces" => self.namespaces(),
            "seccomp" => self.seccomp(),
            _ => self.value(hole),
        }
    }

    fn value(&mut self, hole: &'static str) -> Result<()> {
        let mut parts = hole.split('|');
        let mut part = || parts.next().unwrap_or("");
        let (before, keys, default) = (part(), part(), part());
        let node = keys.split('.').try_fold(self.root, |node, key| node.at(key))?;
        if node.is_present() {
            self.out.text(before);
            self.out.copy(&node);
        } else if !default.is_empty() {
            self.out.text(before);
            self.out.text(default);
        }
        Ok(())
    }

    /// `UID[:GID]`.
    fn user(&mut self) -> Result<()> {
        let node = self.root.at("user")?;
        let mut ids = [0_u32; 2];
        if node.is_present() {
            let text = node.read::<Text<'_>>()?.as_plain().unwrap_or("?");
            let mut parts = text.split(':');
            for (id, part) in ids.iter_mut().zip(&mut parts) {
                *id = part.parse().map_err(|_| node.refuse("expected UID or UID:GID"))?;
            }
            if parts.next().is_some() {
                return Err(node.refuse("expected UID or UID:GID"));
            }
        }
        let [uid, gid] = ids;
        self.out.instead(&node, &[&short(format_args!(r#""uid":{uid},"gid":{gid}"#))]);
        Ok(())
    }

    /// The bounding, permitted and effective sets are alike.
    fn capabilities(&mut self) -> Result<()> {
        let node = self.root.at("capabilities")?;
        let mut before = "";
        for set in ["bounding", "permitted", "effective"] {
            self.out.text(&short(format_args!(r#"{before}"{set}":"#)));
            if node.is_present() {
                self.out.copy(&node);
            } else {
                self.out.text("[");
                self.out.text(CAPABILITIES);
                self.out.text("]");
            }
            before = ",";
        }
        Ok(())
    }

    fn mounts(&mut self) -> Result<()> {
        let node = self.root.at("mounts")?;
        // What is no list is told here.
        if node.list()?.next().is_some() {
            self.out.text(",");
            self.out.elements(&node);
        }
        Ok(())
    }

    fn annotations(&mut self) -> Result<()> {
        let (image, bridge) = (self.image.is_present(), matches!(self.network, Network::Bridge(_)));
        if !image && !bridge {
            return Ok(());
        }
        self.out.text(r#""annotations":{"#);
        if image {
            self.out.text(r#""org.minirunc.overlay":"#);
            self.out.copy(&self.image);
        }
        if bridge {
            self.out.text(if image { "," } else { "" });
            self.out.text(r#""org.minirunc.network":"#);
            self.network.annotation(self.out)?;
        }
        self.out.text("},");
        Ok(())
    }

    /// `minirunc/ID`. The letters of an id need no escapes.
    fn cgroup(&mut self) -> Result<()> {
        if let Some(id) = self.request.id.and_then(|id| id.to_str().ok()) {
            self.out.text(r#""cgroupsPath":"/minirunc/"#);
            self.out.text(id);
            self.out.text(r#"","#);
        }
        Ok(())
    }

    fn namespaces(&mut self) -> Result<()> {
        let list = self.root.at("namespaces")?;
        let mut users = self.request.owner.is_some() || self.root.get("userns")?;
        // What is to be said of the list as a whole is said of where it begins.
        self.out.text(r#""namespaces":"#);
        self.out.instead(&list, &["["]);
        let mut before = "";
        let mut mounts = !list.is_present();
        if mounts {
            self.out.text(NAMESPACES);
            if !self.request.no_cgroups {
                self.out.text(r#",{"type":"cgroup"}"#);
            }
            before = ",";
        }
        for node in list.list()? {
            let [kind, path] = node.pick("type path")?;
            let name = kind.read::<Text<'_>>()?;
            let joins = !path.is_empty();
            mounts |= name == "mnt" || name == "mount";
            if name == "user" {
                users = !joins;
            }
            // Those that are asked for elsewhere, too.
            let network = self.network.is_said() && (name == "net" || name == "network");
            if !joins && (network || name == "user") {
                continue;
            }
            self.out.text(before);
            self.out.text(r#"{"type":"#);
            match () {
                () if name == "net" => self.out.instead(&kind, &[r#""network""#]),
                () if name == "mnt" => self.out.instead(&kind, &[r#""mount""#]),
                () => self.out.copy(&kind),
            }
            if joins {
                self.out.text(r#","path":"#);
                self.out.copy(&path);
            }
            self.out.text("}");
            before = ",";
        }
        // The default mounts would be made in the caller's.
        if !mounts {
            return Err(list.refuse("a mount namespace is needed"));
        }
        let (said, host) = (self.network.is_said(), matches!(self.network, Network::Host));
        if (said || !list.is_present()) && !host {
            self.out.text(before);
            self.network.namespace(self.out);
            before = ",";
        }
        if users {
            self.out.text(before);
            self.out.text(r#"{"type":"user"}"#);
        }
        self.out.text("],");
        if users {
            self.maps();
        }
        Ok(())
    }

    /// An ordinary user has one id, and is root inside. Root's files stay root's: what a user namespace takes from root are
    /// the privileges over the host, not the name.
    fn maps(&mut self) {
        let (uid, gid) = self.request.owner.unwrap_or((0, 0));
        let size = if self.request.owner.is_some() { 1 } else { 65536 };
        for (whose, id) in [("uid", uid), ("gid", gid)] {
            self.out.text(&short(format_args!(
                r#""{whose}Mappings":[{{"containerID":0,"hostID":{id},"size":{size}}}],"#
            )));
        }
    }

    fn seccomp(&mut self) -> Result<()> {
        if let Some(profile) = self.request.profile {
            self.out.text(r#""seccomp":"#);
            self.out.copy(&profile.root());
            self.out.text(",");
        }
        Ok(())
    }
}
