#!/bin/bash
# SLURM's own time limit: it warns the job (it looks every 30 s, so up to a minute early), which stops
# with a checkpoint, requeues itself, goes on and ends with the digest of an uninterrupted run.
. "$WL_SOURCE/tests/slurm/job.sh"

# longer than the first warning can take on one third of this machine, and not much longer
steps=$(steps_in 50 train.yaml)
export RUN=$PWD/limited
job=$(submit --nodes=1 --ntasks-per-node=2 --time=1 --signal=B:USR1@45 --output=limited.out \
  "$WARPLOOM_JOBS/chain.sbatch" train.yaml --set outer.steps="$steps" --set checkpoint.every=0)
wait_for 20 "job $job to run" is_state "$job" RUNNING
wait_for 75 "SLURM's warning ahead of the time limit" is_state "$job" PENDING
grep -q '^signal USR1' limited.out || { cat limited.out >&2; fail "the job ended without a warning"; }
expect_same "meta-steps to repeat" 0 "$(steps_beyond_checkpoint "$RUN")"
echo "warned and requeued at step $(checkpoint_step "$RUN") of $steps"

start_now "$job" TimeLimit=10
wait_completed "$job" limited.out 150
expected=$(straight_digest train.yaml "$steps" straight)
expect_same "digest across the time limit" "$expected" "$(digest_line limited.out)"
