#!/bin/sh
# The machine's first process: kernels boot into an initramfs whose /init is the runtime itself.
#
#   sh tests/vm/pid1.sh [NAME...]      these tests, or all
#
# One busybox serves all containers and the machine's own shell. The archive is what the README's page builds, and must stay below
# 1,000,000 bytes; what belongs to the kernel (modules) comes in an archive of its own. About seven seconds a boot.
cd "$(dirname "$0")/../.." && . tests/env.sh && . tests/vm/kernel.sh

PATIENCE=${VM_PATIENCE:-300}
LIMIT=1000000
passed=0 failed=0

# bundle NAME ARGS [SED]: a bundle in the archive whose root is /rootfs, with a change to its configuration.
bundle() {
    mkdir -p "$guest/bundles/$1"
    oci_config "$2" | sed 's/"path": "rootfs"/"path": "\/rootfs"/'"${3:+; $3}" >"$guest/bundles/$1/config.json"
}

# script TEXT: a shell's arguments, as JSON.
script() { printf '[ "/bin/sh", "-c", "%s" ]' "$(printf '%s' "$1" | sed 's/[\\"]/\\&/g')"; }

own_pids='s/{ "type": "pid" }, //'
kernel_log='s/"relatime", "ro" \] }/&, { "destination": "\/dev\/kmsg", "type": "bind", "source": "\/dev\/kmsg", "options": [ "bind" ] }/
    s/"allow": false/"allow": true/'
own_init='s/"hostname"/"annotations": { "org.minirunc.init": "true" }, "hostname"/'
limited='s/"resources": {/"resources": { "memory": { "limit": 67108864 },/'

archive() {
    rm -rf "$guest" && mkdir -p "$guest/bin" "$guest/rootfs/bin"
    cp "$BUILT" "$guest/init"
    need busybox busybox-static || die 'busybox-static cannot be had'
    need objcopy binutils || die 'objcopy cannot be had'
    # C unwinds nothing: of the tables for it only their end, four bytes of zeros, is kept.
    head -c 4 /dev/zero >"$guest/end"
    objcopy --update-section ".eh_frame=$guest/end" "$(command -v busybox)" "$guest/bin/busybox" && rm "$guest/end"
    # A hard link, so that the archive holds one.
    ln "$guest/bin/busybox" "$guest/rootfs/bin/busybox"
    for name in cat grep hostname id ip mkdir mount nc poweroff sh sleep wc; do
        ln -s busybox "$guest/bin/$name" && ln -s busybox "$guest/rootfs/bin/$name"
    done

    # The archive itself is the layer below.
    mkdir -p "$guest/bundles/first" && printf '{"image": "/", "hostname": "minirunc", "cmd": %s}' \
        "$(script 'echo first: $$ $(hostname); echo x >/new; cat /new /bundles/first/config.json | wc -l')" >"$guest/bundles/first/config.json"
    bundle second "$(script 'echo second: $(ip -4 -o addr show eth0); ip route; nc 172.18.0.1 9 2>&1; [ -t 0 ] && exit 3')" \
        's/"terminal": false/"terminal": true/; s/"hostname"/"annotations": { "org.minirunc.network": "bridge" }, "hostname"/'
    bundle flaky "$(script 'echo x >>/count; [ $(wc -l </count) = 3 ]')" 's/"readonly": true/"readonly": false/'
    bundle patient "$(script 'trap "echo patient: terminated; exit 5" TERM; while :; do sleep 1; done')"
    bundle idle '[ "/bin/sleep", "100000" ]' "$own_init"
    # In the machine's pid namespace, from where its first process can be signalled.
    bundle terminator "$(script 'sleep 3; kill -TERM 1; exec sleep 100000')" "$own_pids"
    bundle off "$(script 'sleep 3; echo off: still there; kill -USR2 1')" "$own_pids"
    bundle timed "$(script 'echo a process runs >/dev/kmsg')" "$kernel_log"
    bundle limited "$(script 'cat /sys/fs/cgroup/memory/memory.limit_in_bytes')" "$limited"
    # Somebody has given the controllers to v1 already.
    cat >"$guest/claimed" <<'END'
#!/bin/sh
mkdir -p /proc /v1 && mount -t proc proc /proc
while read -r name rest; do
    [ "$name" = '#subsys_name' ] || { mkdir /v1/$name && mount -t cgroup -o $name cgroup /v1/$name; }
done </proc/cgroups
exec /init
END
    chmod +x "$guest/claimed"
    (cd "$guest" && find . | sort | cpio --quiet -o -H newc -R 0:0) |
        xz --check=crc32 --x86 --lzma2=preset=9e,lc=4,pb=0 >"$VM/pid1.initramfs"
}

