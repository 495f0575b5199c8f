#!/bin/bash
# Checks jobs/submit-seeds.sh. The script submits a job array with one run for each seed, and the test interrupts each
# run once. After all runs have ended, another job must compare the runs.
. "$WL_SOURCE/tests/slurm/job.sh"

every=$(steps_in 1 train.yaml)
"$WARPLOOM_JOBS/submit-seeds.sh" --seeds 1-3 --ntasks-per-node=1 --time=10 -- \
  train.yaml --set checkpoint.every="$every" >submitted
cat submitted
array=$(sed -n 's/.*: job \([0-9]*\); aggregate: job.*/\1/p' submitted)
aggregate=$(sed -n 's/.*aggregate: job \([0-9]*\),.*/\1/p' submitted)
RUN=runs/seeds-$array

for seed in 1 2 3; do wait_for 90 "a checkpoint of seed $seed" has_checkpoint_after "$RUN/seed-$seed" -1; done
for seed in 1 2 3; do scancel --signal=USR1 --batch "${array}_$seed"; done
steps=0
for seed in 1 2 3; do
  wait_for 60 "task $seed to be requeued" is_state "${array}_$seed" PENDING
  done_here=$(checkpoint_step "$RUN/seed-$seed")
  steps=$((done_here > steps ? done_here : steps))
done
expect_same "the aggregate while seeds are unfinished" PENDING "$(job_state "$aggregate")"
steps=$((steps + every))
end_after "$steps"
for seed in 1 2 3; do start_now "${array}_$seed"; done
wait_completed "$aggregate" "aggregate-$aggregate.out" 180

for seed in 1 2 3; do
  expected=$(straight_digest train.yaml "$steps" "straight-$seed" --set seed="$seed")
  expect_same "digest of seed $seed" "$expected" "$(digest_line "seeds-${array}_$seed.out")"
done
[ -s "$RUN/comparison.txt" ] || fail "no $RUN/comparison.txt"
[ -s "$RUN/training.png" ] || fail "no $RUN/training.png"
