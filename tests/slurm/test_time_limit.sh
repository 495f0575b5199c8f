#!/bin/bash
# Checks a job that reaches its time limit under SLURM. SLURM checks time limits only every 30 s, so it may send its
# warning signal up to a minute early. The job must then save a checkpoint, requeue itself and resume. The job must
# end with the digest of an uninterrupted run.
. "$WL_SOURCE/tests/slurm/job.sh"

# The configuration has many more meta-steps than the job can compute before its time limit. After the warning signal,
# the test reduces the number of meta-steps, so that the resumed job ends soon.
export RUN=$PWD/limited
job=$(submit --nodes=1 --ntasks-per-node=2 --time=1 --signal=B:USR1@45 --output=limited.out \
  "$WARPLOOM_JOBS/chain.sbatch" train.yaml --set checkpoint.every=0)
wait_for 60 "job $job to run" is_state "$job" RUNNING
start=$(seconds_now)
wait_for 120 "SLURM's warning ahead of the time limit" is_state "$job" PENDING
grep -q '^signal USR1' limited.out || { cat limited.out >&2; fail "the job ended without a warning"; }
stopped=$(checkpoint_step "$RUN")
echo "warned and requeued after $(seconds_since "$start") s at step $stopped"
expect_same "meta-steps to repeat" 0 "$(steps_beyond_checkpoint "$RUN")"

steps=$((stopped + stopped / 8 + 1))
end_after "$steps"
start_now "$job" TimeLimit=10
wait_completed "$job" limited.out 120
expect_same "restarts" 1 "$(scontrol show job "$job" | grep -o 'Restarts=[0-9]*' | cut -d= -f2)"
expected=$(straight_digest train.yaml "$steps" straight)
expect_same "digest across the time limit" "$expected" "$(digest_line limited.out)"
