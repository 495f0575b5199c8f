# Checks that the digests are equal on 1, 2, 3, 4 and 7 ranks and with 1 and 2 threads. A stop in the middle of an
# episode and a resume on another number of ranks must not change the digest.
set -euo pipefail
. "$WL_SOURCE/tests/harness/training.sh"
. "$WL_SOURCE/tests/fault/mlp_job.sh"

write_mlp_config mlp.yaml
write_mixture_config mixture.yaml

for job in mlp mixture; do
  expected=$(train_on 1 $job.yaml $job-1)
  for ranks in 2 3 4 7; do
    expect_same "$job on $ranks ranks" "$expected" "$(train_on $ranks $job.yaml $job-$ranks)"
  done
  expect_same "$job with 2 threads" "$expected" "$(train_on 1 $job.yaml $job-threads --set threads=2)"
  expect_same "$job with 2 threads on 2 ranks" "$expected" "$(train_on 2 $job.yaml $job-both --set threads=2)"
  train_on 3 $job.yaml $job-split --stop-after 5 >/dev/null
  train_on 2 $job.yaml $job-split --resume --stop-after 7 >/dev/null
  expect_same "$job stopped on 3 ranks, on 2, ended on 4" "$expected" "$(train_on 4 $job.yaml $job-split --resume)"
done

# The storage policy of the window must not change the result. A window that is recomputed from snapshots must have
# the same meta-gradient as a window whose activations are stored.
long="--set episode.steps=100 --set window.steps=100 --set outer.steps=3"
expected=$(train_on 1 mlp.yaml whole $long --set window.storage=activations)
expect_same "window of 100 steps within 3.5 MiB" "$expected" "$(train_on 2 mlp.yaml cut $long --set window.memory=3.5)"
expect_same "window of 100 steps recomputed" "$expected" "$(train_on 2 mlp.yaml recompute $long --set window.storage=recompute)"

# In second order, the storage policy of the window must not change the result either. With the storage `states`, a
# second-order window overwrites the unit's state while the window is computed.
exact="--set episode.steps=50 --set window.steps=25 --set window.order=second --set outer.steps=4"
expected=$(train_on 1 mlp.yaml exact $exact --set window.storage=recompute)
for storage in activations states; do
  expect_same "second order with $storage" "$expected" "$(train_on 2 mlp.yaml exact-$storage $exact --set window.storage=$storage)"
done
train_on 3 mlp.yaml exact-split $exact --set window.storage=states --stop-after 1 >/dev/null
expect_same "second order with states, resumed in an episode to recompute" "$expected" \
  "$(train_on 1 mlp.yaml exact-split $exact --set window.storage=recompute --resume)"

# OPENBLAS_NUM_THREADS allows BLAS to use two threads, and BLAS would use two threads for products of this size.
# Warploom must make BLAS use only one thread.
large="--set task.widths=[64] --set task.batch=512 --set outer.steps=2 --set outer.units=1"
expected=$(OPENBLAS_NUM_THREADS=1 train_on 1 mlp.yaml blas-1 $large)
expect_same "two threads offered to BLAS" "$expected" "$(OPENBLAS_NUM_THREADS=2 train_on 1 mlp.yaml blas-2 $large)"
