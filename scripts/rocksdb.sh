#!/usr/bin/env bash
# Finds or builds the static RocksDB library, and sets ROCKSDB_LIB_DIR and ROCKSDB_STATIC for cargo.
# Built inside cargo, every profile would compile it again, for 10 to 50 minutes each.
#
# A part of setup.sh, which has found cargo, libclang and a compiler before; run alone, it runs setup.sh.

[ "${BASH_SOURCE[0]}" != "$0" ] || exec bash "$(dirname "$0")/setup.sh"

locked_version() { awk '/^name = "librocksdb-sys"$/ { getline; gsub(/version = |"/, ""); print }' "$1"; }

# Prints a line a minute, so that neither people nor a CI's silence timeout take the build for dead.
rocksdb_progress() { # build folder
  while sleep 60; do
    echo "RocksDB: $(find "$1" -name '*.o.done' 2>/dev/null | wc -l) of some 340 files compiled, $((SECONDS / 60)) minutes in this run"
  done
}

rocksdb_compile() { # folder for the library
  local dir=$1 package="$root/scripts/rocksdb-lib" cxx=${CXX:-} candidate ticker
  mkdir -p "$dir"
  # One build at a time; who comes second waits and then finds the library.
  if command -v flock >/dev/null; then
    exec 9>"$dir/lock"
    flock -n 9 || { echo "Another run is building RocksDB; waiting for it."; flock 9; }
    [ ! -s "$dir/librocksdb.a" ] || { exec 9>&-; return 0; }
  fi
  # clang++ takes two thirds of g++'s time; but it is of use only where it finds a C++ standard library.
  for candidate in clang++ g++ c++; do
    [ -z "$cxx" ] && echo '#include <concepts>' | "$candidate" -std=c++20 -x c++ -fsyntax-only - 2>/dev/null && cxx=$candidate
  done
  [ -n "$cxx" ] || fail "No C++ compiler here understands C++20, which RocksDB needs: install g++ 11 or newer, or clang."

  echo "Compiling RocksDB $rocksdb with $cxx, once for all later builds: 10 to 50 minutes on two cores."
  echo "It may be interrupted: the next run goes on with the files that are not compiled yet."
  SECONDS=0
  rocksdb_progress "$dir/build" &
  ticker=$!
  trap 'kill $ticker 2>/dev/null' EXIT
  # RUSTFLAGS would tie the library to one kind of processor, ROCKSDB_* would skip the build.
  env -u RUSTFLAGS -u CARGO_ENCODED_RUSTFLAGS -u ROCKSDB_LIB_DIR -u ROCKSDB_STATIC -u ROCKSDB_COMPILE \
    CXX="$package/cxx.sh" ROCKSDB_CXX="$cxx" CARGO_TARGET_DIR="$dir/build" \
    cargo build --release --locked --manifest-path "$package/Cargo.toml" ||
    fail "RocksDB did not compile (see above). Run the same command again to go on; \`make clean-rocksdb\` starts over."
  kill $ticker 2>/dev/null
  trap - EXIT
  # Copy, then rename: the library is there whole or not at all.
  cp "$(ls -t "$dir"/build/release/build/librocksdb-sys-*/out/librocksdb.a | head -n 1)" "$dir/librocksdb.a.part"
  mv "$dir/librocksdb.a.part" "$dir/librocksdb.a"
  rm -rf "$dir/build"
  exec 9>&-
  echo "RocksDB $rocksdb is built: $((SECONDS / 60)) minutes $((SECONDS % 60)) seconds in this run. It stays in $dir."
}

locked=$(locked_version "$root/Cargo.lock")
rocksdb=${locked#*+}
if [ "$locked" != "$(locked_version "$root/scripts/rocksdb-lib/Cargo.lock")" ]; then
  fail "Cargo.lock wants librocksdb-sys $locked, scripts/rocksdb-lib has another: set that version in
scripts/rocksdb-lib/Cargo.toml and run: cargo update --manifest-path scripts/rocksdb-lib/Cargo.toml"
fi

# Somebody's own ROCKSDB_LIB_DIR is left alone.
ours="$HOME/.cache/inbetweenies-rocksdb/$rocksdb-$(uname -m)"
if [ -z "${ROCKSDB_LIB_DIR:-}" ] && [ -r "$root/../shared/rocksdb/env.sh" ]; then
  # A library built elsewhere may stand beside the checkout. Its folder names its version; another one than ours is no use.
  # shellcheck source=/dev/null
  . "$root/../shared/rocksdb/env.sh" || true
  case "${ROCKSDB_LIB_DIR:-}" in
    '' | */rocksdb-"$rocksdb"-lz4-*) ;;
    *) echo "The ready-built RocksDB in ../shared is not version $rocksdb with lz4; it is not used."
       unset ROCKSDB_LIB_DIR ROCKSDB_STATIC ;;
  esac
fi
if [ "${ROCKSDB_LIB_DIR:-$ours}" = "$ours" ]; then
  [ -s "$ours/librocksdb.a" ] || rocksdb_compile "$ours"
  ROCKSDB_LIB_DIR=$ours ROCKSDB_STATIC=1
fi
