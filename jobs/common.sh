# What the batch scripts in this folder share; they source it, nobody runs it.
#
# Set by the user, in the environment of sbatch or by editing a script:
#   WARPLOOM_SETUP   shell code run first on the node, such as
#                      'module load openmpi hdf5 openblas'  or
#                      '. /apps/spack/share/spack/setup-env.sh; spack env activate warploom'
#   WARPLOOM         the program (default: build/warploom below the folder of submission, then PATH)
#   WARPLOOM_LAUNCH  the launcher with its options, in place of the choice made below
#   WARPLOOM_PYTHON  a Python 3 with h5py, numpy and matplotlib (default: python3)
#   RUN              the run directory (default: runs/<job name>-<job id>); give that of an earlier
#                    job and its newest checkpoint is continued, on any number of nodes and ranks
#
# Signals. SLURM sends USR1 to the script ahead of the time limit and on preemption, TERM on
# scancel and requeue. Both are passed on as USR1 to the launcher, which hands it to every rank:
# they finish the meta-step, write a checkpoint and return 75. (mpirun would kill its ranks one
# second after a TERM; it forwards USR1.) A job ended without notice continues from its last
# periodic checkpoint, with the same bits.

set -o pipefail
WL_STOPPED_EARLY=75 # exit code of warploom: stopped with a checkpoint, try again
WL_MAX_STALLS=5     # a chain ends after so many starts in a row that added no meta-step
# This job's name for SLURM. In an array the last task has the array's own number: by that, SLURM means all of its tasks.
WL_JOB=${SLURM_ARRAY_JOB_ID:+${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID}
WL_JOB=${WL_JOB:-${SLURM_JOB_ID:-}}
WL_CHILD=           # process id of the launcher while it runs
WL_STOP=0           # 1: a signal asked this job to stop
WL_TERMINATED=0     # 1: the signal was TERM, so SLURM ends the job by itself
WL_SIGNALLED=0      # 1: a signal came since the last wait

wl_say() { printf '%s\n' "$@"; } # each argument is a line
wl_die() { # CODE MESSAGE
  printf '%s: %s\n' "${SLURM_JOB_NAME:-warploom}" "$2" >&2
  exit "$1"
}

# Finds the program and the launcher, and sets the environment of the ranks.
wl_begin() {
  cd "${SLURM_SUBMIT_DIR:-$PWD}" || wl_die 66 "no folder ${SLURM_SUBMIT_DIR:-}"
  if [ -n "${WARPLOOM_SETUP:-}" ]; then
    eval "$WARPLOOM_SETUP" || wl_die 78 "WARPLOOM_SETUP failed: $WARPLOOM_SETUP"
  fi
  wl_find_program
  wl_rank_environment
  wl_choose_launcher
  RUN=${RUN:-runs/${SLURM_JOB_NAME:-job}-${SLURM_JOB_ID:-$$}}
  wl_say "job ${SLURM_JOB_ID:-none} on ${SLURM_JOB_NODELIST:-$(hostname)}, restart ${SLURM_RESTART_COUNT:-0}, $(date '+%F %T')" \
    "launcher: $WARPLOOM_LAUNCH" "program:  $WARPLOOM"
  trap 'wl_on_signal USR1' USR1
  trap 'wl_on_signal TERM' TERM INT
}

wl_find_program() {
  if [ -z "${WARPLOOM:-}" ]; then
    if [ -x build/warploom ]; then WARPLOOM=$PWD/build/warploom; else WARPLOOM=$(command -v warploom); fi
  fi
  [ -n "$WARPLOOM" ] && [ -x "$WARPLOOM" ] ||
    wl_die 69 "no warploom program: build it (README), load its module by WARPLOOM_SETUP, or set WARPLOOM"
}

wl_rank_environment() {
  # one rank is one core: a BLAS that starts threads of its own costs up to a factor of 30
  export OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=${SLURM_CPUS_PER_TASK:-1}
  export SRUN_CPUS_PER_TASK=${SLURM_CPUS_PER_TASK:-1}
  # mpirun: a host that is cut off ends the job after 20 + 3 x 5 s (Open MPI's default: 8 minutes)
  export OMPI_MCA_oob_tcp_keepalive_time=${OMPI_MCA_oob_tcp_keepalive_time:-20}
  export OMPI_MCA_oob_tcp_keepalive_intvl=${OMPI_MCA_oob_tcp_keepalive_intvl:-5}
  export OMPI_MCA_oob_tcp_keepalive_probes=${OMPI_MCA_oob_tcp_keepalive_probes:-3}
  if [ "$(id -u)" = 0 ]; then
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
  fi
}

# The launcher that fits the MPI library of the program. srun where SLURM has the library's plug-in: PMIx for Open MPI,
# PMI-2 for MPICH and those that come from it; else the library's own. The ranks return 75 one after the other: where
# the site kills a step on the first non-zero code, that has to be off for the code to survive.
wl_choose_launcher() {
  local library plugin candidates launcher
  WL_OWN_LAUNCH=${WARPLOOM_LAUNCH:-}
  [ -z "${WARPLOOM_LAUNCH:-}" ] || return 0
  library=$("$WARPLOOM" --version 2>/dev/null | sed -n 's/^MPI  *//p')
  case $library in
    *MPICH* | *Intel* | *MVAPICH* | *Cray* | *CRAY*) plugin=pmi2 candidates="mpiexec.hydra mpiexec.mpich mpiexec mpirun" ;;
    *) plugin=pmix candidates="mpirun.openmpi mpirun mpiexec" ;;
  esac
  if [ -n "${SLURM_JOB_ID:-}" ] && command -v srun >/dev/null && srun --mpi=list 2>&1 | grep -qw $plugin; then
    WARPLOOM_LAUNCH="srun --mpi=$plugin --kill-on-bad-exit=0"
    return 0
  fi
  for launcher in $candidates; do
    command -v "$launcher" >/dev/null || continue
    WARPLOOM_LAUNCH=$launcher
    [ -n "${SLURM_JOB_ID:-}" ] || WARPLOOM_LAUNCH="$launcher -n 2"
    return 0
  done
  wl_die 69 "no launcher for ${library:-this MPI}: neither srun --mpi=$plugin nor ${candidates// /, } is here; load the MPI by WARPLOOM_SETUP, or set WARPLOOM_LAUNCH"
}

