#!/bin/bash
# A rule whose state has rows and columns, on a mixture of tasks of different shapes: the same bits on any number of ranks
# and threads, and when a run stops within an episode and resumes on another number of ranks.
set -euo pipefail
: "${WL_BIN:?run the tests through ctest}" "${WL_MPIEXEC:?}"
fail() { echo "FAILED: $*" >&2; exit 1; }

cat >job.yaml <<'C'
seed: 3
threads: 1
task:
  - {family: mlp, data: synthetic, widths: [6, 5], batch: 8, activation: tanh}
  - {family: quadratic, dimension: 4, batch: 8}
rule: {name: small_fc, step_scale: 0.1}
episode: {steps: 12}
window: {steps: 4}
outer: {steps: 6, units: 5, learning_rate: 1e-2}
checkpoint: {every: 1}
C
run() { # RANKS NAME OPTIONS...
  local ranks=$1 name=$2; shift 2
  timeout 60 "$WL_MPIEXEC" -n "$ranks" "$WL_BIN" train job.yaml --quiet --set "output=$name" "$@" | grep ^digest
}
one=$(run 1 one)
[ "$(run 3 three)" = "$one" ] || fail "three ranks differ from one"
[ "$(run 1 threads --set threads=2)" = "$one" ] || fail "two threads differ from one"
run 1 stopped --stop-after 4 >/dev/null || true # exit code 75
[ "$(run 2 stopped --resume)" = "$one" ] || fail "a resumed run differs"
[ "$(run 1 other --set seed=4)" != "$one" ] || fail "the digest does not depend on the seed"
echo "$one"
