#!/bin/sh
# Every ring but the long bench, on a machine as it comes; ends with the counts.
# `sh tests/all.sh RING...` runs only those: style unit build integration clients vm roots bench.
# `RUNTIME=/usr/sbin/runc sh tests/all.sh integration` asks an oracle.
cd "$(dirname "$0")/.." && . tests/env.sh

# What the executable may weigh: where it stands, so that it only shrinks from here. The aim is 204800.
SIZE_LIMIT=394000
rings=${*:-style unit build integration clients vm roots bench}
logs=$PWD/target/rings
rm -rf "$logs" && mkdir -p "$logs"
passed=0 failed=0 skipped=0

# check NAME COMMAND...: one test that is a command.
check() {
    name=$1 && shift
    if "$@" </dev/null; then
        passed=$((passed + 1)); say "ok: $name"
    else
        failed=$((failed + 1)); say "FAILED: $name"
    fi
}

skip() { skipped=$((skipped + 1)); say "SKIPPED: $1"; }

# counted NAME COMMAND...: a ring of Rust tests, counted by their closing lines and `SKIP` lines.
counted() {
    name=$1 && shift
    say "$name"
    status=0
    { "$@" </dev/null 2>&1 || echo "exit status $?" >"$logs/$name.status"; } | tee "$logs/$name"
    [ ! -e "$logs/$name.status" ] || status=1
    set -- $(awk '/^test result:/ { p += $4; f += $6; i += $8 } { s += gsub(/SKIP [a-z0-9_:]+: /, "") } END { print p - s, f + 0, i + s }' "$logs/$name")
    # A ring that ran nothing, or died without saying which test failed, has failed.
    if [ "$status" = 1 ] && [ "$2" = 0 ] || [ "$(($1 + $2 + $3))" = 0 ]; then set -- "$1" 1 "$3"; fi
    passed=$((passed + $1)) failed=$((failed + $2)) skipped=$((skipped + $3))
    say "$name: $1 passed, $2 failed, $3 skipped"
}

# elf_is_static FILE: no interpreter, nothing dynamic, no page both writable and executable.
elf_is_static() {
    readelf -hlW "$1" >"$logs/elf" || return 1
    sed -n '/Type:/p; /Program Headers/,/^$/p' "$logs/elf"
    ! grep -Eq 'INTERP|DYNAMIC|RWE| WE ' "$logs/elf" && grep -q 'GNU_STACK.* RW ' "$logs/elf"
}

fits() {
    size=$(wc -c <"$1")
    say "$1: $size bytes of $SIZE_LIMIT"
    [ "$size" -le "$SIZE_LIMIT" ]
}

style() {
    rustup -q component add rustfmt clippy 2>/dev/null || true
    if cargo fmt --version >/dev/null 2>&1; then check 'rustfmt' cargo fmt --all --check; else skip 'rustfmt: not in this toolchain'; fi
    if cargo clippy --version >/dev/null 2>&1; then
        # Apart, because the tests' std features of a shared dependency would reach the no_std program.
        check 'clippy' cargo clippy --quiet -p minirunc-static -p nsenter --lib --bins --tests -- -D warnings
        check 'clippy of the rings' cargo clippy --quiet -p minirunc-tests --all-targets -- -D warnings
    else
        skip 'clippy: not in this toolchain'
    fi
}

unit() {
    # The oracle of the seccomp compiler; without it those tests say that they are skipped.
    [ -e /usr/include/seccomp.h ] || as_root apt-get install -qq -y libseccomp-dev >/dev/null 2>&1 </dev/null || :
    counted unit cargo test --quiet --lib -p minirunc-static -p nsenter
    counted layers cargo test --quiet -p minirunc-tests --test layers --test unsafe_code --test copy
    counted malformed cargo test --quiet -p minirunc-tests --test malformed
}

build() {
    check 'static executable' elf_is_static "$BUILT"
    check 'size' fits "$BUILT"
    check 'no warnings' no_warnings
}

no_warnings() { touch src/main.rs && cargo build --release 2>&1 | tee "$logs/build" | tail -1 && ! grep -q '^warning' "$logs/build"; }

integration() {
    [ "$(id -u)" = 0 ] || { skip 'integration: needs root'; return; }
    counted integration cargo test -p minirunc-tests --test integration
    # In namespaces of its own; another runtime leaves what it leaves.
    [ "$RUNTIME" != "$BUILT" ] || check 'soak' sh tests/soak.sh 200
}

# clients: podman (also as an ordinary user), containerd, docker and buildah as they come, under the stock runtime and under ours.
clients() {
    for client in podman rootless containerd docker buildah; do counted "$client" sh "tests/clients/$client.sh"; done
}

vm() { counted vm sh tests/vm/run.sh; counted pid1 sh tests/vm/pid1.sh; }

# roots: `runc spec`'s container on two root filesystems as people have them.
roots() {
    [ "$(id -u)" = 0 ] || { skip 'roots: needs root'; return; }
    bundle=$PWD/target/roots/busybox
    busybox_root "$bundle/rootfs"
    oci_config '[ "/bin/sh", "-c", "echo $(hostname) $$" ]' >"$bundle/config.json"
    check 'busybox root' prints 'minirunc 1' "$RUNTIME" run "$bundle"

    bundle=$PWD/target/roots/debian
    if debian_root "$bundle/rootfs"; then
        oci_config '[ "/bin/bash", "-c", ". /etc/os-release; echo $ID $$" ]' >"$bundle/config.json"
        check 'Debian minbase root' prints 'debian 1' "$RUNTIME" run "$bundle"
    else
        skip 'Debian minbase root: debootstrap failed'
    fi
}

prints() {
    expected=$1 && shift
    got=$("$@") || { say "status $?"; return 1; }
    [ "$got" = "$expected" ] || { say "expected '$expected', got '$got'"; return 1; }
}

debian_root() {
    [ -e "$1/.complete" ] && return
    need debootstrap debootstrap || return 1
    rm -rf "$1" && mkdir -p "$1"
    say 'debootstrap --variant=minbase'
    mirror=$(sed -n 's/^deb  *\(\[[^]]*\] *\)\{0,1\}\(http[^ ]*debian\/\{0,1\}\) .*/\2/p; s/^URIs: *\([^ ]*debian\/\{0,1\}\)$/\1/p' \
        /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | head -n 1)
    debootstrap --variant=minbase "$(. /etc/os-release && echo "$VERSION_CODENAME")" "$1" ${mirror:+"$mirror"} \
        >"$logs/debootstrap" 2>&1 </dev/null || { tail -n 3 "$logs/debootstrap"; return 1; }
    touch "$1/.complete"
}

bench() {
    [ "$(id -u)" = 0 ] || { skip 'bench: needs root'; return; }
    check 'bench runs' sh tests/bench.sh --smoke
}

choose_target
cargo build --release
for ring in $rings; do "$ring"; done

[ "$failed" = 0 ] || say 'see target/rings/ for the logs'
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