wl_on_signal() { # NAME
  WL_SIGNALLED=1 WL_STOP=1
  [ "$1" = USR1 ] || WL_TERMINATED=1
  wl_say "signal $1 at $(date '+%F %T'): asking the ranks for a checkpoint"
  if [ -n "$WL_CHILD" ]; then kill -USR1 "$WL_CHILD" 2>/dev/null || true; fi
}

# Runs `warploom ARGS` on all ranks in the background, since bash runs a trap only between
# commands, and waits for its end, however many signals interrupt the wait. Ranks that USR1 caught
# before they could handle it have done nothing yet: that is a stop, not a failure.
wl_launch() { # ARGS...
  local code=0 last killed_by_usr1=$((128 + $(kill -l USR1)))
  [ "$WL_STOP" = 0 ] || return "$WL_STOPPED_EARLY"
  $WARPLOOM_LAUNCH "$WARPLOOM" "$@" &
  WL_CHILD=$!
  if [ "$WL_STOP" = 1 ]; then kill -USR1 "$WL_CHILD" 2>/dev/null || true; fi
  while :; do
    WL_SIGNALLED=0 last=$code code=0
    wait "$WL_CHILD" || code=$?
    if [ "$code" = 127 ] && [ "$last" != 0 ]; then code=$last; fi # ended while the trap ran
    [ "$WL_SIGNALLED" = 1 ] || break
  done
  WL_CHILD=
  if [ "$WL_STOP" = 1 ] && [ "$code" = "$killed_by_usr1" ]; then code=$WL_STOPPED_EARLY; fi
  return "$code"
}

