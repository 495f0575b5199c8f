#!/bin/bash
# Checks jobs/sweep.sh under SLURM. The script submits a job array with one run for each combination of settings.
# After all runs have ended, another job must compare the runs.
. "$WL_SOURCE/tests/slurm/job.sh"

sed 's/steps: 1000000, units: 6/steps: 6, units: 2/; s/dimension: 10/dimension: 4/; s/episode: .*/episode: {steps: 20}/' train.yaml >job.yaml
"$WARPLOOM_JOBS/sweep.sh" job.yaml --over outer.learning_rate=1e-4,3e-3 --over seed=1..2 -- --ntasks-per-node=1 --time=10 >submitted
cat submitted
array=$(sed -n 's/^4 runs: job \([0-9]*\); comparison: job .*/\1/p' submitted)
aggregate=$(sed -n 's/.*comparison: job \([0-9]*\),.*/\1/p' submitted)
run=$(sed -n 's|^results: \(.*\)/\*/, then .*|\1|p' submitted)
wait_completed "$aggregate" "aggregate-$aggregate.out" 180

task=0
for rate in 1e-4 3e-3; do
  for seed in 1 2; do
    task=$((task + 1))
    expected=$(straight_digest job.yaml 6 "straight-$task" --set "seed=$seed" --set "outer.learning_rate=$rate")
    expect_same "digest of run $task" "$expected" "$(digest_line "sweep-${array}_$task.out")"
  done
done
[ "$(grep -c 'learned (lstm)' "$run/comparison.txt")" = 1 ] || fail "no comparison: $(cat "$run/comparison.txt")"
[ -s "$run/training.png" ] || fail "no $run/training.png"
