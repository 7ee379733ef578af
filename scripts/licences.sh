#!/usr/bin/env bash
# Refuses a dependency whose licence cannot be met with those that deny.toml allows (no GPL, no AGPL), with cargo alone;
# `make deny` says more where cargo-deny is installed. Arguments go to cargo (--locked).
set -euo pipefail
cd "$(dirname "$0")/.."

allowed=$(sed -n '/^allow = \[/,/^\]/s/.*"\(.*\)".*/ \1 /p' deny.toml)
[ -n "$allowed" ] || { echo "No list of allowed licences found in deny.toml."; exit 1; }

# An SPDX expression becomes arithmetic: 1 for an allowed licence, 0 for another one. "WITH …" only adds permissions,
# and "/" is the old way to write OR.
met() { # expression
  local word sum=
  for word in $(sed 's| WITH [^ )]*||g; s|/| OR |g; s|[()]| & |g' <<<"$1"); do
    case "$word" in
      OR) sum+='||' ;;
      AND) sum+='&&' ;;
      '(' | ')') sum+=$word ;;
      *) case "$allowed" in *" $word "*) sum+=1 ;; *) sum+=0 ;; esac ;;
    esac
  done
  [ -n "$sum" ] && ((sum))
}

list=$(cargo tree --workspace --all-features --prefix none --format '{l}|{p}' "$@" | sed 's/ (\*)$//; /^$/d' | sort -u)
refused=0
while IFS='|' read -r licence package; do
  met "$licence" || { echo "Licence not allowed: $package: ${licence:-none named}"; refused=1; }
done <<<"$list"
[ "$refused" = 0 ] && echo "The licences of $(wc -l <<<"$list") packages are among those that deny.toml allows."
