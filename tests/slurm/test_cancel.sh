#!/bin/bash
# Checks that a run loses only the meta-steps after its last checkpoint if scancel ends its job. The run resumes in a
# second job, which has more nodes and ranks and uses a different launcher. The run must end with the digest of an
# uninterrupted run. After scancel, SLURM must not start the job again.
. "$WL_SOURCE/tests/slurm/job.sh"

every=$(steps_in 1 train.yaml)
set -- train.yaml --set checkpoint.every="$every"
export RUN=$PWD/cancelled

job=$(submit --nodes=1 --ntasks-per-node=2 --output=first.out "$WARPLOOM_JOBS/chain.sbatch" "$@")
wait_for 90 "a checkpoint" has_checkpoint_after "$RUN" -1
start=$(seconds_now)
scancel "$job"
wait_for 30 "the end of job $job" job_ended "$job"
echo "scancel: ended after $(seconds_since "$start") s at step $(checkpoint_step "$RUN")," \
  "$(steps_beyond_checkpoint "$RUN") meta-steps to repeat"
expect_same "state of the cancelled job" CANCELLED "$(job_state "$job")"
expect_below "meta-steps to repeat" "$every" "$(steps_beyond_checkpoint "$RUN")"

job=$(submit --nodes=3 --ntasks-per-node=2 --output=second.out "$WARPLOOM_JOBS/multi-node.sbatch" "$@")
wait_for 90 "a further checkpoint" has_checkpoint_after "$RUN" "$(checkpoint_step "$RUN")"
scancel "$job"
wait_for 30 "the end of job $job" job_ended "$job"

steps=$(($(checkpoint_step "$RUN") + every))
end_after "$steps"
job=$(WARPLOOM_LAUNCH=mpirun submit --nodes=2 --ntasks-per-node=2 --output=third.out "$WARPLOOM_JOBS/multi-node.sbatch" "$@")
wait_completed "$job" third.out 120
expected=$(straight_digest train.yaml "$steps" straight)
expect_same "digest after two cancelled jobs, on 2, 6 and 4 ranks" "$expected" "$(digest_line third.out)"
