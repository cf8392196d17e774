#!/bin/sh
# The VM ring: the integration list inside a machine with cgroup v2 and all its controllers.
#
#   sh tests/vm/run.sh [FILTER...]      the integration tests (by libtest filter)
#   VM_RUN='COMMAND' sh tests/vm/run.sh  any command, with this repository's programs in /bin
#   ARCH=aarch64 sh tests/vm/run.sh ...  on another processor (x86_64, aarch64, riscv64); else on this one
#
# Debian's kernel is downloaded and unpacked, not installed; qemu emulates in software, so no
# /dev/kvm is needed. About seven seconds a boot. Everything is kept under target/vm.
cd "$(dirname "$0")/../.." && . tests/env.sh && . tests/vm/kernel.sh

MODULES='overlay veth bridge virtio_pci virtio_blk ext4'
PATIENCE=${VM_PATIENCE:-1800}

# Copies $MODULES and what they need to $1, with the list of files in loading order.
modules() {
    # shellcheck disable=SC2086 # several words
    module_files $MODULES | while read -r file; do
        name=$(basename "$file")
        case $name in
        *.xz) xz -dc "$file" >"$1/${name%.xz}" && echo "${name%.xz}" ;;
        *) cp "$file" "$1/$name" && echo "$name" ;;
        esac
    done >"$1/order"
    [ -s "$1/order" ]
}

# apparmor_profile FILE: the profile of tests/integration/labels.rs, compiled here since the guest has no parser.
apparmor_profile() {
    need apparmor_parser apparmor || { say 'no apparmor_parser: the AppArmor tests will be skipped'; return; }
    apparmor_parser --quiet --skip-kernel-load --skip-cache --ofile "$1" tests/vm/apparmor.profile
}

needs_vm
choose_target
cargo build --release --quiet
cargo build --release --quiet -p minirunc-tests --bins
[ -n "${VM_RUN:-}" ] ||
    integration=$(cargo test --no-run -p minirunc-tests --test integration --message-format=json 2>/dev/null |
        sed -n 's/.*"executable":"\([^"]*integration[^"]*\)".*/\1/p')

guest=$VM/guest
busybox_root "$guest"
mkdir -p "$guest/modules"
modules "$guest/modules" || no_vm 'the modules cannot be unpacked'
cp tests/vm/init "$guest/init" && chmod +x "$guest/init"
cp "$BUILT" "$guest/bin/"
find "target/$TARGET/release" -maxdepth 1 -type f -perm -u+x ! -name 'lib*' ! -name '*.so' -exec cp --remove-destination {} "$guest/bin/" \;
[ -z "${integration:-}" ] || cp "$integration" "$guest/bin/integration"
apparmor_profile "$guest/apparmor.policy"
mkdir -p "$guest/bundle"
busybox_root "$guest/bundle/rootfs"
mkdir -p "$guest/sys/fs/cgroup"
oci_config '[ "/bin/sh", "-c", "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max" ]' |
    sed 's/"resources": {/"resources": { "memory": { "limit": 67108864 }, "pids": { "limit": 11 },/
         s/{ "type": "mount" }/{ "type": "mount" }, { "type": "cgroup" }/' >"$guest/bundle/config.json"
printf '%s\n' "${VM_RUN:-}" >"$guest/command"
printf '%s\n' "$*" >"$guest/filters"
(cd "$guest" && find . | cpio --quiet -o -H newc -R 0:0) >"$VM/initramfs"

# Bundles are made on ext4, as people have them: a tmpfs cannot be id-mapped before Linux 6.3.
need mke2fs e2fsprogs || no_vm 'e2fsprogs cannot be had'
rm -f "$VM/disk" && truncate -s 1G "$VM/disk" && mke2fs -q -t ext4 "$VM/disk"

say "booting $(basename "$KERNEL")"
# shellcheck disable=SC2086 # MACHINE is several words, or none
timeout "$PATIENCE" "qemu-system-$ARCH" $MACHINE -accel tcg -m 1G -smp 2 -nographic -no-reboot -nic none \
    -drive "file=$VM/disk,format=raw,if=virtio,cache=unsafe" \
    -kernel "$KERNEL" -initrd "$VM/initramfs" \
    -append "console=$CONSOLE quiet panic=-1 mitigations=off apparmor=1 security=apparmor" </dev/null 2>&1 |
    tr -d '\r' | sed 's/^.*\(== in the machine\)/\1/' | tee "$VM/console"
grep -q '^VM-RING-END 0$' "$VM/console" || die 'the machine did not end well'
