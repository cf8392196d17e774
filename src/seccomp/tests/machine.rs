//! Classic BPF as the kernel runs a seccomp filter (kernel/bpf: bpf_check_classic, seccomp_check_filter).

use std::vec::Vec;

/// `struct seccomp_data`, without the instruction pointer.
#[derive(Clone, Copy, Debug)]
pub struct Data {
    pub number: u32,
    pub audit: u32,
    pub args: [u64; 6],
}

impl Data {
    fn word(&self, offset: u32) -> u32 {
        match offset {
            0 => self.number,
            4 => self.audit,
            16..64 => (self.args[(offset as usize - 16) / 8] >> (8 * (offset & 4))) as u32,
            _ => panic!("a load from {offset}"),
        }
    }
}

pub struct Machine(Vec<(u16, u8, u8, u32)>);

impl Machine {
    /// A program, which the kernel would load: every jump stays inside, every path ends with a verdict.
    pub fn new(bytes: &[u8]) -> Self {
        let code: Vec<_> = bytes
            .chunks_exact(8)
            .map(|it| {
                (
                    u16::from_le_bytes([it[0], it[1]]),
                    it[2],
                    it[3],
                    u32::from_le_bytes([it[4], it[5], it[6], it[7]]),
                )
            })
            .collect();
        assert!(bytes.len().is_multiple_of(8) && (1..=4096).contains(&code.len()));
        for (at, &(op, yes, no, k)) in code.iter().enumerate() {
            let farthest = match op {
                0x05 => k as usize,
                0x15 | 0x25 | 0x35 | 0x45 => yes.max(no).into(),
                0x20 => {
                    assert!(k % 4 == 0 && k < 64);
                    0
                }
                0x54 | 0x06 => 0,
                _ => panic!("instruction {op:#x}"),
            };
            assert!(at + 1 + farthest < code.len() || op == 0x06, "from {at} out of the program");
        }
        Self(code)
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The verdict, and how many instructions it took.
    pub fn run(&self, data: &Data) -> (u32, usize) {
        let (mut a, mut at, mut steps) = (0, 0, 0);
        loop {
            let (op, yes, no, k) = self.0[at];
            (at, steps) = (at + 1, steps + 1);
            let branch = |taken: bool| usize::from(if taken { yes } else { no });
            match op {
                0x20 => a = data.word(k),
                0x54 => a &= k,
                0x05 => at += k as usize,
                0x15 => at += branch(a == k),
                0x25 => at += branch(a > k),
                0x35 => at += branch(a >= k),
                0x45 => at += branch(a & k != 0),
                _ => return (k, steps),
            }
        }
    }
}
