#!/bin/bash
# Checks that every manual page exists and has a NAME section, and that groff and mandoc report no error.
set -euo pipefail
fail() { echo "FAILED: $*" >&2; exit 1; }
pages=$(dirname "$WL_BIN")/docs

commands=$("$WL_BIN" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p')
[ -n "$commands" ] || fail "warploom --help lists no commands"
expected="warploom.1 warploom.yaml.5"
for command in $commands; do expected+=" warploom-$command.1"; done

lint() { # arguments: FILE
  local checked=0
  if command -v groff >/dev/null; then
    groff -man -ww -Tutf8 -z "$1" 2>lint || fail "groff cannot read $1"
    [ ! -s lint ] || { cat lint >&2; fail "groff warns of $1"; }
    checked=1
  fi
  if command -v mandoc >/dev/null; then
    mandoc -T lint -W warning "$1" >lint || { cat lint >&2; fail "mandoc warns of $1"; }
    checked=1
  fi
  [ "$checked" = 1 ] || { echo "skipped: neither groff nor mandoc here"; exit 77; }
}

for page in $expected; do
  [ -s "$pages/$page" ] || fail "no page $page in $pages"
  lint "$pages/$page"
  grep -q "^.SH NAME" "$pages/$page" || fail "$page has no NAME"
done

# warploom.yaml(5) must describe each key of a resolved configuration.
"$WL_BIN" train "$WL_SOURCE/jobs/quickstart.yaml" --dry-run >resolved.yaml
awk '/^[a-z_]+:$/ { section = $1; sub(/:/, ".", section); next }
     /^[a-z_]+: / { section = "" }
     /^ *[a-z_0-9]+:/ { key = $1; sub(/:/, "", key); print section key }' resolved.yaml >keys
[ "$(wc -l <keys)" -gt 40 ] || fail "only $(wc -l <keys) keys in the resolved configuration"
while read -r key; do
  grep -qxF ".B $key" "$pages/warploom.yaml.5" || fail "warploom.yaml(5) does not explain $key"
done <keys
echo "ok: $(wc -l <keys) keys explained"
echo "ok: $(echo "$expected" | wc -w) pages without warnings"
