#!/usr/bin/env bash
# Stands in for the C++ compiler while RocksDB is built: the crate's build script always starts with the first of some
# 340 files, so this skips those that an interrupted run had finished with the very same command.
set -u
object=
for ((i = 1; i < $#; i++)); do
  [ "${!i}" = -o ] && j=$((i + 1)) && object=${!j}
done

# Only RocksDB's own files; the probes for the compiler's kind and flags run as they are.
case "${!#}" in
  rocksdb/*.cc | build_version.cc) ;;
  *) exec "$ROCKSDB_CXX" "$@" ;;
esac

command="$ROCKSDB_CXX $*"
[ -s "$object" ] && [ "$(cat "$object.done" 2>/dev/null)" = "$command" ] && exit 0
rm -f "$object.done"
"$ROCKSDB_CXX" "$@" || exit
printf '%s\n' "$command" > "$object.done"