# The step of the newest checkpoint in $RUN, -1 without one.
wl_checkpoint_step() {
  local newest
  newest=$(cd "$RUN/checkpoints" 2>/dev/null && printf '%s\n' step-*.h5 | sort | tail -n 1)
  newest=${newest#step-}
  newest=${newest%.h5}
  case $newest in
    '' | *[!0-9]*) echo -1 ;;
    *) echo $((10#$newest)) ;;
  esac
}

# Seconds to give to --time-limit: what SLURM has left for this job, less two minutes (or a
# quarter, if that is less) to stop in. Empty without a limit.
wl_seconds_left() {
  local left days=0 hours=0 minutes seconds
  left=$(squeue -h -j "${WL_JOB:-0}" -o %L 2>/dev/null | head -n 1)
  case $left in *[!0-9:-]* | '' | *--*) return 0 ;; esac
  case $left in *-*) days=${left%%-*} left=${left#*-} ;; esac
  seconds=${left##*:} left=${left%:*}
  minutes=${left##*:}
  case $left in *:*) hours=${left%%:*} ;; esac
  seconds=$((((10#$days * 24 + 10#$hours) * 60 + 10#$minutes) * 60 + 10#$seconds))
  if [ "$seconds" -gt 480 ]; then echo $((seconds - 120)); else echo $((seconds * 3 / 4)); fi
}

# Ends the job where its configuration is wrong, or where it has more ranks than units, which are what ranks work on: the
# others would idle. Not where WARPLOOM_LAUNCH says how many ranks there are.
wl_check_training() { # CONFIG ARGS...
  local full code=0 units ranks=${SLURM_NTASKS:-}
  full=$("$WARPLOOM" train "$@" --dry-run --quiet) || code=$?
  case $code in 6[4-9] | 7[0-8]) wl_die "$code" "nothing was started: 'warploom train $1 --dry-run' ended with code $code" ;; esac
  units=$(awk '/^[a-z]/ { section = $1 } section == "outer:" && $1 == "units:" { print $2 }' <<<"$full")
  [ -n "$units" ] && [ -n "$ranks" ] && [ -z "$WL_OWN_LAUNCH" ] && [ "$ranks" -gt "$units" ] || return 0
  wl_die 78 "$ranks ranks, of which $units can work (outer.units of $1): submit with --nodes=1 --ntasks-per-node=$units, or with --set outer.units=$ranks"
}

# Trains into $RUN, from its newest checkpoint if it has one.
wl_train() { # CONFIG ARGS...
  local left step
  [ -r "$1" ] || wl_die 66 "no configuration '$1' (seen from $PWD)"
  mkdir -p "$(dirname "$RUN")" || wl_die 73 "cannot create the folder of $RUN"
  wl_check_training "$@"
  step=$(wl_checkpoint_step)
  if [ "$step" -ge 0 ]; then wl_say "continuing $RUN from step $step"; fi
  left=$(wl_seconds_left)
  if [ -n "$left" ]; then set -- "$@" --time-limit "${left}s"; fi
  wl_launch train "$@" --set "output=$RUN" --resume
}

# Counts the starts of a chain that added no meta-step to $RUN; fails when they are too many.
wl_made_progress() { # STEP_AT_START
  local stalls=0 file=$RUN/stalled-starts
  if [ "$(wl_checkpoint_step)" -gt "$1" ]; then
    rm -f "$file"
    return 0
  fi
  [ ! -r "$file" ] || read -r stalls <"$file"
  stalls=$((stalls + 1))
  echo "$stalls" >"$file"
  [ "$stalls" -lt "$WL_MAX_STALLS" ]
}

# Puts this job back into the queue; SLURM then ends the script. Returns 75 where that is not to
# be done: after a TERM (scancel, or a requeue of SLURM's own), and in a chain that stands still.
wl_requeue() { # STEP_AT_START
  if [ "$WL_TERMINATED" = 1 ] || [ "$(squeue -h -j "$WL_JOB" -o %T 2>/dev/null)" != RUNNING ]; then
    wl_say "ended from outside: not requeued by this script"
    return "$WL_STOPPED_EARLY"
  fi
  wl_made_progress "$1" ||
    wl_die 1 "$WL_MAX_STALLS starts without a finished meta-step: give the job more time (--time)"
  wl_say "step $(wl_checkpoint_step) is safe; requeueing job $WL_JOB"
  scontrol requeue "$WL_JOB" || return "$WL_STOPPED_EARLY"
  exec sleep 600
}

wl_show_results() { # CODE
  wl_say "" "results: $(cd "$RUN" 2>/dev/null && pwd)" \
    "  look at them:   $WARPLOOM info $RUN" \
    "  evaluate:       sbatch jobs/evaluate.sbatch $RUN" \
    "  curves:         ${WARPLOOM_PYTHON:-python3} tools/plot_training.py $RUN"
  case $1 in
    0) return 0 ;;
    "$WL_STOPPED_EARLY") wl_say "stopped early, step $(wl_checkpoint_step) is safe; continue with" ;;
    *) wl_say "ended with code $1: the reason stands above; step $(wl_checkpoint_step) is safe; continue with" ;;
  esac
  wl_say "  RUN=$RUN sbatch <the same script and arguments>"
}
