# Checks that the digest of a training of the joint system is the same on 1 to 4 ranks and with 2 threads. The digest
# must also be the same after a kill, and after a stop and a resume on another number of ranks. In the joint system,
# the input of the LSTM is a gradient that depends on warp layers and that a preconditioner has transformed. The
# initial parameters theta_0 are learned. Each group of meta-parameters has a separate learning rate, clip bound and
# range of meta-steps. The test test_replay.sh checks offline Warp-Grad.
set -euo pipefail
. "$WL_SOURCE/tests/harness/training.sh"
. "$WL_SOURCE/tests/fault/mlp_job.sh"

cat >joint.yaml <<'C'
seed: 9
threads: 1
task: {family: sinusoid, shots: 4, widths: [7, 6], activation: tanh, warp: [linear, residual]}
rule: {name: lstm, hidden: [6], preprocessing: log, output_scale: 0.1, gradient_scale: 1.0, momentum: 0, through_inputs: true}
precondition: {name: kronecker}
initialisation: {name: maml}
episode: {steps: 3}
window: {steps: 3, weights: last, batch: fresh, order: second}
outer: {steps: 12, units: 5, every: episode, optimizer: adam, learning_rate: 3e-3, schedule: cosine}
groups:
  - {group: rule, learning_rate: 1e-2, clip_norm: 1}
  - {group: warp, from_step: 3}
  - {group: precondition, learning_rate: 1e-3, until_step: 8}
  - {group: initialisation, optimizer: sgd, clip_norm: 0.5}
checkpoint: {every: 3}
C
expected=$(train_on 1 joint.yaml one)
expect_same "on 2 ranks" "$expected" "$(train_on 2 joint.yaml two)"
expect_same "on 3 ranks with 2 threads" "$expected" "$(train_on 3 joint.yaml three --set threads=2)"
expect_same "on 4 ranks" "$expected" "$(train_on 4 joint.yaml four)"
train_on 3 joint.yaml split --stop-after 4 >/dev/null
expect_same "stopped on 3 ranks, ended on 2" "$expected" "$(train_on 2 joint.yaml split --resume)"

# The run is killed at an arbitrary meta-step. The learning rate is constant, because a cosine schedule would depend
# on the total number of meta-steps.
kill_in_the_middle joint.yaml killed --set outer.schedule=constant
steps=$(($(checkpoint_step killed) + 2))
to_there="--set outer.schedule=constant --set outer.steps=$steps"
expect_same "killed on 2 ranks, ended on 3" "$(train_on 1 joint.yaml whole $to_there)" \
  "$(train_on 3 joint.yaml killed --resume $to_there)"

# Tests the preconditioner GAP on clipped gradients. The rule has learned scalars for each inner step and each tensor,
# and all tasks share the weights of the last layer. GAP requires singular vectors, which LAPACK computes.
cat >gap.yaml <<'C'
seed: 4
threads: 1
task: {family: sinusoid, frequency: varying, shots: 5, widths: [12, 9], activation: tanh}
rule: {name: pamela, rate: 0.02, learn: [rate, decay, skip], learn_per: step_tensor}
precondition: {name: gap, noise: 0.2}
initialisation: {name: maml, shared: [dense3.weight]}
episode: {steps: 6, clip_norm: 3}
window: {steps: 6, weights: last, batch: fresh, order: second}
outer: {steps: 8, units: 5, every: episode, optimizer: adam, learning_rate: 1e-2}
checkpoint: {every: 3}
C
expected=$(train_on 1 gap.yaml gap)
expect_same "GAP on 3 ranks with 2 threads" "$expected" "$(train_on 3 gap.yaml gap3 --set threads=2)"
train_on 2 gap.yaml gapsplit --stop-after 4 >/dev/null
expect_same "GAP stopped on 2 ranks, ended on 1" "$expected" "$(train_on 1 gap.yaml gapsplit --resume)"

# With gradient skip connections, a unit also stores its last preconditioned gradient. The run stops in the middle of
# an episode.
cat >skip.yaml <<'C'
seed: 4
threads: 1
task: {family: quadratic, dimension: 4, batch: 4}
rule: {name: momentum, rate: 0.01, learn: [rate]}
precondition: {name: scalar, per: step_tensor, learn_skip: true, initial_skip: 0.5}
episode: {steps: 9}
window: {steps: 3, order: second}
outer: {steps: 8, units: 3, optimizer: adam, learning_rate: 1e-2}
checkpoint: {every: 3}
C
expected=$(train_on 1 skip.yaml skip)
train_on 2 skip.yaml skipsplit --stop-after 4 >/dev/null
expect_same "skip connections stopped on 2 ranks, ended on 1" "$expected" "$(train_on 1 skip.yaml skipsplit --resume)"
