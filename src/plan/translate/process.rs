//! `process`: what runs, as whom, with what rights.

use super::strings::{MOST, PATH, absolute, put, said, sound};
use super::{Translation, rows};
use crate::error::Result;
use crate::limits;
use crate::oci;
use crate::plan::kind;
use crate::plan::names::{self, find_text};
use crate::plan::process::{Capabilities, Listener, Rlimit, Terminal, User};
use crate::wire::json::{Node, Text};

impl Translation<'_, '_> {
    /// What of `process` its init is born with.
    pub(super) fn priorities(&mut self, process: &oci::Process<'_>) -> Result<()> {
        self.scheduler(process.scheduler())?;
        self.io_priority(process.io_priority())
    }

    /// The rest of `process`, which is `node`.
    #[inline(never)]
    pub(super) fn process(&mut self, node: &Node<'_>, process: &oci::Process<'_>) -> Result<()> {
        let labels = [
            (kind::APPARMOR_PROFILE, process.apparmor_profile()),
            (kind::SELINUX_LABEL, process.selinux_label()),
        ];
        for (kind, node) in labels {
            if let Some(label) = said(node)? {
                self.string(kind, &label)?;
            }
        }
        self.command(process.args(), process.env(), process.cwd())?;
        self.user(process.user())?;
        self.capabilities(process.capabilities())?;
        self.rlimits(process.rlimits())?;
        self.exec_affinity(process.exec_cpu_affinity())?;
        if process.no_new_privileges().read()? {
            self.writer.flag(kind::NO_NEW_PRIVILEGES);
        }
        if let Some(score) = process.oom_score_adj().read::<Option<i64>>()? {
            if !(-1000..=1000).contains(&score) {
                return Err(process.oom_score_adj().refuse("expected a number from -1000 to 1000"));
            }
            self.writer.i64(kind::OOM_SCORE_ADJ, score);
        }
        // Without a terminal its size is to be ignored.
        if process.terminal().read()? {
            let mut terminal = Terminal::default();
            rows::read(&mut terminal, process.console_size(), &mut &mut *self.scratch)?;
            put(&mut self.writer, node, terminal)?;
        }
        if self.request.preserve_fds != 0 {
            self.writer.u32(kind::PRESERVE_FDS, self.request.preserve_fds);
        }
        if self.request.no_new_keyring {
            self.writer.flag(kind::NO_NEW_KEYRING);
        }
        sound(&self.writer, node)
    }

    /// The filter, and its agent if there is one.
    #[inline(never)]
    pub(super) fn seccomp(&mut self, node: &Node<'_>) -> Result<()> {
        let Some((program, flags)) = self.request.filter else { return Ok(()) };
        self.writer.bytes(kind::SECCOMP, program);
        self.writer.u32(kind::SECCOMP_FLAGS, flags);
        let mut seccomp = oci::Seccomp::of(node);
        seccomp.locate()?;
        let mut room = &mut *self.scratch;
        let metadata = match said(seccomp.listener_metadata())? {
            Some(text) => Some(text.c_str(MOST, &mut room)?),
            None => None,
        };
        if let Some(text) = said(seccomp.listener_path())? {
            absolute(&text)?;
            let path = text.c_str(PATH, &mut room)?;
            put(&mut self.writer, node, Listener { path, metadata })?;
        } else if metadata.is_some() {
            return Err(seccomp.listener_metadata().refuse("only with a listenerPath"));
        }
        sound(&self.writer, node)
    }

    #[inline(never)]
    fn command(&mut self, args: &Node<'_>, env: &Node<'_>, cwd: &Node<'_>) -> Result<()> {
        if args.is_empty() {
            return Err(args.refuse("must name a program"));
        }
        for node in args.list()? {
            self.string(kind::ARG, &node.read()?)?;
        }
        for node in env.list()? {
            let text = node.read::<Text<'_>>()?;
            // runc refuses it, too: what getenv(3) cannot find has no meaning.
            if text.starts_with('=') || !text.has(|c| c == '=') {
                return Err(node.refuse("expected NAME=value"));
            }
            self.string(kind::ENV, &text)?;
        }
        let text = cwd.read::<Text<'_>>()?;
        absolute(&text)?;
        self.writer.string(kind::CWD, text.c_str(PATH, &mut &mut *self.scratch)?);
        Ok(())
    }

    #[inline(never)]
    fn user(&mut self, user: &Node<'_>) -> Result<()> {
        let mut value = User::default();
        rows::read(&mut value, user, &mut &mut *self.scratch)?;
        let [uid, gid, groups] = user.pick("uid gid additionalGids")?;
        self.namespaces.check_uid(&uid, value.uid)?;
        self.namespaces.check_gid(&gid, value.gid)?;
        put(&mut self.writer, user, value)?;
        for (count, node) in groups.list()?.enumerate() {
            if count == limits::GROUPS {
                return Err(groups.refuse(format_args!("more than {count} groups")));
            }
            let gid = node.read()?;
            self.namespaces.check_gid(&node, gid)?;
            self.writer.u32(kind::GROUP, gid);
        }
        Ok(())
    }

    /// The five sets. Without `capabilities` the process has none, as under runc: a process is given what
    /// its configuration names, and an upper layer that forgets them shall not hand out root's.
    #[inline(never)]
    fn capabilities(&mut self, capabilities: &Node<'_>) -> Result<()> {
        let lists: [_; 5] = capabilities.pick("bounding effective inheritable permitted ambient")?;
        let mut sets = [0; 5];
        for (bits, list) in sets.iter_mut().zip(lists) {
            *bits = self.capability_set(&list)?;
        }
        let [bounding, effective, inheritable, permitted, ambient] = sets;
        let sets = Capabilities { bounding, effective, inheritable, permitted, ambient };
        put(&mut self.writer, capabilities, sets)
    }

    /// Unknown ones MUST be warned of and SHOULD NOT fail (config.md).
    #[inline(never)]
    fn capability_set(&mut self, set: &Node<'_>) -> Result<u64> {
        let mut bits = 0;
        for node in set.list()? {
            match find_text(names::CAPABILITIES, &node.read()?) {
                Some(number) => bits |= 1 << number,
                None => {
                    // runc's words.
                    let mut buffer = [0; 64];
                    let name = node.read::<Text<'_>>()?.decode(&mut buffer).unwrap_or("?");
                    let ignored = format_args!("ignoring unknown or unavailable capabilities: [{name}]");
                    (self.warn)(&node.refuse(ignored));
                }
            }
        }
        Ok(bits)
    }

    #[inline(never)]
    fn rlimits(&mut self, rlimits: &Node<'_>) -> Result<()> {
        let mut seen = 0_u32;
        for node in rlimits.list()? {
            let mut limit = Rlimit::default();
            rows::read(&mut limit, &node, &mut &mut *self.scratch)?;
            if seen & 1 << limit.resource != 0 {
                return Err(node.at("type")?.refuse("given twice"));
            }
            seen |= 1 << limit.resource;
            if limit.soft > limit.hard {
                return Err(node.at("soft")?.refuse("above the hard limit"));
            }
            put(&mut self.writer, &node, limit)?;
        }
        Ok(())
    }
}
