#!/bin/sh
# `sh tests/miri.sh [FILTER...]`: unit tests of what makes no system call, in Miri: no undefined behaviour in the readers of messages
# and texts, nor in the unsafe code below them. Needs rustup's nightly with miri; says so where that cannot be had. Minutes.
cd "$(dirname "$0")/.." && . tests/env.sh

nightly() { rustup -q component add miri --toolchain nightly || rustup -q toolchain install nightly --profile minimal --component miri; }
if ! { command -v rustup && timeout 300 rustup run nightly cargo miri --version || { nightly && rustup run nightly cargo miri --version; }; } >/dev/null 2>&1; then
    say 'SKIPPED: miri: not to be had from rustup'
    exit 0
fi
# On the gnu target, which has a std for tests.
miri() {
    package=$1 && shift
    say "miri: $package: $*"
    rustup run nightly cargo miri test --quiet --target "$(uname -m)-unknown-linux-gnu" --target-dir target/miri -p "$package" --lib -- "$@"
}
if [ $# = 0 ]; then
    miri nsenter attr::
    miri minirunc-static cmd::lex oci:: plan::list plan::names text::shelf wire::accounting wire::cgroupfs wire::passwd wire::stat wire::time
else
    miri nsenter "$@"
    miri minirunc-static "$@"
fi
