#!/bin/bash
# jobs/submit-seeds.sh: an array over seeds, one of them interrupted, and the job that puts them
# side by side once all are done.
. "$WL_SOURCE/tests/slurm/job.sh"

steps=$(steps_in 4 train.yaml)
"$WARPLOOM_JOBS/submit-seeds.sh" --seeds 1-3 --ntasks-per-node=1 --time=10 -- \
  train.yaml --set outer.steps="$steps" --set checkpoint.every="$((steps / 4 + 1))" >submitted
cat submitted
array=$(sed -n 's/.*: job \([0-9]*\); aggregate: job.*/\1/p' submitted)
aggregate=$(sed -n 's/.*aggregate: job \([0-9]*\),.*/\1/p' submitted)
RUN=runs/seeds-$array

wait_for 60 "a checkpoint of seed 2" has_checkpoint_after "$RUN/seed-2" -1
scancel --signal=USR1 --batch "${array}_2"
wait_for 30 "task 2 to be requeued" is_state "${array}_2" PENDING
expect_same "the aggregate while a seed is unfinished" PENDING "$(job_state "$aggregate")"
start_now "${array}_2"
wait_completed "$aggregate" "aggregate-$aggregate.out" 120

for seed in 1 2 3; do
  expected=$(straight_digest train.yaml "$steps" "straight-$seed" --set seed="$seed")
  expect_same "digest of seed $seed" "$expected" "$(digest_line "seeds-${array}_$seed.out")"
done
[ -s "$RUN/comparison.txt" ] || fail "no $RUN/comparison.txt"
[ -s "$RUN/training.png" ] || fail "no $RUN/training.png"
