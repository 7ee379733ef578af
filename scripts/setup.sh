#!/usr/bin/env bash
# Gets a machine ready to build: looks for Rust, a C++ compiler, libclang and RocksDB, fetches what is missing where it can,
# and sets the environment that make, CI and developers share. When all is there it takes a fraction of a second.
#
#   . scripts/setup.sh   sets the environment in this shell; plain `cargo build` then works, and shares what make built
#   scripts/setup.sh     only gets the machine ready
#
# SETUP_INSTALL=no keeps it from installing anything with apt-get or pip.

[ -n "${BASH_VERSION:-}" ] || { echo "scripts/setup.sh needs bash." >&2; return 1; }

# Sourced: the work is done in a process of its own, so that no option, function or `exit` leaks into the caller's shell.
if [ "${BASH_SOURCE[0]}" != "$0" ]; then
  setup_exports=$(bash "${BASH_SOURCE[0]}" --exports) || return 1
  eval "$setup_exports"
  unset setup_exports
  return 0
fi

set -euo pipefail
exec 3>&1 1>&2 # words go to stderr; stdout is for the exports

fail() { printf '%s\n' "$1"; exit 1; }

apt_install() { # package…
  local sudo=()
  [ "${SETUP_INSTALL:-yes}" != no ] && command -v apt-get >/dev/null || return 1
  [ "$(id -u)" = 0 ] || { sudo -n true 2>/dev/null && sudo=(sudo -n); } || return 1
  echo "Installing $* with apt-get." >&2
  # Update first: a fresh machine has no package lists, and without them apt-get takes "g++" for a pattern and succeeds.
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive bash -c 'apt-get -qq update; apt-get -qq install -y "$@"' apt "$@" \
    </dev/null >/dev/null
}

# Prints where a libclang is that can be loaded at run time.
libclang_find() {
  local dir file
  [ ! -f "${LIBCLANG_PATH:-}" ] || { echo "$LIBCLANG_PATH"; return; } # the file itself may be named, too
  for dir in "${LIBCLANG_PATH:-}" "$(llvm-config --libdir 2>/dev/null || true)" $(printf '%s\n' /usr/lib/llvm-*/lib | sort -rV) \
    /usr/lib/*-linux-gnu /usr/lib64 /usr/lib /usr/local/lib "$wheel"/clang/native; do
    for file in "$dir"/libclang.so* "$dir"/libclang-[0-9]*.so*; do
      [ -f "$file" ] && echo "$dir" && return
    done
  done
  return 1
}

wheel_install() {
  [ "${SETUP_INSTALL:-yes}" != no ] || return 1
  echo "Fetching libclang from PyPI into $wheel." >&2
  rm -rf "$wheel.part"
  PIP_ROOT_USER_ACTION=ignore python3 -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: --target "$wheel.part" "libclang==18.1.1" &&
    rm -rf "$wheel" && mv "$wheel.part" "$wheel"
}

# HOME may be missing in a bare CI; bash knows the account's own.
[ -n "${HOME:-}" ] || HOME=$(unset HOME && echo ~)
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
wheel="$HOME/.cache/inbetweenies-libclang"

# 1. Rust. A shell that was open while rustup ran does not have its folder in PATH yet.
command -v cargo >/dev/null || PATH="$PATH:$HOME/.cargo/bin"
command -v cargo >/dev/null || fail "Rust is missing. Install it with rustup (https://rustup.rs), open a new shell and try again."

# 2. A C++ compiler for RocksDB, and the C compiler that Rust links with.
if ! command -v cc >/dev/null || ! { [ -n "${CXX:-}" ] || command -v clang++ || command -v g++ || command -v c++; } >/dev/null; then
  apt_install g++ || fail "A C++ compiler is missing. Install one: on Debian and Ubuntu, apt-get install g++ (clang builds RocksDB faster)."
fi

# 3. libclang, with which RocksDB's C header is turned into Rust.
LIBCLANG_PATH=$(libclang_find || { { apt_install libclang-dev || wheel_install; } && libclang_find; }) ||
  fail "libclang is missing. Install it: on Debian and Ubuntu, apt-get install libclang-dev; or python3 with pip, and try again."
# The library alone (PyPI's wheel, Debian's libclang1) comes without clang's own headers such as stddef.h: where those
# are missing, gcc's do.
BINDGEN_EXTRA_CLANG_ARGS=${BINDGEN_EXTRA_CLANG_ARGS:--idirafter $(cc -print-file-name=include)}

# 4. RocksDB.
. "$root/scripts/rocksdb.sh"

# One target folder for make, CI and developers, outside the checkout: a fresh clone does not start from nothing.
CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$HOME/.cache/inbetweenies-target}

[ "${1:-}" != --exports ] || for name in HOME PATH LIBCLANG_PATH BINDGEN_EXTRA_CLANG_ARGS ROCKSDB_LIB_DIR ROCKSDB_STATIC CARGO_TARGET_DIR; do
  [ -z "${!name:-}" ] || printf 'export %s=%q\n' "$name" "${!name}" >&3
done
[ "${1:-}" = --exports ] || echo "Ready. RocksDB: $ROCKSDB_LIB_DIR. Build output: $CARGO_TARGET_DIR."
