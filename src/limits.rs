//! Every bound of the program, with its reason. An overflow names its field, never truncates.

/// Longest path with its NUL, as the kernel takes it (`PATH_MAX`).
pub const PATH: usize = 4096;

/// Longest container id: with the state root and a file name it still fits a path.
pub const ID: usize = 1024;

/// Largest config.json, in bytes. The largest ones in the wild (thousands of mounts or syscalls) are below 1 MiB.
pub const CONFIG: usize = 16 << 20;

/// Largest `linux.resources` on its own (`update`): a few numbers for each device of a large machine.
pub const RESOURCES: usize = 1 << 20;

/// Deepest nesting of arrays and objects in a JSON text; OCI needs 7. One bit each is kept.
pub const JSON_DEPTH: usize = 512;

/// Longest JSON path in an error.
pub const JSON_PATH: usize = 256;

/// Largest plan in bytes: decoded strings are never longer than their JSON; the attribute headers
/// (four bytes) and padding can at most triple a text of many short elements.
pub const PLAN: usize = 3 * CONFIG;

/// Descriptors sent along with one message (the kernel's `SCM_MAX_FD` is 253).
pub const FDS: usize = 64;

/// Cgroup v1 hierarchies: Linux has 14 controllers, and named ones (systemd) come on top.
pub const HIERARCHIES: usize = 32;

/// Supplementary groups kept in one buffer (the kernel's `NGROUPS_MAX` is 65536).
pub const GROUPS: usize = 1024;

/// Lines in one id map (kernel: 340 since Linux 4.15).
pub const ID_MAPS: usize = 340;

/// Read-only tmpfs mounts that are kept writable until all mount points in them are made; more become read-only at once.
pub const LATE_MOUNTS: usize = 32;

/// Layers of an overlay: by the numbers of their descriptors, which have two or three digits, they fit the 255 bytes that
/// fsconfig(2) takes for `lowerdir`. (overlayfs itself has 500.)
pub const LAYERS: usize = 62;

/// Deepest directory that `tmpcopyup` copies: each level holds two descriptors and a buffer on the stack.
pub const COPY_DEPTH: usize = 64;

/// The container's cgroup: with its mount point before and a file's name behind it still fits a path.
pub const CGROUP_PATH: usize = 2048;

/// How deep cgroups inside the container's are searched for processes. The stack pays 4 KB for each.
pub const CGROUP_DEPTH: u32 = 64;

/// Instructions in a device program (`BPF_MAXINSNS` of older kernels): some 700 rules.
pub const DEVICE_CODE: usize = 4096;

/// Bytes of the container's /etc/passwd that are looked through for HOME: larger ones are not written by hand.
pub const PASSWD: usize = 16 << 20;

/// Largest ORDER: the names of descriptors, which are one variable, a path, and some numbers.
pub const ORDER: usize = (64 << 10) + 2 * PATH;

/// Largest SETUP: two paths for each hierarchy, and some numbers.
pub const SETUP: usize = HIERARCHIES * 3 * PATH;

/// Largest file of a container: a plan, a SETUP, and which process it is.
pub const STORED: usize = PLAN + SETUP + PATH;

/// Bytes of a record: three numbers and a date.
pub const RECORD: usize = 128;

/// Paths alive at once, a multiple of 64: a search 64 cgroups deep holds one at each level, and whatever calls
/// it some more. Only those in use cost memory.
pub const PATHS: usize = 128;

/// Bundles that the machine's first process runs: /proc/cmdline, 4 KB at most, does not name many more.
pub const BUNDLES: usize = 16;

/// Highest number of a processor or memory node that is listed: no kernel is built for more (`NR_CPUS`, arch/x86/Kconfig).
pub const PROCESSORS: u64 = 8191;

/// Bytes of all containers' names together, and of the rows that `list` shows: tens of thousands of containers.
pub const NAMES: usize = 64 << 20;

/// Largest trace: 512 phases of at most 200 bytes.
pub const TRACE: usize = 128 << 10;

/// Bytes of the warnings that wait for the end of a command: one for each capability, and some more.
pub const WARNINGS: usize = 64 << 10;
