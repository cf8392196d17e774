#!/bin/sh
# The bench: us, bare kernel calls, and every runtime that is found (runc, crun, youki, bubblewrap; podman with each), as root. Prints as it
# goes, and writes report.md, report.json and charts into target/bench/report.
#
#   sh tests/bench.sh             the usual parts, about six minutes
#   sh tests/bench.sh --full      all parts with more runs, also a cold page cache and 1000 containers alive: about half an hour
#   sh tests/bench.sh --PART...   only those: --run --one-core --cold --rootless --exec --phases --podman --memory --teardown --calls
#                                 --workers --alive --mounts --profiles --seccomp
#   sh tests/bench.sh --smoke     everything usual with few runs: does it work
#   sh tests/bench.sh --verify    only compares the containers: of the bare calls, runc, crun and ours
#
# Further: [--runs N] [--idle-runs N] [--idle MS] [--most-alive N] [--only NAME,NAME] [--out DIR]; names as in the tables.
cd "$(dirname "$0")/.." && . tests/env.sh

[ "$(id -u)" = 0 ] || die 'needs root'
choose_target
for other in runc:runc crun:crun bwrap:bubblewrap strace:strace; do need "${other%:*}" "${other#*:}" || say "${other#*:} cannot be had"; done
cargo build --release --quiet
cargo build --release --quiet -p minirunc-tests --bins

programs=$PWD/target/$TARGET/release
bundle=$PWD/target/bench
mkdir -p "$bundle"

# What is seen from inside, less what differs from run to run.
prepare_report() {
    busybox_root "$bundle/rootfs"
    cat >"$bundle/rootfs/report" <<'EOF'
#!/bin/sh
echo mounts; awk '{ sub(/ - /, " "); $1 = $2 = $3 = ""; sub("/[^/ ]*$", "/*", $4); sub(/rw,discard.*/, ""); print }' /proc/self/mountinfo | sort
echo files; ls -l /dev /sys/fs/cgroup | awk '{ print $1, $2, $3, $4, $5, $9, $10, $11 }'
echo process; grep -E '^(Cap|NoNew|Groups|Sig[BIC]|Umask|NSsid|Seccomp:)' /proc/self/status; grep open /proc/self/limits
echo descriptors; ls /proc/self/fd
echo cgroups; sed 's/[^/]*$/*/' /proc/self/cgroup; sort /sys/fs/cgroup/devices/devices.list 2>/dev/null
echo network; ip -o addr
hostname; cat /proc/keys; touch /x
EOF
    chmod +x "$bundle/rootfs/report"
}

# runtime NAME ARGUMENT...: crun refuses v1 controllers beside a cgroup2 mount, and is shown a machine without.
runtime() {
    program=$1 && shift
    if [ "$program" = crun ] && [ -e /sys/fs/cgroup/unified/cgroup.procs ]; then
        unshare -m sh -c 'mount --make-rprivate / && umount -l /sys/fs/cgroup/unified && exec crun "$@"' crun "$@"
    else
        "$program" "$@"
    fi
}

# compare TITLE: the two reports; a line, and behind it what differs.
compare() {
    if diff -U 0 "$bundle/floor.report" "$bundle/other.report" >"$bundle/difference"; then
        echo "$1: the same, $(wc -l <"$bundle/floor.report") lines"
    else
        echo "$1: $(grep -c '^[-+][^-+]' "$bundle/difference") of $(wc -l <"$bundle/floor.report") lines are not the same"
        sed 1,2d "$bundle/difference"
    fi
    echo
}

verify() {
    prepare_report
    oci_config '[ "/report" ]' >"$bundle/config.json"
    directories=$("$programs/bench" --directories)
    "$programs/floor" "$bundle/rootfs" "verify-$$" /report $directories >"$bundle/floor.report" 2>&1 </dev/null || true
    for other in "$BUILT" runc crun; do
        command -v "$other" >/dev/null || continue
        runtime "$other" --root "$bundle/state" run --bundle "$bundle" "verify-$$" >"$bundle/other.report" 2>&1 </dev/null || true
        compare "run: bare calls and $(basename "$other")"
    done

    # What a second process sees. The bare calls and ours are in one container, runc's in another.
    oci_config '[ "/bin/sleep", "1000" ]' >"$bundle/config.json"
    for other in "$BUILT" runc; do
        command -v "$other" >/dev/null || continue
        "$other" --root "$bundle/state" run --detach --bundle "$bundle" "exec-$$" >/dev/null 2>&1 </dev/null
        pid=$("$other" --root "$bundle/state" state "exec-$$" | sed -n 's/.*"pid": \([0-9]*\).*/\1/p')
        directories=$("$programs/bench" --directories-of "$pid" | grep "$$")
        "$programs/floor-exec" "$pid" /report $directories >"$bundle/floor.report" 2>&1 </dev/null || true
        "$other" --root "$bundle/state" exec "exec-$$" /report >"$bundle/other.report" 2>&1 </dev/null || true
        "$other" --root "$bundle/state" delete --force "exec-$$"
        # The session is the process's number.
        sed -i /NSsid/d "$bundle/floor.report" "$bundle/other.report"
        compare "exec: bare calls and $(basename "$other")"
    done
}

if [ "${1:-}" = --verify ]; then
    verify
    exit
fi
verify >"$bundle/same.txt"

rm -rf "$bundle/rootfs" "$bundle/exec"
for directory in bin proc sys dev; do mkdir -p "$bundle/rootfs/$directory"; done
cp "$programs/true" "$bundle/rootfs/bin/true"
oci_config '[ "/bin/true" ]' >"$bundle/config.json"
mkdir "$bundle/exec"
cp -r "$bundle/rootfs" "$bundle/exec/rootfs"
cp "$programs/probe" "$bundle/exec/rootfs/bin/probe"
oci_config '[ "/bin/probe", "sleep 86400000" ]' >"$bundle/exec/config.json"
exec "$programs/bench" --programs "$programs" --runtime "$BUILT" --bundle "$bundle" --out "$bundle/report" "$@"
