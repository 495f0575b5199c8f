# Checks the training of warp layers by offline Warp-Grad. The digest must be the same on 1 to 4 ranks, with 2
# threads, and after a kill and a resume on another number of ranks. The digest must also be the same if the points of
# the replay buffer are in the scratch file instead of in memory.
set -euo pipefail
. "$WL_SOURCE/tests/harness/training.sh"
. "$WL_SOURCE/tests/fault/mlp_job.sh"

# Writes a configuration with the loss log_ratio. This loss is relative to the loss at the start of the episode. A
# resumed run must restore the loss at the start.
write_replay_config() { # arguments: FILE PRECISION
  cat >"$1" <<C
seed: 3
threads: 1
task: {family: mlp, data: synthetic, widths: [6, 5], batch: 8, warp: [scale, linear]}
rule: {name: adam, rate: 0.01, learn: [rate]}
initialisation: {name: leap, fresh: [dense3.weight, dense3.bias]}
episode: {steps: [8, 13]}
window: {steps: 4, weights: last, loss: log_ratio, batch: fresh, order: second}
outer: {steps: 6, units: 5, every: episode, optimizer: adam, learning_rate: 1e-2}
replay: {capacity: 4, stride: 2, precision: $2, keep: 3, epochs: 2, batch: 7}
checkpoint: {every: 1}
C
}

write_replay_config replay-half.yaml half
write_replay_config replay-single.yaml single
half=$(train_on 1 replay-half.yaml half-1)
expect_same "half precision on 3 ranks" "$half" "$(train_on 3 replay-half.yaml half-3)"

config=replay-single.yaml
expected=$(train_on 1 $config single-1)
[ "$half" != "$expected" ] || fail "half precision makes no difference"
for ranks in 2 3 4; do
  expect_same "$ranks ranks" "$expected" "$(train_on $ranks $config single-$ranks)"
done
expect_same "2 threads" "$expected" "$(train_on 1 $config threads --set threads=2)"
# With the smaller capacity, the replay buffer stores no point in memory. With the larger capacity, the replay buffer
# stores one point of each unit in memory. The other points are read from the scratch file.
mkdir scratch
for capacity in 0.1 1e-3; do
  spill="--set replay.capacity=$capacity --set replay.spill=scratch"
  expect_same "$capacity MiB, the rest on disk" "$expected" "$(train_on 3 $config spilled-$capacity $spill)"
done
[ -z "$(ls scratch)" ] || fail "scratch files were not removed: $(ls scratch)"
expect_same "stopped on 3 ranks, resumed on 2 with the buffer" "$expected" "$(
  train_on 3 $config split $spill --stop-after 3 >/dev/null
  train_on 2 $config split $spill --resume)"
kill_in_the_middle $config killed
steps=$(($(checkpoint_step killed) + 2))
expect_same "killed on 2 ranks, resumed on 1" "$(train_on 1 $config whole --set outer.steps=$steps)" \
  "$(train_on 1 $config killed --resume --set outer.steps=$steps)"

# If the points of the replay buffer cannot be stored, the error message must say how to correct the configuration.
code=0
"$WL_BIN" train $config --set replay.capacity=1e-3 --set output=none 2>error || code=$?
[ $code = 78 ] && grep -q 'replay.spill' error || fail "a buffer without enough memory and without a folder: exit $code, $(cat error)"
code=0
"$WL_BIN" train $config $spill --set replay.spill=nowhere --set output=none 2>error || code=$?
[ $code = 73 ] && grep -q 'nowhere' error || fail "a folder that does not exist: exit code $code, $(cat error)"
