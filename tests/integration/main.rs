//! The integration ring: root, this kernel, the runtime as a process, and the guest probe inside.
//!
//! `RUNTIME` names the runtime (ours by default; runc or crun serve as oracles), `PROBE` the probe, `TMPDIR` where
//! bundles are made, `PATIENCE` how many seconds a run may take. One test per promise; a run through `Bundle::run`
//! always checks that nothing is left behind.

mod bad_config;
mod bad_input;
mod bare;
mod bridge;
mod captured;
mod cgroup;
mod cgroup_mount;
mod concurrent;
mod confine;
mod cve;
mod documents;
mod events;
mod exec;
mod exec_terminal;
mod faults;
mod features;
mod form;
mod garbage;
mod hooks;
mod idmap;
mod inherit;
mod init;
mod kernels;
mod kill;
mod killed;
mod labels;
mod life;
mod limits;
mod list;
mod logs;
mod mount_options;
mod mounts;
mod namespaces;
mod netdevices;
mod notify;
mod outside;
mod overlay;
mod process;
mod ps;
mod races;
mod rdt;
mod resources;
mod rootfs;
mod rootless;
mod scheduling;
mod seccomp;
mod sockets;
mod spec;
mod subgroup;
mod terminal;
mod trace;
mod update;
