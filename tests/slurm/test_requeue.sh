#!/bin/bash
# Checks jobs/chain.sbatch with three kinds of interruption: the warning signal of the job, a requeue by an
# administrator, and preemption. The digest must equal that of an uninterrupted run.
. "$WL_SOURCE/tests/slurm/job.sh"

every=$(steps_in 1 train.yaml)
echo "a checkpoint every $every meta-steps"

export RUN=$PWD/chain
job=$(submit --nodes=1 --ntasks-per-node=2 --time=10 --output=chain.out "$WARPLOOM_JOBS/chain.sbatch" \
  train.yaml --set checkpoint.every="$every")

interrupt() { # arguments: CASE FROM_STEP COMMAND...
  local what=$1 from=$2 start
  shift 2
  wait_for 90 "a checkpoint after step $from" has_checkpoint_after "$RUN" "$from"
  start=$(seconds_now)
  "$@"
  wait_for 30 "job $job to be requeued after $what" is_state "$job" PENDING
  echo "$what: back in the queue after $(seconds_since "$start") s, at step $(checkpoint_step "$RUN")," \
    "$(steps_beyond_checkpoint "$RUN") meta-steps to repeat"
  expect_below "meta-steps to repeat after $what" "$every" "$(steps_beyond_checkpoint "$RUN")"
}

interrupt "the warning signal" -1 scancel --signal=USR1 --batch "$job"
expect_same "meta-steps to repeat after a checkpoint on USR1" 0 "$(steps_beyond_checkpoint "$RUN")"
start_now "$job"
interrupt "scontrol requeue" "$(checkpoint_step "$RUN")" scontrol requeue "$job"
start_now "$job"
interrupt "preemption" "$(checkpoint_step "$RUN")" \
  sbatch --partition=urgent --nodes=3 --ntasks-per-node=2 --time=1 --output=urgent.out --wrap 'sleep 1'
steps=$(($(checkpoint_step "$RUN") + every))
end_after "$steps"
start_now "$job"
wait_completed "$job" chain.out 120

expected=$(straight_digest train.yaml "$steps" straight)
expect_same "digest after three interruptions" "$expected" "$(digest_line chain.out)"
expect_same "restarts" 3 "$(scontrol show job "$job" | grep -o 'Restarts=[0-9]*' | cut -d= -f2)"
grep -q "^results: " chain.out || fail "the job does not say where its results are"
