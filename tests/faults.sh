#!/bin/sh
# The long form of what the integration ring only samples: each call of each command fails once, with each error; each process is
# killed at each call. Ends with the counts. `sh tests/faults.sh FILTER` runs only those of that name (`every_call_of_run`).
cd "$(dirname "$0")/.." && . tests/env.sh

choose_target
cargo build --release
FAULTS=all cargo test -p minirunc-tests --test integration -- "${1:-faults::}" killed::
