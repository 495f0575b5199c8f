#!/bin/bash
# Submits jobs/smoke.sbatch as a user does, on two nodes, once with srun and once with mpirun. The job must run the
# commands in WARPLOOM_SETUP, and it must report errors.
. "$WL_SOURCE/tests/slurm/job.sh"
set -- train.yaml --set episode.steps=40 --set outer.units=4

export WARPLOOM_SETUP='echo "setup ran on $(hostname)"'
sbatch --wait --nodes=2 --ntasks-per-node=2 --output=srun.out "$WARPLOOM_JOBS/smoke.sbatch" "$@" >/dev/null ||
  { cat srun.out >&2; fail "smoke.sbatch under srun"; }
grep -q 'launcher: srun --mpi=pmix' srun.out || fail "srun --mpi=pmix was not chosen"
grep -q 'setup ran on node' srun.out || fail "WARPLOOM_SETUP was not run on the node"
expect_same "last line under srun" "smoke: ok" "$(tail -n 1 srun.out)"

WARPLOOM_LAUNCH=mpirun sbatch --wait --nodes=2 --ntasks-per-node=2 --output=mpirun.out \
  "$WARPLOOM_JOBS/smoke.sbatch" "$@" >/dev/null || { cat mpirun.out >&2; fail "smoke.sbatch under mpirun"; }
expect_same "last line under mpirun" "smoke: ok" "$(tail -n 1 mpirun.out)"
expect_same "digest under both launchers" "$(grep '^straight' srun.out)" "$(grep '^straight' mpirun.out)"

# the job must end with an error if a command of the setup fails or if the configuration is missing
code=0
WARPLOOM_SETUP=false sbatch --wait --ntasks-per-node=2 --output=setup.out "$WARPLOOM_JOBS/smoke.sbatch" "$@" >/dev/null || code=$?
expect_same "exit code after a failed setup" 78 "$code"
grep -q 'WARPLOOM_SETUP failed' setup.out || fail "a failed setup was not named"
code=0
sbatch --wait --ntasks-per-node=2 --output=absent.out "$WARPLOOM_JOBS/single.sbatch" absent.yaml >/dev/null || code=$?
expect_same "exit code without a configuration" 66 "$code"
grep -q "no configuration 'absent.yaml'" absent.out || fail "the absent configuration was not named"

# if a rank is killed, the job must end immediately with a message, and the checkpoints of the run must remain valid
export RUN=$PWD/died
job=$(submit --nodes=2 --ntasks-per-node=2 --time=5 --output=died.out "$WARPLOOM_JOBS/single.sbatch" train.yaml --set checkpoint.every=2)
wait_for 60 "a checkpoint" has_checkpoint_after "$RUN" 0
start=$(seconds_now)
kill -KILL "$(pgrep -f "^$WL_BIN train" | tail -n 1)"
wait_for 60 "the end of job $job" job_ended "$job"
expect_below "seconds until a job ends that lost a rank under srun" 30 "$(seconds_since "$start")"
grep -q 'task .*Killed' died.out || { cat died.out >&2; fail "the lost rank is not named"; }
grep -q 'ended with code 137: .* is stored; continue with' died.out || { cat died.out >&2; fail "the job does not say how to continue"; }
"$WL_BIN" info "$RUN" --verify >/dev/null || fail "no valid checkpoint after the loss of a rank"
