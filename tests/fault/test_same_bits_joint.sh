# The same bits from the joint system (LSTM on warped, preconditioned gradients, learned theta_0, groups with
# rates, clips and spans of their own) and from an offline Warp-Grad job: on 1 to 4 ranks, with 2 threads,
# stopped and resumed on other ranks, and killed.
set -euo pipefail
. "$WL_SOURCE/tests/harness/training.sh"
. "$WL_SOURCE/tests/fault/mlp_job.sh"

cat >joint.yaml <<'C'
seed: 9
threads: 1
task: {family: sinusoid, shots: 4, widths: [7, 6], activation: tanh, warp: [linear, residual]}
rule: {name: lstm, hidden: [6], preprocessing: log, output_scale: 0.1}
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
cat >offline.yaml <<'C'
seed: 9
threads: 1
task: {family: sinusoid, shots: 4, widths: [7, 6], activation: tanh, warp: [linear, residual]}
rule: {name: sgd, rate: 0.05}
initialisation: {name: leap}
episode: {steps: 6}
window: {steps: 1, weights: last, batch: fresh, order: second}
outer: {steps: 10, units: 5, every: episode, optimizer: adam, learning_rate: 3e-3}
replay: {capacity: 4, batch: 3, epochs: 2, keep: 2}
checkpoint: {every: 2}
C

for job in joint offline; do
  expected=$(train_on 1 $job.yaml $job-1)
  for ranks in 2 3 4; do
    expect_same "$job on $ranks ranks" "$expected" "$(train_on $ranks $job.yaml $job-$ranks)"
  done
  expect_same "$job with 2 threads on 2 ranks" "$expected" "$(train_on 2 $job.yaml $job-threads --set threads=2)"
  train_on 3 $job.yaml $job-split --stop-after 4 >/dev/null
  train_on 2 $job.yaml $job-split --resume --stop-after 8 >/dev/null
  expect_same "$job stopped on 3 ranks, on 2, ended on 4" "$expected" "$(train_on 4 $job.yaml $job-split --resume)"
  "$WL_BIN" train $job.yaml --quiet --set output=$job-killed >/dev/null 2>&1 &
  victim=$!
  for _ in $(seq 600); do
    [ "$(checkpoint_step $job-killed)" -ge 2 ] && break
    sleep 0.01
  done
  kill -KILL $victim 2>/dev/null || true # it may have ended
  wait $victim 2>/dev/null || true
  expect_same "$job killed, ended on 2 ranks" "$expected" "$(train_on 2 $job.yaml $job-killed --resume)"
done
