#!/bin/bash
# The rule and the family of CONTRIBUTING.md's example behave like those that come with Warploom: they
# are listed, their meta-gradients are right, and two ranks train them to the bits of one.
set -euo pipefail
: "${WL_EXAMPLE:?run the tests through ctest}" "${WL_SOURCE:?}" "${WL_MPIEXEC:?}"
fail() { echo "FAILED: $*" >&2; exit 1; }
config=$WL_SOURCE/tests/example/example.yaml

lists() { # WHAT PATTERN OPTIONS...
  local what=$1 pattern=$2
  shift 2
  "$WL_EXAMPLE" train "$@" >list.out
  grep -q "$pattern" list.out || fail "$what: not in the output of warploom train $*"
}
lists "the rule" '^soft_clip ' --list rules
lists "the family" '^welsch ' --list tasks
lists "a key of the family" 'task\.outliers' --help

for order in first second; do
  "${WL_EXAMPLE}64" check "$config" --set window.order=$order >check.out || { cat check.out >&2; fail "check, $order order"; }
  for block in rule.rate rule.bound; do
    grep "$block" check.out | grep -q ' ok$' || { cat check.out >&2; fail "check does not pass on $block"; }
  done
done

"$WL_EXAMPLE" train "$config" --set output=one --quiet >one.out
"$WL_MPIEXEC" -n 2 "$WL_EXAMPLE" train "$config" --set output=two --quiet >two.out
grep -q '^digest [0-9a-f]* step 40$' one.out || fail "no digest: $(cat one.out)"
cmp one.out two.out || fail "one rank and two give different digests: $(cat one.out two.out)"

# The mean loss of the last meta-steps is below that of the first.
awk -F'"meta_loss":' '{ split($2, v, /[,}]/); if (NR <= 5) a += v[1]; if (NR > 35) b += v[1] }
  END { print "ok: meta-loss " a / 5 " to " b / 5; exit !(b < 0.9 * a) }' one/metrics.jsonl ||
  fail "training did not lower the meta-loss by a tenth"
