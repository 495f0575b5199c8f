# What the SLURM tests share: they source it first, and from then on run inside the sandbox.
[ -n "${SLURM_CONF:-}" ] || exec "$WL_SOURCE/tests/slurm/sandbox.sh" bash "$0"
. "$WL_SOURCE/tests/harness/training.sh"

export WARPLOOM=$WL_BIN WARPLOOM_JOBS=$WL_SOURCE/jobs WARPLOOM_PYTHON=${WL_PYTHON:-python3}
write_config train.yaml

submit() { sbatch --parsable "$@"; }
job_state() { squeue -h -t all -j "$1" -o %T 2>/dev/null | head -n 1; }
is_state() { [ "$(job_state "$1")" = "$2" ]; }
job_ended() { case $(job_state "$1") in PENDING | RUNNING | COMPLETING | CONFIGURING | SUSPENDED) false ;; esac }

show_job() { # ID OUTPUT
  scontrol show job "$1" | grep -E 'JobState|RunTime|Restarts|ExitCode' >&2 || true
  cat "$2" >&2 || true
}

wait_completed() { # ID OUTPUT SECONDS
  wait_for "$3" "the end of job $1" job_ended "$1"
  is_state "$1" COMPLETED || { show_job "$1" "$2"; fail "job $1 ended as $(job_state "$1")"; }
}

# Gives train.yaml, which has no end in sight, its end: only then can an interruption not come too late, however fast
# this machine is. Jobs that start from now on see it.
end_after() { sed -i "s/steps: 1000000,/steps: $1,/" train.yaml; } # STEPS

# A requeued job waits two minutes by SLURM's own rule; this one goes on at once. Not in the second
# of its requeue, though: the node tells starts apart by whole seconds and would refuse it.
start_now() { # ID [UPDATES...]
  local job=$1
  shift
  wait_for 30 "job $job to be pending" is_state "$job" PENDING
  sleep 2
  scontrol update JobId="$job" "$@" StartTime=now
}
