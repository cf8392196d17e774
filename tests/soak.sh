#!/bin/sh
# `sh tests/soak.sh [RUNS [WORKERS]]`: 20,000 containers by 4 workers, runtimes killed at random; then what is left of them.
cd "$(dirname "$0")/.." && . tests/env.sh

choose_target
cargo build --release
cargo build -p minirunc-tests --bin soak --bin probe
PROBE=$PWD/target/$TARGET/debug/probe
export PROBE
exec "$PWD/target/$TARGET/debug/soak" "${1:-20000}" "${2:-4}"
