#!/bin/sh
# `sh tests/fuzz.sh [SECONDS [TARGET...]]`: malformed input by libFuzzer, 15 minutes for each format (tests/src/fuzz), JOBS (2) at a
# time; ends with a table. Crashes, hangs (25 s for one input) and more than 2 GB of memory are failures: what caused them is in
# target/fuzz/found. Needs rustup's nightly toolchain; the ring `unit` has a short version that does not.
cd "$(dirname "$0")/.." && . tests/env.sh

SECONDS_EACH=${1:-900}
export SECONDS_EACH
[ $# = 0 ] || shift
choose_target
host=$(uname -m)-unknown-linux-gnu
rustup toolchain list | grep -q '^nightly' || rustup -q toolchain install nightly --profile minimal
command -v cargo-fuzz >/dev/null || cargo install --quiet cargo-fuzz
[ -e /usr/include/seccomp.h ] || as_root apt-get install -qq -y libseccomp-dev >/dev/null </dev/null
mkdir -p target/fuzz/corpus target/fuzz/found target/fuzz/log
targets=$(cargo run --quiet -p minirunc-tests --bin seeds -- target/fuzz/seeds)
cargo +nightly fuzz build --fuzz-dir tests/fuzz --target "$host" --target-dir target/fuzz/build
[ $# = 0 ] && set -- $targets seccomp_libseccomp
BUILT_TARGETS=$PWD/target/fuzz/build/$host/release
export BUILT_TARGETS

cd target/fuzz
printf '%s\n' "$@" | xargs -P "${JOBS:-2}" -I '{}' sh -c '
    mkdir -p "corpus/$1" "found/$1" "seeds/$1"
    # One without words of its own has no file of them, and an empty one is refused.
    dictionary=
    [ ! -e "seeds/$1.dict" ] || dictionary=-dict=seeds/$1.dict
    "$BUILT_TARGETS/$1" "corpus/$1" "seeds/$1" $dictionary -artifact_prefix="found/$1/" -max_total_time="$SECONDS_EACH" \
        -max_len=16384 -timeout=25 -rss_limit_mb=2048 -detect_leaks=0 -print_final_stats=1 >"log/$1" 2>&1 || echo FAILED >>"log/$1"' one '{}'

# What libFuzzer said last, by target.
failed=0
printf '| %-20s | inputs | seconds | edges | corpus | peak MB | |\n|---|---|---|---|---|---|---|\n' target
for target in "$@"; do
    outcome=$(awk '
        /^Done/ { runs = $2; seconds = $5 } / cov: / { for (i = 1; i < NF; i++) if ($i == "cov:") cov = $(i + 1); else if ($i == "corp:") corpus = $(i + 1) }
        /peak_rss_mb/ { rss = $2 } /^FAILED/ { failed = "FAILED" }
        END { printf "%s | %s | %s | %s | %s | %s", runs, seconds, cov, corpus, rss, failed }' "log/$target")
    printf '| %-20s | %s |\n' "$target" "$outcome"
    case $outcome in *FAILED) failed=1 ;; esac
done
[ "$failed" = 0 ]
