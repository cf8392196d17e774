//! `hooks`, all six stages.

use nsenter::attr::{HEADER, Message, Writer};

use super::Translation;
use super::strings::{MOST, PATH, absolute, each_piece, put};
use crate::error::Result;
use crate::oci;
use crate::plan::broken;
use crate::plan::hook::{Hook, STAGES, Strings};
use crate::wire::json::{Node, Text};

impl Translation<'_, '_> {
    #[inline(never)]
    pub(super) fn hooks(&mut self, hooks: &Node<'_>) -> Result<()> {
        let lists = hooks.pick(&STAGES)?;
        for (stage, list) in (0..).zip(lists) {
            for (index, node) in (0..).zip(list.list()?) {
                self.hook(stage, index, &node)?;
            }
        }
        Ok(())
    }

    #[inline(never)]
    fn hook(&mut self, stage: u32, index: u32, node: &Node<'_>) -> Result<()> {
        let mut view = oci::hooks::Hook::of(node);
        view.locate()?;
        let (path, args, env, timeout) = (view.path(), view.args(), view.env(), view.timeout());
        let text = path.read::<Text<'_>>()?;
        absolute(&text)?;
        let seconds = timeout.read::<Option<u64>>()?;
        if seconds == Some(0) {
            return Err(timeout.refuse("expected more than 0 seconds"));
        }
        let mut room = &mut *self.scratch;
        let hook = Hook {
            stage,
            index,
            path: text.c_str(PATH, &mut room)?,
            args: strings(args, &mut room)?,
            env: strings(env, &mut room)?,
            timeout: seconds,
        };
        put(&mut self.writer, node, hook)
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
        each_piece(&text, |piece| writer.append(piece));
        writer.append(&[0]);
        writer.end(open);
    }
    let (message, _) = Message::parse(writer.finish().map_err(broken)?).map_err(broken)?;
    Strings::checked(message.attrs).map_err(broken)
}
