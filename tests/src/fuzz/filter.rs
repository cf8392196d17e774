//! The compiler of seccomp filters.

#![allow(unsafe_code)]

use minirunc::seccomp::{ACTIONS, Work, compile};
use minirunc::wire::json::Document;

#[allow(dead_code, clippy::len_without_is_empty)]
#[path = "../../../src/seccomp/tests/machine.rs"]
mod machine;
pub use machine::{Data, Machine};

/// Where a profile is compiled: zeros, aligned.
pub struct Memory(Vec<u64>);

impl Default for Memory {
    fn default() -> Self {
        Self(vec![0; Work::SIZE.div_ceil(8)])
    }
}

impl Memory {
    pub fn work(&mut self) -> &mut Work {
        let (first, length) = (self.0.as_mut_ptr().cast(), self.0.len() * 8);
        // SAFETY: the same memory, borrowed as long; any bytes are bytes.
        let bytes = unsafe { std::slice::from_raw_parts_mut(first, length) };
        Work::place(bytes).expect("large enough and aligned")
    }
}

/// `linux.seccomp` to a program, which the kernel would load, and whose every verdict is one of those there are.
pub fn seccomp(text: &[u8]) {
    let Ok(document) = Document::parse("seccomp", text) else { return };
    let mut memory = Memory::default();
    let filter = match compile(&document.root(), memory.work()) {
        Ok(Some(filter)) => filter,
        Ok(None) => return,
        Err(error) => {
            assert!(error.to_string().starts_with("seccomp: "), "{error}");
            return;
        }
    };
    let machine = Machine::new(filter.program);
    let word = |at: usize| {
        text.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |it| u64::from_le_bytes(*it))
    };
    let args = std::array::from_fn(|n| word(n * 8));
    for audit in [0xc000_003e, 0x4000_0003, 0xc000_00b7, 0x4000_0028, 0] {
        for number in (0..640).flat_map(|number| [number, 0x4000_0000 | number]).chain([0xf_0005, u32::MAX]) {
            let (verdict, _) = machine.run(&Data { number, audit, args });
            let is_known = ACTIONS.iter().any(|&(_, action)| action == verdict & 0xffff_0000);
            assert!(is_known, "{verdict:#x} for {number:#x} of {audit:#x}");
        }
    }
}
