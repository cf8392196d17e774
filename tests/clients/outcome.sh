# Sourced by the scripts beside it, from the repository's root: one client, its scenarios run under the stock runtime and
# under ours, the outcomes compared. A scenario is a function that prints what its user sees; its name is the promise.
#
# Nothing is pulled, nothing of the machine's own set-up is used or left: storage, state and sockets are below $scratch.
. tests/env.sh

# What ours is compared with. crun 1.8 refuses a hybrid host, so runc by default.
STOCK=${STOCK:-runc}
patience=${PATIENCE:-60}
passed=0 failed=0
hexadecimal=$(printf '?%.0s' $(seq 64))

# Why this client cannot be tried here: counted as skipped, by `counted` in tests/all.sh.
skip_client() {
    echo "SKIP $client::all: $1"
    echo 'test result: ok. 1 passed; 0 failed; 0 ignored; nothing could be run'
    exit 0
}

# starting CLIENT PROGRAM:PACKAGE...: the scratch directory, the image's tar, and what must be installed.
starting() {
    client=$1 && shift
    [ "$(id -u)" = 0 ] || skip_client 'needs root'
    for wanted in "$STOCK:$STOCK" busybox:busybox-static script:bsdutils "$@"; do
        need "${wanted%%:*}" "${wanted#*:}" || skip_client "${wanted#*:} cannot be had"
    done
    choose_target
    [ -x "$RUNTIME" ] || cargo build --release --quiet
    stock=$(command -v "$STOCK")
    scratch=$(mktemp -d "${TMPDIR:-/tmp}/clients.XXXXXX")
    chmod 711 "$scratch" # the root of a user namespace walks through
    trap 'status=$?; leave; exit $status' EXIT
    trap 'exit 130' INT TERM
    busybox_root "$scratch/root"
    cp tests/clients/report "$scratch/root/bin/report"
    tar -C "$scratch/root" -cf "$scratch/image.tar" .
}

# containers_storage DIRECTORY DRIVER BELOW: storage.conf of podman and buildah in DIRECTORY, their files BELOW another.
containers_storage() {
    cat >"$1/storage.conf" <<EOC
[storage]
driver = "$2"
graphroot = "$3/graph"
runroot = "$3/run/storage"
EOC
}

# containers_conf DIRECTORY [ENGINE...]: containers.conf there, with more lines of [engine]. nofile, nproc: podman would raise
# both, which needs CAP_SYS_RESOURCE.
containers_conf() {
    cat >"$1/containers.conf" <<EOC
[containers]
netns = "none"
log_driver = "k8s-file"
default_ulimits = [ "nofile=1024:1024", "nproc=1024:1024" ]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
EOC
    file=$1/containers.conf && shift
    for line; do echo "$line" >>"$file"; done
}

# `stop_client` ends what the script started; the rest is a directory.
leave() {
    trap - EXIT
    stop_client >/dev/null 2>&1 || true
    for mounted in $(awk -v below="$scratch/" 'index($5, below) == 1 { print $5 }' /proc/self/mountinfo | sort -r); do
        umount -l "$mounted" || true
    done
    rm -rf "$scratch"
}

# one SIDE RUNTIME SCENARIO: the transcript in $scratch/SIDE.out, what was said besides in SIDE.err.
one() {
    side=$1 OCI=$2
    # In the scratch directory, since conmon leaves a file `oom` where it stands.
    (set +e; cd "$scratch"; "$3"; echo "status $?") >"$scratch/$1.out" 2>"$scratch/$1.err" </dev/null || true
    tidy_client >/dev/null 2>&1 </dev/null || true
}

# same SCENARIO PATTERN: ours matches PATTERN (so that the two never agree on nothing) and is what the stock runtime says.
# Where only the stock runtime misses the pattern ours has passed; where both do, this machine cannot show the scenario.
same() {
    one stock "$stock" "$1"
    one ours "$RUNTIME" "$1"
    expected=$(matches "$2" "$(cat "$scratch/stock.out")")$(matches "$2" "$(cat "$scratch/ours.out")")
    if [ "$expected" = nono ]; then
        passed=$((passed + 1))
        echo "SKIP $client::$1: $STOCK here says: $(cat "$scratch/stock.out" "$scratch/stock.err" | tr '\n' ' ' | cut -c 1-300)"
    elif [ "$expected" = noyes ] || diff "$scratch/stock.out" "$scratch/ours.out" >"$scratch/difference"; then
        passed=$((passed + 1))
        echo "test $client::$1 ... ok"
    else
        failed=$((failed + 1))
        echo "test $client::$1 ... FAILED (< $STOCK, > ours)"
        head -n 20 "$scratch/difference"
        tail -n 5 "$scratch/ours.err"
    fi
}

matches() { case $2 in $1) echo yes ;; *) echo no ;; esac; }

# finish: what was left behind counts too; then the line that `counted` reads.
finish() {
    left_over >"$scratch/after"
    if diff "$scratch/before" "$scratch/after" >"$scratch/difference"; then
        passed=$((passed + 1))
        echo "test $client::nothing_is_left_behind ... ok"
    else
        failed=$((failed + 1))
        echo "test $client::nothing_is_left_behind ... FAILED"
        cat "$scratch/difference"
    fi
    verdict=ok
    [ $failed = 0 ] || verdict=FAILED
    echo "test result: $verdict. $passed passed; $failed failed; 0 ignored"
    [ $failed = 0 ]
}

# Cgroups of this client's containers, whose paths are like $leftovers, and state below our default root (names as podman
# and buildah give them): to be the same before and after.
left_over() {
    find /sys/fs/cgroup -maxdepth 3 -type d -path "$leftovers" 2>/dev/null | sort
    find /run/minirunc -mindepth 1 -maxdepth 1 \( -name 'buildah-*' -o -name "$hexadecimal" \) 2>/dev/null | sort
}

# on_a_terminal COMMAND: under a pty of 33 rows and 99 columns, which the client sees as its own terminal. `^@` is the
# echo of the end of script's own input.
on_a_terminal() {
    script -qec "stty rows 33 cols 99; $1" /dev/null | tr -d '\r' | sed 's/^^@//'
}