# The kernel's part: what it asks /sbin/modprobe for, which is busybox, too.
modules() {
    rm -rf "$VM/pid1.modules"
    module_files veth bridge overlay >"$VM/pid1.files" || return 1
    place=$VM/pid1.modules/lib/modules/$(basename "$VM"/kernel/boot/vmlinuz-* | sed 's/^vmlinuz-//')
    mkdir -p "$place" "$VM/pid1.modules/sbin" && ln -s ../bin/busybox "$VM/pid1.modules/sbin/modprobe"
    while read -r file; do
        cp "$file" "$place/"
        case $file in *.xz) xz -d "$place/${file##*/}" ;; esac
    done <"$VM/pid1.files"
    depmod -b "$VM/pid1.modules" "${place##*/}" 2>/dev/null
    (cd "$VM/pid1.modules" && find . | cpio --quiet -o -H newc -R 0:0) >"$VM/pid1.initrd"
    cat "$VM/pid1.initramfs" >>"$VM/pid1.initrd"
}

# boot NAME PARAMETERS [INPUT]: what a machine with these parameters prints, in $VM/pid1.NAME. INPUT is a script that types.
boot() {
    console=$VM/pid1.$1
    : >"$console"
    "${3:-true}" | timeout "$PATIENCE" qemu-system-x86_64 -accel tcg -m 256M -nographic -no-reboot -nic none ${QEMU:--smp 2} \
        -kernel "$VM"/kernel/boot/vmlinuz-* -initrd "$VM/pid1.initrd" \
        -append "console=ttyS0 quiet panic=-1 mitigations=off $(echo $2)" 2>&1 | sed -u 's/\r//g' >"$console" || :
}

# has LINE: the console has it, as a whole line or the end of one (the firmware's last one has no end).
has() { grep -q -- "$1\$" "$console" || { say "no line '$1'"; return 1; }; }

two_bundles_run_on_the_console_and_their_statuses_are_told() {
    boot two 'minirunc.bundle=/bundles/first minirunc.bundle=/bundles/second minirunc.after=poweroff'
    has 'first: 1 minirunc' && has 1 && grep -q 'second: .* inet 172.18.0.2/16' "$console" && grep -q '(172.18.0.1): Connection refused' "$console" &&
        has 'minirunc-static: /bundles/first: exit status 0' && has 'minirunc-static: /bundles/second: exit status 3' &&
        has 'reboot: Power down'
}

an_initramfs_with_busybox_is_below_1_mb() {
    size=$(wc -c <"$VM/pid1.initramfs")
    say "the initramfs has $size bytes of $LIMIT, the runtime in it $(wc -c <"$guest/init")"
    [ "$size" -lt "$LIMIT" ]
}

what_fails_is_started_again_and_what_does_not_is_not() {
    boot restart 'minirunc.bundle=/bundles/flaky minirunc.restart=on-failure minirunc.after=reboot'
    [ "$(grep -c 'flaky: exit status 1, to be started again$' "$console")" = 2 ] &&
        has 'flaky: exit status 0' && has 'reboot: Restarting system'
}

