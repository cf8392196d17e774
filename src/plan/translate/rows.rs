//! A noun from an object of the configuration, as its table has it: one walk, then field by field.

use super::hooks::strings;
use super::strings::{MOST, PATH, absolute, said};
use crate::error::Result;
use crate::plan::names::find_text;
use crate::plan::noun::{Field, Row, Type, Value, ViewMut};
use crate::plan::shown::Show;
use crate::plan::{Noun, list};
use crate::wire::json::{Node, Text};

/// Most fields of a noun that comes from an object as a whole.
const FIELDS: usize = 9;

/// Reads the fields of `noun` that properties are for, with the strings in `room`. The others stay as they are.
pub fn read<'r, T: Noun<'r>>(noun: &mut T, node: &Node<'_>, room: &mut &'r mut [u8]) -> Result<()> {
    const { assert!(T::TABLE.fields.len() <= FIELDS) };
    fill(noun.view_mut(), node, room)
}

#[inline(never)]
fn fill<'r>(mut noun: ViewMut<'_, 'r>, node: &Node<'_>, room: &mut &'r mut [u8]) -> Result<()> {
    let mut nodes = [*node; FIELDS];
    node.locate(noun.table.keys, &mut nodes)?;
    noun.fill(&mut |at, field| match nodes.get(at) {
        Some(node) => value(field, node, room),
        None => Ok(Value::Absent),
    })
}

/// What a property says of its field.
#[inline(never)]
fn value<'r>(field: &Field, node: &Node<'_>, room: &mut &'r mut [u8]) -> Result<Value<'r>> {
    let maybe = matches!(field.kind, Type::MaybeU32 | Type::MaybeU64 | Type::MaybeI64 | Type::MaybeText);
    if !node.is_present() && (maybe || field.row == Row::Zero) {
        return Ok(Value::Absent);
    }
    let number = match (field.row, field.kind) {
        (Row::Name, _) => return Ok(Value::Number(word(node, field.show)?.into())),
        (Row::Names, _) => {
            let mut bits = 0;
            for node in node.list()? {
                bits |= u64::from(word(&node, field.show)?);
            }
            return Ok(Value::Number(bits));
        }
        (Row::Switch, _) => u64::from(node.read::<bool>()?),
        (Row::Weight, _) => node.read::<u16>()?.into(),
        (Row::Any, _) if node.read::<i64>()? == -1 => return Ok(Value::Absent),
        (_, Type::U32 | Type::MaybeU32) => node.read::<u32>()?.into(),
        (_, Type::U64 | Type::MaybeU64) => node.read()?,
        (_, Type::I64 | Type::MaybeI64) => node.read::<i64>()? as u64,
        (_, Type::Flag) => return Ok(Value::Flag(node.read()?)),
        (_, Type::List) => return strings(node, room).map(Value::List),
        (_, Type::Text | Type::MaybeText) => return text(field, node, room),
    };
    let is_signed = matches!(field.kind, Type::I64 | Type::MaybeI64);
    if field.row == Row::Bytes && (number as i64) < -1 {
        return Err(node.refuse("expected a number of bytes, or -1"));
    }
    Ok(match field.row {
        Row::Given | Row::Bytes | Row::Weight | Row::Switch if number == 0 => Value::Absent,
        _ if is_signed => Value::Signed(number as i64),
        _ => Value::Number(number),
    })
}

/// A string, or none that says nothing.
fn text<'r>(field: &Field, node: &Node<'_>, room: &mut &'r mut [u8]) -> Result<Value<'r>> {
    let text = match field.kind {
        Type::Text => node.read::<Text<'_>>()?,
        _ => match said(node)? {
            Some(text) => text,
            None => return Ok(Value::Absent),
        },
    };
    let mut most = MOST;
    if field.row == Row::Path {
        absolute(&text)?;
        most = PATH;
    }
    let text = text.c_str(most, room)?;
    if field.row == Row::Numbers && list::bits(text.to_bytes()).is_none() {
        return Err(node.refuse("expected a list of numbers and ranges below 1024, such as 0-3,7"));
    }
    Ok(Value::Text(text))
}

/// The number that a name stands for.
#[inline(never)]
pub fn word(node: &Node<'_>, show: Show) -> Result<u32> {
    find_text(show.table(), &node.read()?).ok_or_else(|| {
        node.refuse(match show {
            Show::Namespace => "unknown namespace",
            Show::Resource => "unknown resource limit",
            _ => "unknown name",
        })
    })
}
