# `make` lists the targets. Each starts with scripts/setup.sh, which gets the machine ready and sets the environment.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DEFAULT_GOAL := help
.PHONY: help mesh simulate zoo build test bench bench-anti-entropy bench-blobs deny setup clean-rocksdb

# In CI a Cargo.lock that does not fit Cargo.toml is an error, not something to mend on the way.
LOCKED := $(if $(CI),--locked)

## make mesh           build, then run a mesh of hubs on this machine, filled with the sample home; Ctrl-C stops it;
##                     more options: make mesh MESH_ARGS="--hubs 5"
## make simulate       two thousand simulated homes with every fault; needs no RocksDB, so no long first build;
##                     longer: make simulate SIMULATE_ARGS="swarm --budget 60m"
## make zoo            hunt every planted bug with the simulator: some ten minutes
## make test           every check: format, lints, licences, tests, the simulator's
## make build          build the release binary
## make bench          run the benchmarks
## make bench-anti-entropy
##                     compare two stores beside negentropy, riblt and merkle-search-tree, up to a million records: some
##                     fifteen minutes; needs no RocksDB; shorter: make bench-anti-entropy ANTI_ENTROPY_ARGS=--quick
## make bench-blobs
##                     carry blobs from hub to hub beside a bare loop, Syncthing and iroh-blobs: some ten minutes; part of it:
##                     make bench-blobs BLOBS="large small sources rows big"
## make deny           check licences and duplicate crates with cargo-deny, where that is installed
## make setup          get the machine ready (compiler, libclang, RocksDB); the other targets do it too
## make clean-rocksdb  throw the compiled RocksDB away; the next build compiles it again, 10 to 50 minutes
##
## For cargo by hand, set the same environment first: . scripts/setup.sh
help:
	@sed -n 's/^## \?//p' Makefile

mesh:
	@. scripts/setup.sh
	cargo build --release $(LOCKED)
	exec cargo run --quiet --release $(LOCKED) --bin inbetweenies -- mesh --home demo/sample-home $(MESH_ARGS)

simulate:
	cargo run --quiet --profile simulation -p inbetweenies-simulations $(LOCKED) -- $(or $(SIMULATE_ARGS),swarm)

zoo:
	cargo test --profile simulation -p inbetweenies-simulations --features zoo --test zoo $(LOCKED) -- \
		--include-ignored --nocapture --test-threads 1

build:
	@. scripts/setup.sh
	cargo build --release $(LOCKED)

# Every step runs even when an earlier one failed, so that one run tells all; the tests come last, and their summary with them.
test:
	@. scripts/setup.sh
	failed=
	step() { echo "== $$*"; "$$@" || failed+="  $$*"$$'\n'; }
	step cargo fmt --all --check
	step cargo clippy --workspace --all-targets $(LOCKED) -- -D warnings
	step scripts/licences.sh $(LOCKED)
	step cargo test --workspace --doc --no-fail-fast $(LOCKED)
	step scripts/simulate.sh $(LOCKED)
	step cargo test --profile simulation -p inbetweenies-simulations --features zoo --test zoo $(LOCKED)
	command -v cargo-deny >/dev/null || echo "skipped: cargo deny (duplicate crates): not installed; licences are checked without it"
	[ -z "$$failed" ] || printf 'FAILED so far:\n%s' "$$failed"
	if command -v cargo-nextest >/dev/null; then
		step cargo nextest run --workspace --no-fail-fast $(LOCKED)
	else
		echo "skipped: cargo nextest: not installed; cargo test runs the same tests"
		step cargo test --workspace --lib --bins --tests --no-fail-fast $(LOCKED)
	fi
	[ -z "$$failed" ]

bench:
	@. scripts/setup.sh
	cargo bench -p inbetweenies --bench sync --bench past --bench tree $(LOCKED)

bench-anti-entropy:
	cargo run --quiet --release --manifest-path benches/anti-entropy/Cargo.toml $(LOCKED) -- \
		$(or $(ANTI_ENTROPY_ARGS),--full --svg docs/anti-entropy-bytes.svg)

bench-blobs:
	@. scripts/setup.sh
	. scripts/bench-peers.sh
	cargo bench -p inbetweenies --bench blobs $(LOCKED) -- $(BLOBS)

deny:
	@if ! command -v cargo-deny >/dev/null; then
		echo "skipped: cargo-deny is not installed (cargo install cargo-deny); scripts/licences.sh checks the licences without it"
		exit
	fi
	cargo deny check licenses bans sources

setup:
	@scripts/setup.sh

clean-rocksdb:
	rm -rf "$$HOME/.cache/inbetweenies-rocksdb"
