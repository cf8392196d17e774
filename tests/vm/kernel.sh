# Sourced by the scripts beside it: a kernel to boot in a virtual machine, of the processor ARCH (x86_64, aarch64, riscv64), or of
# this one. Debian's kernel is downloaded and unpacked, not installed. Everything is kept under target/vm.

ARCH=${ARCH:-$(uname -m)}
VM=$PWD/target/vm/$ARCH
SUITE=

no_vm() { echo "test result: ok. 0 passed; 0 failed; 1 ignored; no virtual machine: $1"; exit 0; }

case $ARCH in
x86_64) DEBIAN=amd64 PACKAGE=linux-image-cloud-amd64 EMULATOR=qemu-system-x86 MACHINE= CONSOLE=ttyS0 ;;
aarch64) DEBIAN=arm64 PACKAGE=linux-image-cloud-arm64 EMULATOR=qemu-system-arm MACHINE='-M virt -cpu cortex-a57' CONSOLE=ttyAMA0 ;;
# Debian has this one since its 13th release.
riscv64) DEBIAN=riscv64 PACKAGE=linux-image-riscv64 EMULATOR=qemu-system-misc MACHINE='-M virt' CONSOLE=ttyS0 SUITE=trixie ;;
*) no_vm "no machine of the kind $ARCH" ;;
esac

# compiler: what it takes beyond rustup's targets.
compiler() { :; }

case $ARCH in
"$(uname -m)") ;;
riscv64) . tests/vm/riscv64.sh && export CARGO_BUILD_TARGET=riscv64gc-unknown-linux-gnu ;;
*) export CARGO_BUILD_TARGET="$ARCH-unknown-linux-musl" ;;
esac

# needs_vm: what a virtual machine takes, or an end with the reason why there is none.
needs_vm() {
    need "qemu-system-$ARCH" "$EMULATOR" || no_vm "$EMULATOR cannot be had"
    need cpio cpio || no_vm 'cpio cannot be had'
    need depmod kmod || no_vm 'kmod cannot be had'
    kernel || no_vm "$PACKAGE cannot be had"
    compiler || no_vm "no compiler for $ARCH"
    KERNEL=$(ls "$VM"/kernel/boot/vmlinu?-*)
    [ "$ARCH" = "$(uname -m)" ] || BUSYBOX=$(find "$VM/kernel" -path '*/bin/busybox')
}

# apt's lists for another architecture, below $VM/apt: the machine's know its own, and stay as they are.
debian_lists() {
    if [ "$ARCH" = "$(uname -m)" ]; then
        apt-cache show "$PACKAGE" >/dev/null 2>&1 || as_root apt-get update -qq </dev/null || :
        return 0
    fi
    [ ! -e "$VM/apt/.complete" ] || return 0
    mkdir -p "$VM/apt/lists/partial" "$VM/apt/suite"
    : >"$VM/apt/status"
    cat >"$VM/apt/conf" <<END
APT { Architecture "$DEBIAN"; Architectures { "$DEBIAN"; }; Sandbox::User "root"; };
Dir { State "$VM/apt"; State::status "$VM/apt/status"; Cache "$VM/apt"; };
END
    if [ -n "$SUITE" ]; then
        echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $(debian_mirror) $SUITE main" >"$VM/apt/suite/debian.list"
        echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $(debian_mirror)-security $SUITE-security main" >>"$VM/apt/suite/debian.list"
        echo "Dir::Etc { SourceList \"/dev/null\"; SourceParts \"$VM/apt/suite\"; };" >>"$VM/apt/conf"
    fi
    # Sources that are not Debian's may lack the architecture.
    APT_CONFIG="$VM/apt/conf" apt-get update -qq >/dev/null 2>&1 </dev/null || :
    touch "$VM/apt/.complete"
}

# The kernel image, its modules and a static busybox, below $VM/kernel.
kernel() {
    [ -e "$VM/kernel/.complete" ] && return
    rm -rf "$VM/kernel" && mkdir -p "$VM/kernel"
    debian_lists
    (
        [ ! -e "$VM/apt/conf" ] || export APT_CONFIG="$VM/apt/conf"
        cd "$VM/kernel"
        # linux-image-cloud-amd64 is empty and depends on the one that holds the kernel.
        image=$(apt-cache depends "$PACKAGE" 2>/dev/null | sed -n 's/.*Depends: \(linux-image-[0-9][^ ]*\)$/\1/p' | head -n 1)
        say "downloading ${image:-$PACKAGE}"
        apt-get download -qq "${image:-$PACKAGE}" busybox-static >/dev/null 2>&1
    ) || return 1
    for deb in "$VM"/kernel/*.deb; do dpkg-deb -x "$deb" "$VM/kernel" || return 1; done
    rm "$VM"/kernel/*.deb
    touch "$VM/kernel/.complete"
}

# module_files MODULE...: the files of these modules and of what they need, in loading order.
module_files() {
    version=$(basename "$VM"/kernel/boot/vmlinu?-* | sed 's/^vmlinu.-//')
    tree=$VM/kernel
    [ -d "$tree/lib/modules" ] || tree=$VM/kernel/usr
    depmod -b "$tree" "$version" || return 1
    for module in "$@"; do
        modprobe -d "$tree" -S "$version" --show-depends "$module" | sed -n 's/^insmod \([^ ]*\).*/\1/p'
    done | awk '!seen[$0]++'
}
