#!/bin/bash
# Checks update rules that use the shapes of tensors. The tasks form a mixture and have different shapes. The
# estimators are back-propagation and a forward-only estimator. The digest must be the same on any number of ranks and
# threads, and after a stop within an episode and a resume on another number of ranks.
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
run() { # arguments: RANKS NAME OPTIONS...
  local ranks=$1 name=$2; shift 2
  timeout 60 "$WL_MPIEXEC" -n "$ranks" "$WL_BIN" train job.yaml --quiet --set "output=$name" "$@" | grep ^digest
}
check() { # arguments: NAME OPTIONS...
  local name=$1 one; shift
  one=$(run 1 "$name" "$@")
  [ "$(run 3 "$name-three" "$@")" = "$one" ] || fail "$name: three ranks differ from one"
  [ "$(run 1 "$name-threads" "$@" --set threads=2)" = "$one" ] || fail "$name: two threads differ from one"
  run 1 "$name-stopped" "$@" --stop-after 4 >/dev/null || true # exit code 75
  [ "$(run 2 "$name-stopped" --resume)" = "$one" ] || fail "$name: a resumed run differs"
  [ "$(run 1 "$name-other" "$@" --set seed=4)" != "$one" ] || fail "$name: the digest does not depend on the seed"
  echo "$name $one"
}
check back-propagated
sed -i 's/^rule: .*/rule: {name: controller}\nestimator: {name: nres, pairs: 2}/; s/^episode: .*/episode: {steps: [9, 12], stagger: true}/' job.yaml
check forward-only
sed -i 's/^rule: .*/rule: {name: lbfgs, memory: 3}/' job.yaml
check quasi-newton
