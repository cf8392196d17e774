//! `hooks`, all six stages.

use core::convert::Infallible;

use nsenter::attr::{HEADER, Message, Writer};

use super::Translation;
use super::strings::{MOST, PATH, absolute, put};
use crate::error::Result;
use crate::oci::{Hooks, hooks};
use crate::plan::broken;
use crate::plan::hook::{
    CREATE_CONTAINER, CREATE_RUNTIME, Hook, POSTSTART, POSTSTOP, PRESTART, START_CONTAINER, Strings,
};
use crate::wire::json::{Node, Text};

impl Translation<'_, '_> {
    pub(super) fn hooks(&mut self, hooks: Node<'_>) -> Result<()> {
        let hooks = hooks.read::<Hooks<'_>>()?;
        let stages = [
            (PRESTART, hooks.prestart),
            (CREATE_RUNTIME, hooks.create_runtime),
            (CREATE_CONTAINER, hooks.create_container),
            (START_CONTAINER, hooks.start_container),
            (POSTSTART, hooks.poststart),
            (POSTSTOP, hooks.poststop),
        ];
        for (stage, list) in stages {
            for (index, node) in (0..).zip(list.list()?) {
                self.hook(stage, index, node.read()?)?;
            }
        }
        Ok(())
    }

    fn hook(&mut self, stage: u32, index: u32, view: hooks::Hook<'_>) -> Result<()> {
        absolute(&view.path)?;
        let timeout = match view.timeout.map(u64::try_from) {
            Some(Err(_) | Ok(0)) => {
                return Err(view.node.at("timeout")?.refuse("expected more than 0 seconds"));
            }
            Some(Ok(seconds)) => Some(seconds),
            None => None,
        };
        let mut room = &mut *self.scratch;
        let hook = Hook {
            stage,
            index,
            path: view.path.c_str(PATH, &mut room)?,
            args: strings(&view.args, &mut room)?,
            env: strings(&view.env, &mut room)?,
            timeout,
        };
        put(&mut self.writer, &view.node, hook)
    }
}

/// A list of strings as attributes, taken off the front of `room`.
fn strings<'r>(list: &Node<'_>, room: &mut &'r mut [u8]) -> Result<Strings<'r>> {
    let mut size = HEADER;
    for node in list.list()? {
        size += node.read::<Text<'_>>()?.len() + 8;
        if size > MOST {
            return Err(list.refuse(format_args!("longer than {MOST} bytes together")));
        }
    }
    let whole = core::mem::take(room);
    let Some((place, rest)) = whole.split_at_mut_checked(size) else {
        return Err(list.refuse("longer than its buffer"));
    };
    *room = rest;
    let mut writer = Writer::new(place, 0);
    for node in list.list()? {
        let text = node.read::<Text<'_>>()?;
        let open = writer.begin(1);
        if text.has_nul() {
            return Err(node.refuse("has a NUL in it"));
        }
        let _ = text.try_for_each(|piece| Ok::<(), Infallible>(writer.append(piece.as_bytes())));
        writer.append(&[0]);
        writer.end(open);
    }
    let (message, _) = Message::parse(writer.finish().map_err(broken)?).map_err(broken)?;
    Ok(Strings::new(message.attrs))
}
