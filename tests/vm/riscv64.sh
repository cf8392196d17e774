# Sourced by kernel.sh for ARCH=riscv64. Where rustup's target for it cannot be had, the compiler is Debian's rustc-web with the
# libraries of its riscv64 packages: unpacked below target/vm, not installed, so that the Rust that is there stays.
# Sets RUSTC, MUSL (see build.rs) and LD_LIBRARY_PATH.

RUST=$VM/rust

compiler() {
    need riscv64-linux-gnu-gcc gcc-riscv64-linux-gnu || return 1
    if [ ! -e "$RUST/.complete" ]; then
        rm -rf "$RUST" && mkdir -p "$RUST/foreign"
        say 'downloading rustc-web, and for riscv64 libstd-rust-web-dev and musl-dev'
        (
            cd "$RUST"
            version=$(apt-cache depends libstd-rust-web-dev | sed -n 's/.*Depends: \(libstd-rust-web-[0-9.]*\)$/\1/p' | head -n 1)
            llvm=$(apt-cache depends "$version" | sed -n 's/.*Depends: \(libllvm[0-9]*\)$/\1/p' | head -n 1)
            apt-get download -qq rustc-web libstd-rust-web-dev "$version" "$llvm" >/dev/null 2>&1
        ) || return 1
        debian_lists
        (cd "$RUST/foreign" && APT_CONFIG="$VM/apt/conf" apt-get download -qq libstd-rust-web-dev musl-dev >/dev/null 2>&1) || return 1
        for deb in "$RUST"/*.deb "$RUST"/foreign/*.deb; do dpkg-deb -x "$deb" "$RUST" || return 1; done
        rm -r "$RUST"/*.deb "$RUST/foreign"
        touch "$RUST/.complete"
    fi
    export RUSTC="$RUST/usr/bin/rustc" MUSL="$RUST/usr/lib/riscv64-linux-musl"
    export LD_LIBRARY_PATH="$RUST/usr/lib/$(uname -m)-linux-gnu"
    # One version of both, or the libraries cannot be read.
    "$RUSTC" -vV >/dev/null && echo '#![no_std]' | "$RUSTC" --target riscv64gc-unknown-linux-gnu --crate-type lib --emit metadata -o "$RUST/check" -
}
