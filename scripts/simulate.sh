#!/usr/bin/env bash
# The simulator's part of the checks: two thousand homes drawn from seeds, every promise held against each, and a few
# of them once more in a debug build, which must be the same to the last event. Arguments go to cargo (--locked).
set -euo pipefail
cd "$(dirname "$0")/.."

SEEDS=0..2000
SEEDS_IN_DEBUG=0..10

target=$(cargo metadata --no-deps --format-version 1 | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
hashes=$(mktemp -d)
trap 'rm -rf "$hashes"' EXIT

cargo build --profile simulation -p inbetweenies-simulations "$@"
"$target/simulation/simulate" swarm --seeds "$SEEDS" --hashes "$hashes/optimised"

cargo build -p inbetweenies-simulations "$@"
"$target/debug/simulate" swarm --seeds "$SEEDS_IN_DEBUG" --hashes "$hashes/debug" >/dev/null
head -n "$(wc -l <"$hashes/debug")" "$hashes/optimised" | diff - "$hashes/debug" || {
  echo "I29 is broken: a debug build runs these seeds otherwise than an optimised one."
  exit 1
}
echo "$(wc -l <"$hashes/debug") seeds are the same to the last event in a debug build."
