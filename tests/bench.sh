#!/bin/sh
# The bench: us, bare kernel calls, runc, crun and bubblewrap on one bundle, as root.
#
#   sh tests/bench.sh [--smoke] [--runs N] [--idle-runs N] [--idle MS] [--only NAME,NAME]
#   sh tests/bench.sh --exec ...    the same of `exec`: one more process in a container that waits
#   sh tests/bench.sh --alive       what each operation costs while up to 200 containers are alive
#   sh tests/bench.sh --seccomp     what Docker's and Podman's profiles cost: compiled, by call, at start-up
#   sh tests/bench.sh --verify    compares the container of the bare calls with runc's and ours
#   taskset -c 0 sh tests/bench.sh    on one core
cd "$(dirname "$0")/.." && . tests/env.sh

[ "$(id -u)" = 0 ] || die 'needs root'
choose_target
for other in runc:runc crun:crun bwrap:bubblewrap; do need "${other%:*}" "${other#*:}" || say "${other#*:} cannot be had"; done
cargo build --release --quiet
cargo build --release --quiet -p minirunc-tests --bins

programs=$PWD/target/$TARGET/release
bundle=$PWD/target/bench
mkdir -p "$bundle"

if [ "${1:-}" != --verify ]; then
    rm -rf "$bundle/rootfs"
    for directory in bin proc sys dev; do mkdir -p "$bundle/rootfs/$directory"; done
    cp "$programs/true" "$bundle/rootfs/bin/true"
    oci_config '[ "/bin/true" ]' >"$bundle/config.json"
    rm -rf "$bundle/exec" && mkdir "$bundle/exec"
    cp -r "$bundle/rootfs" "$bundle/exec/rootfs"
    cp "$programs/probe" "$bundle/exec/rootfs/bin/probe"
    oci_config '[ "/bin/probe", "sleep 86400000" ]' >"$bundle/exec/config.json"
    exec "$programs/bench" --programs "$programs" --runtime "$BUILT" --bundle "$bundle" "$@"
fi

# What is seen from inside, less what differs from run to run.
busybox_root "$bundle/rootfs"
cat >"$bundle/rootfs/report" <<'EOF'
#!/bin/sh
echo mounts; awk '{ sub(/ - /, " "); $1 = $2 = $3 = ""; sub("/[^/ ]*$", "/*", $4); sub(/rw,discard.*/, ""); print }' /proc/self/mountinfo
echo files; ls -l /dev /sys/fs/cgroup | awk '{ print $1, $2, $3, $4, $5, $9, $10, $11 }'
echo process; grep -E '^(Cap|NoNew|Groups|Sig[BIC]|Umask|NSsid|Seccomp:)' /proc/self/status; grep open /proc/self/limits
echo descriptors; ls /proc/self/fd
echo cgroups; sed 's/[^/]*$/*/' /proc/self/cgroup; sort /sys/fs/cgroup/devices/devices.list 2>/dev/null
echo network; ip -o addr
hostname; cat /proc/keys; touch /x
EOF
chmod +x "$bundle/rootfs/report"
oci_config '[ "/report" ]' >"$bundle/config.json"
directories=$("$programs/bench" --directories)
"$programs/floor" "$bundle/rootfs" "verify-$$" /report $directories >"$bundle/floor.report" 2>&1 </dev/null || true
for runtime in runc "$BUILT"; do
    say "bare calls against $(basename "$runtime")"
    "$runtime" --root "$bundle/state" run --bundle "$bundle" "verify-$$" >"$bundle/other.report" 2>&1 </dev/null || true
    diff "$bundle/floor.report" "$bundle/other.report" && say "the same, $(wc -l <"$bundle/floor.report") lines"
done

# What a second process sees. The bare calls and ours are in one container, runc's in another.
oci_config '[ "/bin/sleep", "1000" ]' >"$bundle/config.json"
for runtime in "$BUILT" runc; do
    "$runtime" --root "$bundle/state" run --detach --bundle "$bundle" "exec-$$" >/dev/null 2>&1 </dev/null
    say "bare calls of exec against $(basename "$runtime")"
    pid=$("$runtime" --root "$bundle/state" state "exec-$$" | sed -n 's/.*"pid": \([0-9]*\).*/\1/p')
    directories=$("$programs/bench" --directories-of "$pid" | grep "$$")
    "$programs/floor-exec" "$pid" /report $directories >"$bundle/floor.report" 2>&1 </dev/null || true
    "$runtime" --root "$bundle/state" exec "exec-$$" /report >"$bundle/other.report" 2>&1 </dev/null || true
    "$runtime" --root "$bundle/state" delete --force "exec-$$"
    # The session is the process's number.
    sed -i /NSsid/d "$bundle/floor.report" "$bundle/other.report"
    diff "$bundle/floor.report" "$bundle/other.report" && say "the same, $(wc -l <"$bundle/floor.report") lines"
done
