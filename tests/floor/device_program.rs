//! The default device rules: as v1's lines, and as the eBPF program that cgroup v2 asks instead.

use std::ffi::c_char;

use super::ok;

const MKNOD: u32 = 1; // BPF_DEVCG_ACC_MKNOD
const ALL: u32 = 7;
const ANY: u32 = u32::MAX;
const BLOCK: u32 = 1; // BPF_DEVCG_DEV_BLOCK
const CHARACTER: u32 = 2;

pub struct Rule {
    pub text: &'static [u8],
    kind: u32,
    major: u32,
    minor: u32,
    access: u32,
}

const fn rule(text: &'static [u8], kind: u32, major: u32, minor: u32, access: u32) -> Rule {
    Rule { text, kind, major, minor, access }
}

pub const RULES: [Rule; 11] = [
    rule(b"c *:* m", CHARACTER, ANY, ANY, MKNOD),
    rule(b"b *:* m", BLOCK, ANY, ANY, MKNOD),
    rule(b"c 1:3 rwm", CHARACTER, 1, 3, ALL),
    rule(b"c 1:8 rwm", CHARACTER, 1, 8, ALL),
    rule(b"c 1:7 rwm", CHARACTER, 1, 7, ALL),
    rule(b"c 5:0 rwm", CHARACTER, 5, 0, ALL),
    rule(b"c 1:5 rwm", CHARACTER, 1, 5, ALL),
    rule(b"c 1:9 rwm", CHARACTER, 1, 9, ALL),
    rule(b"c 136:* rwm", CHARACTER, 136, ANY, ALL),
    rule(b"c 5:2 rwm", CHARACTER, 5, 2, ALL),
    rule(b"c 10:200 rwm", CHARACTER, 10, 200, ALL),
];

/// One instruction of bpf(2): operation, registers, jump offset, immediate.
const fn code(operation: u8, destination: u8, source: u8, offset: i16, value: u32) -> u64 {
    operation as u64
        | (destination as u64) << 8
        | (source as u64) << 12
        | (offset as u16 as u64) << 16
        | (value as u64) << 32
}

const JUMP_IF_NOT: u8 = 0x55;

/// struct bpf_cgroup_dev_ctx is { access << 16 | kind, major, minor }; the answer 1 allows.
fn program(out: &mut [u64; 96]) -> usize {
    let mut length = 0;
    let mut push = |out: &mut [u64; 96], instruction| {
        out[length] = instruction;
        length += 1;
        length
    };
    push(out, code(0x61, 2, 1, 0, 0)); // r2 = kind
    push(out, code(0x54, 2, 0, 0, 0xffff));
    push(out, code(0x61, 3, 1, 0, 0)); // r3 = access
    push(out, code(0x74, 3, 0, 0, 16));
    push(out, code(0x61, 4, 1, 4, 0)); // r4 = major
    let mut first = push(out, code(0x61, 5, 1, 8, 0)); // r5 = minor
    for rule in &RULES {
        push(out, code(JUMP_IF_NOT, 2, 0, 0, rule.kind));
        if rule.access != ALL {
            push(out, code(0xbc, 1, 3, 0, 0)); // r1 = r3
            push(out, code(0x54, 1, 0, 0, !rule.access));
            push(out, code(JUMP_IF_NOT, 1, 0, 0, 0));
        }
        if rule.major != ANY {
            push(out, code(JUMP_IF_NOT, 4, 0, 0, rule.major));
        }
        if rule.minor != ANY {
            push(out, code(JUMP_IF_NOT, 5, 0, 0, rule.minor));
        }
        push(out, code(0xb7, 0, 0, 0, 1));
        let next = push(out, code(0x95, 0, 0, 0, 0));
        for (index, instruction) in out.iter_mut().enumerate().take(next).skip(first) {
            if *instruction as u8 == JUMP_IF_NOT {
                *instruction |= ((next - index - 1) as u64) << 16;
            }
        }
        first = next;
    }
    push(out, code(0xb7, 0, 0, 0, 0));
    push(out, code(0x95, 0, 0, 0, 0))
}

/// BPF_PROG_LOAD and BPF_PROG_ATTACH, bpf(2).
pub fn attach(cgroup: *const c_char) {
    let mut instructions = [0; 96];
    let length = program(&mut instructions);
    // union bpf_attr: prog_type and insn_cnt, insns, license, then what may stay zero.
    let mut load = [0u64; 16];
    load[0] = 15 | (length as u64) << 32; // BPF_PROG_TYPE_CGROUP_DEVICE
    load[1] = instructions.as_ptr() as u64;
    load[2] = c"GPL".as_ptr() as u64;
    // SAFETY: both attributes are larger than the kernel reads and live here.
    unsafe {
        let program =
            ok(libc::syscall(libc::SYS_bpf, 5, load.as_ptr(), size_of_val(&load)), c"BPF_PROG_LOAD");
        let directory =
            ok(libc::open(cgroup, libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC), c"open cgroup");
        // target_fd and attach_bpf_fd, attach_type and BPF_F_ALLOW_MULTI.
        let attach = [directory as u64 | (program as u64) << 32, 6 | 2 << 32];
        ok(libc::syscall(libc::SYS_bpf, 8, attach.as_ptr(), size_of_val(&attach)), c"BPF_PROG_ATTACH");
        libc::close(directory);
        libc::close(program);
    }
}
