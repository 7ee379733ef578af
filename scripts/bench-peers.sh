# Gets the programs that hubs are measured beside, and says where they are: SYNCTHING and IROH_PAIR. Sourced by
# `make bench-blobs`. Nothing is installed on the machine: Debian's package is unpacked into a folder of its own.
# What cannot be had is left out, with a word why; the bench says what it skipped.

peers="$HOME/.cache/inbetweenies-peers"
mkdir -p "$peers"

if command -v syncthing >/dev/null; then
  export SYNCTHING=$(command -v syncthing)
elif [ -x "$peers/syncthing/usr/bin/syncthing" ] || {
  command -v apt-get >/dev/null && command -v dpkg >/dev/null &&
    (cd "$peers" && apt-get -qq download syncthing 2>/dev/null && dpkg -x syncthing_*.deb syncthing)
}; then
  export SYNCTHING="$peers/syncthing/usr/bin/syncthing"
else
  echo "skipped: Syncthing: it is not installed and apt-get does not bring it"
fi

if CARGO_TARGET_DIR="$peers/iroh-pair" cargo build --release --quiet --manifest-path benches/iroh-pair/Cargo.toml; then
  export IROH_PAIR="$peers/iroh-pair/release/iroh-pair"
else
  echo "skipped: iroh-blobs: it does not build here"
fi
