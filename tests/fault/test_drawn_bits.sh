#!/bin/bash
# Checks trainings in which each episode draws new shapes, activations, scales and noise of the tasks. The digests must
# be equal on 1, 2 and 3 ranks, and after a stop and a resume on another number of ranks. Drawing other values must
# result in a different digest.
set -euo pipefail
. "$WL_SOURCE/tests/harness/training.sh"
. "$WL_SOURCE/tests/fault/mlp_job.sh"

write_drawn_config drawn.yaml
expected=$(train_on 1 drawn.yaml one)
for ranks in 2 3; do
  expect_same "drawn tasks on $ranks ranks" "$expected" "$(train_on $ranks drawn.yaml on-$ranks)"
done
train_on 3 drawn.yaml split --stop-after 5 >/dev/null
expect_same "drawn tasks resumed on 2 ranks" "$expected" "$(train_on 2 drawn.yaml split --resume)"

# Here, the estimator nres perturbs phi, and the units begin their episodes at different meta-steps. When a unit
# begins an episode, the unit draws another task family and other values.
forward=(--set 'window={steps: 10}' --set 'estimator={name: nres, pairs: 2, sigma: 0.01, loss: mean}' --set episode.stagger=true)
expected_forward=$(train_on 1 drawn.yaml forward "${forward[@]}")
expect_same "drawn tasks by nres on 3 ranks" "$expected_forward" "$(train_on 3 drawn.yaml forward-3 "${forward[@]}")"
train_on 2 drawn.yaml forward-split "${forward[@]}" --stop-after 5 >/dev/null
expect_same "drawn tasks by nres, resumed" "$expected_forward" "$(train_on 1 drawn.yaml forward-split "${forward[@]}" --resume)"

changed=$(train_on 1 drawn.yaml changed --set 'task.0.activation={one_of: [relu, tanh, elu]}')
[ "$changed" != "$expected" ] || fail "another list of activations changed nothing"
code=0
"$WL_BIN" train drawn.yaml --quiet --set output=one --resume --set 'task.0.widths={one_of: [[4], [5, 4]]}' 2>refused || code=$?
[ $code = 78 ] && grep -q 'task.0.widths' refused || fail "a resume with other draws ended with $code: $(cat refused)"
