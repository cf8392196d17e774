# Sourced by the scripts beside it: a kernel to boot in a virtual machine. Debian's cloud kernel is downloaded and unpacked, not
# installed. Everything is kept under target/vm.

VM=$PWD/target/vm

no_vm() { echo "test result: ok. 0 passed; 0 failed; 1 ignored; no virtual machine: $1"; exit 0; }

# needs_vm: what a virtual machine takes, or an end with the reason why there is none.
needs_vm() {
    [ "$(uname -m)" = x86_64 ] || no_vm "written for x86_64, this is $(uname -m)"
    need qemu-system-x86_64 qemu-system-x86 || no_vm 'qemu-system-x86 cannot be had'
    need cpio cpio || no_vm 'cpio cannot be had'
    need depmod kmod || no_vm 'kmod cannot be had'
    kernel || no_vm 'linux-image-cloud-amd64 cannot be had'
}

# The kernel image and its modules, below $VM/kernel.
kernel() {
    [ -e "$VM/kernel/.complete" ] && return
    rm -rf "$VM/kernel" && mkdir -p "$VM/kernel"
    real_package || as_root apt-get update -qq </dev/null || return 1
    real_package || return 1
    say "downloading $package"
    (cd "$VM/kernel" && apt-get download -qq "$package" 2>/dev/null) || return 1
    dpkg-deb -x "$VM"/kernel/*.deb "$VM/kernel" || return 1
    rm "$VM"/kernel/*.deb
    touch "$VM/kernel/.complete"
}

# linux-image-cloud-amd64 is empty and depends on the one that holds the kernel.
real_package() {
    package=$(apt-cache depends linux-image-cloud-amd64 2>/dev/null | sed -n 's/.*Depends: \(linux-image-[0-9][^ ]*\)$/\1/p' | head -n 1)
    [ -n "$package" ]
}

# module_files MODULE...: the files of these modules and of what they need, in loading order.
module_files() {
    version=$(basename "$VM"/kernel/boot/vmlinuz-* | sed 's/^vmlinuz-//')
    tree=$VM/kernel
    [ -d "$tree/lib/modules" ] || tree=$VM/kernel/usr
    depmod -b "$tree" "$version" || return 1
    for module in "$@"; do
        modprobe -d "$tree" -S "$version" --show-depends "$module" | sed -n 's/^insmod \([^ ]*\).*/\1/p'
    done | awk '!seen[$0]++'
}