sigterm_is_passed_on_and_ends_the_machine_as_it_was_told() {
    boot term 'minirunc.bundle=/bundles/patient minirunc.bundle=/bundles/idle minirunc.bundle=/bundles/terminator
        minirunc.restart=always minirunc.after=halt' halted
    has 'patient: terminated' && has 'patient: exit status 5' && has 'idle: exit status 143' && has 'System halted'
}

# The machine cannot end by itself: qemu's monitor does it.
halted() {
    until grep -q 'System halted' "$console"; do sleep 1; done
    printf '\001cquit\n'
}

a_crash_does_not_end_the_machine() {
    boot crash 'minirunc.bundle=/absent minirunc.bundle=/bundles/off minirunc.nonsense=1'
    has '/proc/cmdline: minirunc.nonsense=1: not understood' && has '/absent: exit status 1' &&
        has 'off: still there' && has 'reboot: Power down'
}

without_a_bundle_there_are_a_message_and_a_shell_and_orphans_are_reaped() {
    boot shell '' typed
    has 'no bundle: the kernel.s command line has no minirunc.bundle=/PATH' && has 'orphans: 0 zombies' &&
        has 'reboot: Power down'
}

typed() {
    # The prompt itself has no end of line yet.
    until grep -q 'built-in commands' "$console"; do sleep 1; done
    sleep 2
    # Each child of the shell is gone before its own child.
    echo 'i=0; while [ $i -lt 500 ]; do (sleep 1 &); i=$((i + 1)); done'
    echo 'sleep 4; echo orphans: $(grep -l "^State:.Z" /proc/[0-9]*/status | wc -l) zombies; poweroff'
}

where_v2_has_no_controllers_v1_is_mounted() {
    boot v1 'rdinit=/claimed minirunc.bundle=/bundles/limited minirunc.after=poweroff'
    has 67108864
}

a_kernel_without_controllers_is_diagnosed() {
    boot none 'cgroup_disable=cpuset,cpu,cpuacct,io,blkio,memory,devices,freezer,net_cls,perf_event,net_prio,hugetlb,pids,rdma,misc
        minirunc.bundle=/bundles/limited minirunc.bundle=/bundles/first minirunc.after=poweroff'
    has 'no cgroup controllers: no limits' && has 'limited: exit status 1' && has 'first: exit status 0' &&
        grep -q 'linux.resources.memory' "$console"
}

# How long the kernel takes to /init, and /init to a process in a container, in seconds by the kernel's log; not among the tests.
# On a processor that needs a nanosecond for an instruction, whatever else this machine does, so that it is the same each time.
boot_time() {
    QEMU='-smp 1 -icount shift=0,sleep=off' \
        boot time 'loglevel=7 minirunc.bundle=/bundles/timed minirunc.after=poweroff'
    grep -o '\[.*\(Run /init as init process\|a process runs\|Power down\)$' "$console"
}

TESTS='an_initramfs_with_busybox_is_below_1_mb two_bundles_run_on_the_console_and_their_statuses_are_told
    what_fails_is_started_again_and_what_does_not_is_not sigterm_is_passed_on_and_ends_the_machine_as_it_was_told
    a_crash_does_not_end_the_machine without_a_bundle_there_are_a_message_and_a_shell_and_orphans_are_reaped
    where_v2_has_no_controllers_v1_is_mounted a_kernel_without_controllers_is_diagnosed'

main() {
    needs_vm
    choose_target
    cargo build --release --quiet
    guest=$VM/pid1.guest
    archive
    modules || no_vm 'the modules cannot be unpacked'
    for name in ${*:-$TESTS}; do
        if "$name"; then
            passed=$((passed + 1)); echo "test $name ... ok"
        else
            failed=$((failed + 1)); echo "test $name ... FAILED"; tail -n 30 "$console"
        fi
    done
    echo "test result: $([ "$failed" = 0 ] && echo ok || echo FAILED). $passed passed; $failed failed; 0 ignored; the machine's first process"
    [ "$failed" = 0 ]
}

main "$@"
