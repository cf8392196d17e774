# Sourced by the scripts beside it, from the repository's root: what a fresh machine lacks, and which
# target builds here. Sets TARGET (a triple), BUILT (the release executable) and RUNTIME (the same, or what the
# caller set: another runtime as an oracle).

set -eu
export DEBIAN_FRONTEND=noninteractive
PATH="$PATH:$HOME/.cargo/bin:/usr/sbin:/sbin"

say() { printf '== %s\n' "$*"; }
die() { printf '%s: %s\n' "$0" "$*" >&2; exit 1; }

# as_root COMMAND...: directly, or by sudo where there is one.
as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; elif command -v sudo >/dev/null; then sudo "$@"; else
        die "needs root for: $*"
    fi
}

# need PROGRAM PACKAGE: installs the package where the program is missing; false where it can't be had.
need() {
    command -v "$1" >/dev/null && return
    command -v apt-get >/dev/null || return 1
    say "installing $2"
    as_root apt-get install -qq -y --no-install-recommends "$2" >/dev/null 2>&1 </dev/null || {
        as_root apt-get update -qq </dev/null &&
            as_root apt-get install -qq -y --no-install-recommends "$2" >/dev/null </dev/null
    } || return 1
    hash -r
    command -v "$1" >/dev/null
}

# debian_mirror: where this machine has its packages from.
debian_mirror() {
    sed -n 's/^deb  *\(\[[^]]*\] *\)\{0,1\}\(http[^ ]*debian\/\{0,1\}\) .*/\2/p; s/^URIs: *\([^ ]*debian\/\{0,1\}\)$/\1/p' \
        /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | head -n 1
}

# Rust's musl target, by rustup where that works. Else musl-tools and the gnu target: see build.rs.
choose_target() {
    command -v cargo >/dev/null || die 'needs Rust 1.87 or newer (rustup.rs)'
    need cc gcc || die 'needs a C compiler driver to link with (gcc)'
    case ${CARGO_BUILD_TARGET:-} in
    '')
        musl=$(uname -m)-unknown-linux-musl
        if [ -d "$(rustc --print sysroot)/lib/rustlib/$musl/lib" ] || timeout 120 rustup -q target add "$musl" 2>/dev/null; then
            TARGET=$musl
        else
            TARGET=$(uname -m)-unknown-linux-gnu
        fi
        ;;
    *) TARGET=$CARGO_BUILD_TARGET ;;
    esac
    case $TARGET in
    *-gnu) need musl-gcc musl-tools || die "neither rustup's musl target nor musl-tools can be had" ;;
    esac
    export CARGO_BUILD_TARGET="$TARGET"
    BUILT=$PWD/target/$TARGET/release/minirunc-static
    export RUNTIME="${RUNTIME:-$BUILT}"
    say "target $TARGET, $(rustc --version)"
}

# busybox_root DIR: a root filesystem of one static program and its names; of BUSYBOX, if set, which may be another processor's.
busybox_root() {
    need busybox busybox-static || die 'busybox-static cannot be had'
    readelf -lW "$(command -v busybox)" | grep -q INTERP && as_root apt-get install -qq -y busybox-static >/dev/null </dev/null
    rm -rf "$1"
    mkdir -p "$1/bin" "$1/etc" "$1/proc" "$1/sys" "$1/dev" "$1/tmp" "$1/root"
    cp "${BUSYBOX:-$(command -v busybox)}" "$1/bin/busybox"
    for name in $(busybox --list); do
        [ "$name" = busybox ] || ln -s busybox "$1/bin/$name"
    done
    echo 'root:x:0:0:root:/root:/bin/sh' >"$1/etc/passwd"
    echo 'root:x:0:' >"$1/etc/group"
}

# oci_config ARGS: the default container of `runc spec`, without a terminal, running ARGS (a JSON list).
# The cgroup namespace is part of that default where the machine runs cgroup v2 alone.
oci_config() {
    cgroupns=
    [ -e /sys/fs/cgroup/cgroup.controllers ] && cgroupns=', { "type": "cgroup" }'
    cat <<EOF
{
  "ociVersion": "1.0.2",
  "process": {
    "terminal": false,
    "user": { "uid": 0, "gid": 0 },
    "args": $1,
    "env": [ "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm" ],
    "cwd": "/",
    "capabilities": {
      "bounding": [ "CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE" ],
      "effective": [ "CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE" ],
      "permitted": [ "CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE" ]
    },
    "rlimits": [ { "type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024 } ],
    "noNewPrivileges": true
  },
  "root": { "path": "rootfs", "readonly": true },
  "hostname": "minirunc",
  "mounts": [
    { "destination": "/proc", "type": "proc", "source": "proc" },
    { "destination": "/dev", "type": "tmpfs", "source": "tmpfs",
      "options": [ "nosuid", "strictatime", "mode=755", "size=65536k" ] },
    { "destination": "/dev/pts", "type": "devpts", "source": "devpts",
      "options": [ "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5" ] },
    { "destination": "/dev/shm", "type": "tmpfs", "source": "shm",
      "options": [ "nosuid", "noexec", "nodev", "mode=1777", "size=65536k" ] },
    { "destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue",
      "options": [ "nosuid", "noexec", "nodev" ] },
    { "destination": "/sys", "type": "sysfs", "source": "sysfs",
      "options": [ "nosuid", "noexec", "nodev", "ro" ] },
    { "destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
      "options": [ "nosuid", "noexec", "nodev", "relatime", "ro" ] }
  ],
  "linux": {
    "resources": { "devices": [ { "allow": false, "access": "rwm" } ] },
    "namespaces": [ { "type": "pid" }, { "type": "network" }, { "type": "ipc" }, { "type": "uts" },
                    { "type": "mount" }$cgroupns ],
    "maskedPaths": [ "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
                     "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware", "/proc/scsi" ],
    "readonlyPaths": [ "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger" ]
  }
}
EOF
}
