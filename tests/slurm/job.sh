# Defines functions for the SLURM tests. A test sources this file first, and the file then restarts the test inside
# the sandbox.
[ -n "${SLURM_CONF:-}" ] || exec "$WL_SOURCE/tests/slurm/sandbox.sh" bash "$0"
. "$WL_SOURCE/tests/harness/training.sh"

export WARPLOOM=$WL_BIN WARPLOOM_JOBS=$WL_SOURCE/jobs WARPLOOM_PYTHON=${WL_PYTHON:-python3}
write_config train.yaml

submit() { sbatch --parsable "$@"; }
job_state() { squeue -h -t all -j "$1" -o %T 2>/dev/null | head -n 1; }
is_state() { [ "$(job_state "$1")" = "$2" ]; }
job_ended() { case $(job_state "$1") in PENDING | RUNNING | COMPLETING | CONFIGURING | SUSPENDED) false ;; esac }

show_job() { # arguments: ID OUTPUT
  scontrol show job "$1" | grep -E 'JobState|RunTime|Restarts|ExitCode' >&2 || true
  cat "$2" >&2 || true
}

wait_completed() { # arguments: ID OUTPUT SECONDS
  wait_for "$3" "the end of job $1" job_ended "$1"
  is_state "$1" COMPLETED || { show_job "$1" "$2"; fail "job $1 ended as $(job_state "$1")"; }
}

# Sets the number of meta-steps in train.yaml. Before this call, the number of meta-steps is so large that the
# training cannot end before it is interrupted, even on a fast machine. Jobs that start after this call use the new
# number.
end_after() { sed -i "s/steps: 1000000,/steps: $1,/" train.yaml; } # arguments: STEPS

# SLURM would start a requeued job only after two minutes of waiting. This function makes a requeued job start
# immediately. The function first waits two seconds. The node distinguishes the starts of a job only by whole seconds,
# and it would reject a start within the second of the requeue.
start_now() { # arguments: ID [UPDATES...]
  local job=$1
  shift
  wait_for 30 "job $job to be pending" is_state "$job" PENDING
  sleep 2
  scontrol update JobId="$job" "$@" StartTime=now
}
