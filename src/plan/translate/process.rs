//! `process`: what runs, as whom, with what rights.

use super::strings::{PATH, absolute, put, sound};
use super::{Translation, refuse_unbuilt};
use crate::error::Result;
use crate::limits;
use crate::oci::{Process, process};
use crate::plan::kind;
use crate::plan::names::{self, find_text};
use crate::plan::process::{Capabilities, Rlimit, Terminal, User};
use crate::wire::json::{Node, Text};

impl Translation<'_, '_> {
    /// `process`. `execCPUAffinity` is for `exec` alone, by the specification, and means nothing here.
    pub(super) fn process(&mut self, process: Process<'_>) -> Result<()> {
        self.command(&process)?;
        self.user(process.user.read()?)?;
        self.capabilities(process.capabilities.read()?)?;
        self.rlimits(process.rlimits)?;
        if process.no_new_privileges {
            self.writer.flag(kind::NO_NEW_PRIVILEGES);
        }
        if let Some(score) = process.oom_score_adj {
            if !(-1000..=1000).contains(&score) {
                return Err(process.node.at("oomScoreAdj")?.refuse("expected a number from -1000 to 1000"));
            }
            self.writer.i64(kind::OOM_SCORE_ADJ, score.into());
        }
        // Without a terminal its size is to be ignored.
        if process.terminal {
            let size = match process.console_size.is_empty() {
                true => None,
                false => Some(process.console_size.read::<process::ConsoleSize<'_>>()?),
            };
            let terminal =
                Terminal { height: size.map(|size| size.height), width: size.map(|size| size.width) };
            put(&mut self.writer, &process.node, terminal)?;
        }
        if self.request.preserve_fds != 0 {
            self.writer.u32(kind::PRESERVE_FDS, self.request.preserve_fds);
        }
        if self.request.no_new_keyring {
            self.writer.flag(kind::NO_NEW_KEYRING);
        }
        sound(&self.writer, &process.node)?;
        refuse_unbuilt(&[
            process.node.at("apparmorProfile")?,
            process.node.at("selinuxLabel")?,
            process.scheduler,
            process.io_priority,
        ])
    }

    fn command(&mut self, process: &Process<'_>) -> Result<()> {
        if process.args.is_empty() {
            return Err(process.args.refuse("must name a program"));
        }
        for node in process.args.list()? {
            self.string(kind::ARG, &node.read()?)?;
        }
        for node in process.env.list()? {
            let text = node.read::<Text<'_>>()?;
            // runc refuses it, too: what getenv(3) cannot find has no meaning.
            if text.starts_with('=') || !text.chars().any(|c| c == '=') {
                return Err(node.refuse("expected NAME=value"));
            }
            self.string(kind::ENV, &text)?;
        }
        absolute(&process.cwd)?;
        let cwd = process.cwd.c_str(PATH, &mut &mut *self.scratch)?;
        self.writer.string(kind::CWD, cwd);
        Ok(())
    }

    fn user(&mut self, user: process::User<'_>) -> Result<()> {
        let value = User { uid: user.uid.unwrap_or(0), gid: user.gid.unwrap_or(0), umask: user.umask };
        self.namespaces.check_uid(value.uid, || user.node.at("uid"))?;
        self.namespaces.check_gid(value.gid, || user.node.at("gid"))?;
        put(&mut self.writer, &user.node, value)?;
        for (count, node) in user.additional_gids.list()?.enumerate() {
            if count == limits::GROUPS {
                return Err(user.additional_gids.refuse(format_args!("more than {count} groups")));
            }
            let gid = node.read()?;
            self.namespaces.check_gid(gid, || Ok(node))?;
            self.writer.u32(kind::GROUP, gid);
        }
        Ok(())
    }

    /// The five sets. Without `capabilities` the process has none, as under runc: a process is given what
    /// its configuration names, and an upper layer that forgets them shall not hand out root's.
    fn capabilities(&mut self, sets: process::Capabilities<'_>) -> Result<()> {
        let value = Capabilities {
            bounding: self.capability_set(sets.bounding)?,
            effective: self.capability_set(sets.effective)?,
            inheritable: self.capability_set(sets.inheritable)?,
            permitted: self.capability_set(sets.permitted)?,
            ambient: self.capability_set(sets.ambient)?,
        };
        put(&mut self.writer, &sets.node, value)
    }

    /// Unknown ones MUST be warned of and SHOULD NOT fail (config.md).
    fn capability_set(&mut self, set: Node<'_>) -> Result<u64> {
        let mut bits = 0;
        for node in set.list()? {
            match find_text(names::CAPABILITIES, &node.read()?) {
                Some(number) => bits |= 1 << number,
                None => (self.warn)(&node.refuse("unknown capability, ignored")),
            }
        }
        Ok(bits)
    }

    fn rlimits(&mut self, rlimits: Node<'_>) -> Result<()> {
        let mut seen = 0_u32;
        for node in rlimits.list()? {
            let view = node.read::<process::Rlimit<'_>>()?;
            let Some(resource) = find_text(names::RLIMITS, &view.kind) else {
                return Err(view.kind.node().refuse("unknown resource limit"));
            };
            if seen & 1 << resource != 0 {
                return Err(view.kind.node().refuse("given twice"));
            }
            seen |= 1 << resource;
            let limit = Rlimit { resource, soft: view.soft, hard: view.hard };
            if limit.soft > limit.hard {
                return Err(node.at("soft")?.refuse("above the hard limit"));
            }
            put(&mut self.writer, &node, limit)?;
        }
        Ok(())
    }
}
