#!/bin/bash
# Compares the words of the completion scripts with the words that --help and a resolved configuration contain. The
# test calls the completion function of bash, and types commands into an interactive zsh.
set -euo pipefail
: "${WL_BIN:?run the tests through ctest}" "${WL_PYTHON:?}"
fail() { echo "FAILED: $*" >&2; exit 1; }

mkdir completion
"$WL_BIN" completion bash >completion/warploom
"$WL_BIN" completion zsh >completion/_warploom
cmp completion/warploom "$(dirname "$WL_BIN")/packaging/warploom" || fail "the installed script for bash is another one"
cmp completion/_warploom "$(dirname "$WL_BIN")/packaging/_warploom" || fail "the installed script for zsh is another one"
! command -v shellcheck >/dev/null || shellcheck -s bash completion/warploom
code=0
"$WL_BIN" completion fish 2>refused || code=$?
[ "$code" = 64 ] && grep -q 'accepted are bash and zsh' refused || fail "an unknown shell: exit code $code, $(cat refused)"

compopt() { :; } # compopt would fail, because the test calls the function outside of a completion
. completion/warploom

# Prints the words that bash offers as completions of the last word, each on a separate line.
offers() { # arguments: WORDS...
  COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
  _warploom
  [ ${#COMPREPLY[@]} = 0 ] || printf '%s\n' "${COMPREPLY[@]}" | sort
}
expect() { # arguments: CASE EXPECTED WORDS...
  local got
  got=$(offers "${@:3}")
  [ "$got" = "$2" ] || fail "$1: expected '$2', got '$got'"
}

commands=$("$WL_BIN" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p')
tools=$("$WL_BIN" --help | sed -n '/^Tools in Python:/,/^$/p' | sed 's/^Tools in Python://' | tr -s ' ' '\n' | grep .)
[ "$(wc -w <<<"$commands")" -ge 9 ] && [ "$(wc -w <<<"$tools")" -ge 10 ] || fail "--help lists commands '$commands' and tools '$tools'"
expect "all commands" "$(printf '%s\n' $commands $tools help --help --version | sort)" warploom ""
for tool in $tools; do [ -e "$WL_SOURCE/tools/$tool.py" ] || fail "no tool $tool"; done
expect "a command" train warploom tr
for command in $commands; do
  options=$("$WL_BIN" "$command" --help | sed -n '/^Options:/,/^$/s/^  \(--[a-z0-9-]*\).*/\1/p' | sort)
  expect "the options of $command" "$options" warploom "$command" --
done

# Checks the completion of keys and of their values. The shell bash splits words at '='.
"$WL_BIN" train "$WL_SOURCE/jobs/quickstart.yaml" --dry-run >resolved.yaml
awk '/^[a-z_]+:$/ { section = $1; sub(/:/, ".", section); next } /^[a-z_]+: / { section = "" }
     /^ *[a-z_0-9]+:/ { key = $1; sub(/:/, "", key); print section key }' resolved.yaml | sort >keys
offers warploom train --set "" >offered
missing=$(sed 's/$/=/' keys | sort | comm -23 - offered)
[ -z "$missing" ] || fail "--set does not offer: $missing"
expect "one key" "outer.learning_rate=" warploom train job.yaml --set outer.lea
expect "values of a key" $'false\ntrue' warploom train --set rule.newton_schulz =
expect "the start of a value" $'sinusoid' warploom train --set task.family = si
families=$("$WL_BIN" train --list tasks | awk '/^ *[a-z]/ { print $1 }' | sort)
expect "families" "$families" warploom init --task ""
expect "families after =" "$families" warploom init --task =
expect "shells" $'bash\nzsh' warploom completion ""

# Checks the completion of files and folders.
mkdir runs && touch job.yaml
expect "a configuration" "job.yaml" warploom train jo
expect "a folder" "runs" warploom bench --folder ru
expect "files for a tool" "job.yaml" warploom watch jo
expect "no file for a number" "" warploom train --stop-after ""
echo "ok: bash"

command -v zsh >/dev/null || { echo "skipped: no zsh here: tools/install-dependencies.sh test"; exit 77; }
zsh -n completion/_warploom || fail "zsh cannot parse its script"
"$WL_PYTHON" "$WL_SOURCE/tests/install/complete_zsh.py" "$PWD/completion" "$(dirname "$WL_BIN")"
