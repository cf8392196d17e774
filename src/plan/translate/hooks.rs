//! `hooks`, all six stages.

use nsenter::attr::{HEADER, Message, Writer};

use super::strings::{MOST, each_piece, put};
use super::{Translation, rows};
use crate::error::Result;
use crate::plan::broken;
use crate::plan::hook::{Hook, STAGES, Strings};
use crate::wire::json::{Node, Text};

impl Translation<'_, '_> {
    #[inline(never)]
    pub(super) fn hooks(&mut self, hooks: &Node<'_>) -> Result<()> {
        for (stage, name) in (0..).zip(STAGES) {
            for (index, node) in (0..).zip(hooks.at(name)?.list()?) {
                self.hook(stage, index, &node)?;
            }
        }
        Ok(())
    }

    #[inline(never)]
    fn hook(&mut self, stage: u32, index: u32, node: &Node<'_>) -> Result<()> {
        let mut hook = Hook { stage, index, ..Hook::default() };
        rows::read(&mut hook, node, &mut &mut *self.scratch)?;
        if hook.timeout == Some(0) {
            return Err(node.at("timeout")?.refuse("expected more than 0 seconds"));
        }
        put(&mut self.writer, node, hook)
    }
}

/// A list of strings as attributes, taken off the front of `room`.
pub fn strings<'r>(list: &Node<'_>, room: &mut &'r mut [u8]) -> Result<Strings<'r>> {
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
