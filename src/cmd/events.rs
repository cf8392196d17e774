//! `events`: what happens to a container, a line of JSON for each.

use core::ffi::CStr;
use core::fmt::Write;

use super::lex::{Item, Parser};
use super::{Command, Globals, only_id, output};
use crate::container::events::{Event, Events};
use crate::error::{Error, Result};
use crate::text::shown;
use crate::wire::json::Writer;

pub const COMMAND: Command = Command {
    name: "events",
    operands: "ID",
    help: "print statistics of a container at intervals, and when memory runs out",
    flags: "\
    interval TIME: between statistics (5s)\n\
    stats: print them once\n",
    run,
};

fn run(globals: &Globals, parser: Parser) -> Result<u8> {
    let (mut once, mut interval) = (false, c"5s");
    let id = only_id(parser, |item| match item {
        Item::Switch(_, on) => once = on,
        Item::Flag(_, value) => interval = value,
        Item::Operand(_) => {}
    })?;
    let nanoseconds =
        duration(interval).ok_or_else(|| Error::refused("invalid interval", shown(interval)))?;
    if nanoseconds <= 0 {
        return Err(Error::refused("events", "duration interval must be greater than 0"));
    }
    let store = globals.store(id)?;
    let mut events = Events::of(&store, id, Some(nanoseconds).filter(|_| !once))?;
    loop {
        let event = if once { Event::Stats } else { events.wait()? };
        if event == Event::End {
            return Ok(0);
        }
        output::print(|out| {
            events.write(event, &mut Writer::compact(out))?;
            out.write_char('\n')
        })?;
        if once {
            return Ok(0);
        }
    }
}

/// Nanoseconds of a duration as Go writes it, in whole numbers: `5s`, `1m30s`, `200ms`.
fn duration(text: &CStr) -> Option<i64> {
    const UNITS: [(&str, i64); 6] = [
        ("ns", 1),
        ("us", 1_000),
        ("ms", 1_000_000),
        ("s", 1_000_000_000),
        ("m", 60_000_000_000),
        ("h", 3_600_000_000_000),
    ];
    let mut rest = text.to_str().ok()?;
    let mut whole = 0i64;
    while !rest.is_empty() && rest != "0" {
        let (number, behind) = rest.split_at_checked(rest.find(|c: char| !c.is_ascii_digit())?)?;
        let end = behind.find(|c: char| c.is_ascii_digit()).unwrap_or(behind.len());
        let (unit, next) = behind.split_at_checked(end)?;
        let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit)?;
        whole = whole.checked_add(number.parse::<i64>().ok()?.checked_mul(*factor)?)?;
        rest = next;
    }
    Some(whole)
}

#[cfg(test)]
mod tests {
    use super::duration;

    #[test]
    fn durations_are_those_of_go() {
        for (text, expected) in
            [(c"5s", 5_000_000_000), (c"1m30s", 90_000_000_000), (c"200ms", 200_000_000), (c"0", 0)]
        {
            assert_eq!(duration(text), Some(expected), "{text:?}");
        }
        for text in [c"5", c"s", c"-1s", c"1x", c"1s5", c"99999999999h"] {
            assert_eq!(duration(text), None, "{text:?}");
        }
    }
}
