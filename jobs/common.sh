# Each batch script contains the directives of its batch system (SLURM: .sbatch, PBS: .pbs, Flux: .flux). The script
# then calls one of the functions wl_job_* at the end of this file.
#
# The user sets the following variables in the environment of sbatch or flux batch, passes them with qsub -v, or edits a
# script:
#   WARPLOOM_SETUP   shell code that runs first on the node, such as
#                      'module load openmpi hdf5 openblas'  or
#                      '. /apps/spack/share/spack/setup-env.sh; spack env activate warploom'
#   WARPLOOM         path of the program (default: build/warploom in the folder of submission, or else warploom in PATH)
#   WARPLOOM_LAUNCH  the launcher with its options (default: wl_choose_launcher selects it)
#   WARPLOOM_PYTHON  a Python 3 with h5py, numpy and matplotlib (default: python3)
#   RUN              the run directory (default: runs/<job name>-<job id>); the run of an earlier job in this
#                    directory resumes from its newest checkpoint, on any number of nodes and ranks
#   WARPLOOM_SUBMIT  options with which a chain submits its next job (PBS and Flux only), such as
#                    '-q NAME -l walltime=8:00:00'
#   CONFIG, ARGS     PBS only: the configuration (or the run directory), and the further arguments of the batch script.
#                    PBS needs these variables because qsub passes no arguments to a script.
#
# Signals: SLURM sends USR1 to the script before the time limit and on preemption. SLURM sends TERM on scancel and
# requeue. The script forwards each of these signals as USR1 to the launcher, and the launcher forwards USR1 to every
# rank. The ranks stop, write a checkpoint and exit with code 75. (If mpirun received TERM, it would kill its ranks
# after one second.) If a job ended without a signal, the next job resumes from the last periodic checkpoint. The
# results of the next job are bitwise equal to those of a run without a stop. PBS and Flux send no signal before the
# time limit, so Warploom's own clock stops the run.

set -o pipefail
WL_STOPPED_EARLY=75 # exit code of warploom after a stop with a checkpoint
WL_MAX_STALLS=5     # a chain ends after this number of successive starts that complete no meta-step
WL_CHILD=           # process id of the launcher while it runs
WL_STOP=0           # 1 if a signal has requested that this job stop
WL_TERMINATED=0     # 1 if this signal was TERM: the batch system then ends the job
WL_SIGNALLED=0      # 1 if a signal has arrived since the last call of wait

# Sets variables that describe this job. WL_BATCH is slurm, pbs, flux or none. WL_JOB is the id of the job, WL_NAME is
# the name of the job, and WL_FOLDER is the folder in which the job was submitted. WL_RANKS is the number of ranks
# (empty if unknown), and WL_THREADS is the number of cores of a rank.
wl_identify() {
  WL_RANKS='' WL_THREADS=1 WL_FOLDER=$PWD
  if [ -n "${SLURM_JOB_ID:-}" ]; then
    # In an array, WL_JOB consists of the id of the array and the number of the task. SLURM_JOB_ID would not be
    # suitable, because in the last task of an array, SLURM_JOB_ID is the id of the complete array.
    WL_BATCH=slurm WL_JOB=${SLURM_ARRAY_JOB_ID:+${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID}
    WL_JOB=${WL_JOB:-$SLURM_JOB_ID} WL_NAME=${SLURM_JOB_NAME:-job} WL_FOLDER=${SLURM_SUBMIT_DIR:-$PWD}
    WL_RANKS=${SLURM_NTASKS:-} WL_THREADS=${SLURM_CPUS_PER_TASK:-1}
  elif [ -n "${PBS_JOBID:-}" ]; then
    WL_BATCH=pbs WL_JOB=$PBS_JOBID WL_NAME=${PBS_JOBNAME:-job} WL_FOLDER=${PBS_O_WORKDIR:-$PWD}
    WL_THREADS=${OMP_NUM_THREADS:-1} # PBS sets OMP_NUM_THREADS to the value of ompthreads in the job's resource request
    if [ -r "${PBS_NODEFILE:-}" ]; then WL_RANKS=$(wc -l <"$PBS_NODEFILE"); fi
  elif [ -n "${FLUX_ENCLOSING_ID:-}" ]; then
    WL_BATCH=flux WL_JOB=$FLUX_ENCLOSING_ID WL_NAME=flux
    WL_RANKS=$(flux resource list -s all -no '{ncores}' 2>/dev/null) || WL_RANKS=''
  else
    WL_BATCH=none WL_JOB='' WL_NAME=job
  fi
}
wl_identify

wl_say() { printf '%s\n' "$@"; } # prints each argument as a line
wl_die() { # CODE MESSAGE
  printf '%s: %s\n' "$WL_NAME" "$2" >&2
  exit "$1"
}

# Finds the program and the launcher, and sets the environment of the ranks.
wl_begin() {
  cd "$WL_FOLDER" || wl_die 66 "no folder $WL_FOLDER"
  if [ -n "${WARPLOOM_SETUP:-}" ]; then
    eval "$WARPLOOM_SETUP" || wl_die 78 "WARPLOOM_SETUP failed: $WARPLOOM_SETUP"
  fi
  wl_find_program
  wl_rank_environment
  wl_choose_launcher
  local number=${SLURM_JOB_ID:-${WL_JOB:-$$}} # each task of an array also has a separate SLURM_JOB_ID
  number=${number%%.*}                      # removes the name of the server, which PBS appends
  RUN=${RUN:-runs/$WL_NAME-${number//[^A-Za-z0-9_-]/}}
  wl_say "job ${WL_JOB:-none} on ${SLURM_JOB_NODELIST:-$(hostname)}, restart ${SLURM_RESTART_COUNT:-0}, $(date '+%F %T')" \
    "launcher: $WARPLOOM_LAUNCH" "program:  $WARPLOOM"
  trap 'wl_on_signal USR1' USR1
  trap 'wl_on_signal TERM' TERM INT
}

wl_find_program() {
  if [ -z "${WARPLOOM:-}" ]; then
    if [ -x build/warploom ]; then WARPLOOM=$PWD/build/warploom; else WARPLOOM=$(command -v warploom); fi
  fi
  [ -n "$WARPLOOM" ] && [ -x "$WARPLOOM" ] ||
    wl_die 69 "no warploom program: build it (README), load its module in WARPLOOM_SETUP, or set WARPLOOM"
}

wl_rank_environment() {
  # A rank uses one core. If BLAS starts more threads, a run can be up to 30 times slower.
  export OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=$WL_THREADS
  export SRUN_CPUS_PER_TASK=$WL_THREADS
  # With these values, mpirun ends the job 20 + 3 x 5 s after a host loses its connection. Open MPI's default is 8
  # minutes.
  export OMPI_MCA_oob_tcp_keepalive_time=${OMPI_MCA_oob_tcp_keepalive_time:-20}
  export OMPI_MCA_oob_tcp_keepalive_intvl=${OMPI_MCA_oob_tcp_keepalive_intvl:-5}
  export OMPI_MCA_oob_tcp_keepalive_probes=${OMPI_MCA_oob_tcp_keepalive_probes:-3}
  if [ "$(id -u)" = 0 ]; then
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
  fi
}

# Selects the launcher for the MPI library of the program: srun if SLURM has the plug-in for the library, or else the
# launcher of the library. The plug-in is PMIx for Open MPI, and PMI-2 for MPICH and libraries that are based on MPICH.
# After a stop, the ranks return 75 one after another. SLURM must not kill the other ranks when the first rank returns
# 75, because the exit code of the step would then not be 75.
wl_choose_launcher() {
  local library plugin candidates launcher
  WL_OWN_LAUNCH=${WARPLOOM_LAUNCH:-}
  [ -z "${WARPLOOM_LAUNCH:-}" ] || return 0
  library=$("$WARPLOOM" --version 2>/dev/null | sed -n 's/^MPI  *//p')
  case $library in
    *MPICH* | *Intel* | *MVAPICH* | *Cray* | *CRAY*) plugin=pmi2 candidates="mpiexec.hydra mpiexec.mpich mpiexec mpirun" ;;
    *) plugin=pmix candidates="mpirun.openmpi mpirun mpiexec" ;;
  esac
  if [ $WL_BATCH = flux ]; then
    WARPLOOM_LAUNCH="flux run ${WL_RANKS:+-n $WL_RANKS}"
    if [ $plugin = pmix ]; then WARPLOOM_LAUNCH+=" -o pmi=pmix"; fi # this option needs the plug-in flux-pmix
    return 0
  fi
  if [ $WL_BATCH = slurm ] && command -v srun >/dev/null && srun --mpi=list 2>&1 | grep -qw $plugin; then
    WARPLOOM_LAUNCH="srun --mpi=$plugin --kill-on-bad-exit=0"
    return 0
  fi
  for launcher in $candidates; do
    command -v "$launcher" >/dev/null || continue
    WARPLOOM_LAUNCH=$launcher
    case $WL_BATCH in
      pbs) WARPLOOM_LAUNCH="$launcher${WL_RANKS:+ -n $WL_RANKS}${PBS_NODEFILE:+ -machinefile $PBS_NODEFILE}" ;;
      none) WARPLOOM_LAUNCH="$launcher -n 2" ;;
    esac
    return 0
  done
  wl_die 69 "no launcher for ${library:-this MPI}: found neither srun --mpi=$plugin nor ${candidates// /, }; load the MPI library in WARPLOOM_SETUP, or set WARPLOOM_LAUNCH"
}

wl_on_signal() { # NAME
  WL_SIGNALLED=1 WL_STOP=1
  [ "$1" = USR1 ] || WL_TERMINATED=1
  wl_say "signal $1 at $(date '+%F %T'): the ranks write a checkpoint"
  if [ -n "$WL_CHILD" ]; then kill -USR1 "$WL_CHILD" 2>/dev/null || true; fi
}

# Runs `warploom ARGS` on all ranks in the background, because bash runs a trap only between commands. Then waits until
# the program ends, even if signals interrupt the wait. If USR1 arrives before the ranks have installed a handler, USR1
# kills the ranks. No meta-step is lost in this case. The function therefore treats this end of the ranks as a stop and
# not as a failure.
wl_launch() { # ARGS...
  local code=0 last killed_by_usr1=$((128 + $(kill -l USR1)))
  [ "$WL_STOP" = 0 ] || return "$WL_STOPPED_EARLY"
  $WARPLOOM_LAUNCH "$WARPLOOM" "$@" &
  WL_CHILD=$!
  if [ "$WL_STOP" = 1 ]; then kill -USR1 "$WL_CHILD" 2>/dev/null || true; fi
  while :; do
    WL_SIGNALLED=0 last=$code code=0
    wait "$WL_CHILD" || code=$?
    if [ "$code" = 127 ] && [ "$last" != 0 ]; then code=$last; fi # the program has ended while bash executed the trap
    [ "$WL_SIGNALLED" = 1 ] || break
  done
  WL_CHILD=
  if [ "$WL_STOP" = 1 ] && [ "$code" = "$killed_by_usr1" ]; then code=$WL_STOPPED_EARLY; fi
  return "$code"
}

# Prints the step of the newest checkpoint in $RUN, or -1 if there is none.
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

# Converts a time of the form D-HH:MM:SS, HH:MM:SS or MM:SS to seconds and prints the result. Prints nothing if the
# argument has another form.
wl_seconds_of() { # TIME
  local left=$1 days=0 hours=0 minutes seconds
  case $left in *[!0-9:-]* | '' | *--*) return 0 ;; esac
  case $left in *-*) days=${left%%-*} left=${left#*-} ;; esac
  seconds=${left##*:} left=${left%:*}
  minutes=${left##*:}
  case $left in *:*) hours=${left%%:*} ;; esac
  echo $((((10#$days * 24 + 10#$hours) * 60 + 10#$minutes) * 60 + 10#$seconds))
}

# Prints the seconds until the time limit of a PBS job. PBS updates the used time only at intervals. If the running time
# of this shell (SECONDS) is larger, the function uses this time instead.
wl_pbs_left() {
  local text limit used
  text=$(qstat -f "$WL_JOB" 2>/dev/null) || return 0
  limit=$(wl_seconds_of "$(sed -n 's/^ *Resource_List.walltime = *//p' <<<"$text")")
  used=$(wl_seconds_of "$(sed -n 's/^ *resources_used.walltime = *//p' <<<"$text")")
  [ -z "$limit" ] || echo $((limit - (${used:-0} > SECONDS ? used : SECONDS)))
}

# Prints the value of --time-limit in seconds. The value is the remaining time of this job minus two minutes, in which
# the run stops. If at most eight minutes remain, the value is three quarters of the remaining time. Prints nothing if
# the job has no limit.
wl_seconds_left() {
  local seconds=
  case $WL_BATCH in
    slurm) seconds=$(wl_seconds_of "$(squeue -h -j "$WL_JOB" -o %L 2>/dev/null | head -n 1)") ;;
    pbs) seconds=$(wl_pbs_left) ;;
    flux) seconds=$(flux job timeleft 2>/dev/null) seconds=${seconds%.*} ;;
  esac
  case $seconds in '' | *[!0-9]*) return 0 ;; esac
  if [ "$seconds" -gt 480 ]; then echo $((seconds - 120)); else echo $((seconds * 3 / 4)); fi
}

# Ends the job if its configuration is wrong, or if it has more ranks than units, because a rank without a unit would be
# idle. If the user sets WARPLOOM_LAUNCH, the number of ranks is unknown here and is not checked.
wl_check_training() { # CONFIG ARGS...
  local full code=0 units ranks=$WL_RANKS
  full=$("$WARPLOOM" train "$@" --dry-run --quiet) || code=$?
  case $code in 6[4-9] | 7[0-8]) wl_die "$code" "nothing was started: 'warploom train $1 --dry-run' ended with code $code" ;; esac
  units=$(awk '/^[a-z]/ { section = $1 } section == "outer:" && $1 == "units:" { print $2 }' <<<"$full")
  [ -n "$units" ] && [ -n "$ranks" ] && [ -z "$WL_OWN_LAUNCH" ] && [ "$ranks" -gt "$units" ] || return 0
  wl_die 78 "$ranks ranks, of which $units can work (outer.units of $1): submit with $(wl_ask_for "$units"), or with --set outer.units=$ranks"
}

wl_ask_for() { # RANKS
  case $WL_BATCH in
    pbs) echo "-l select=1:ncpus=$1:mpiprocs=$1" ;;
    flux) echo "-n $1" ;;
    *) echo "--nodes=1 --ntasks-per-node=$1" ;;
  esac
}

# Runs the training with the run directory $RUN. If $RUN has a checkpoint, the training resumes from the newest one.
wl_train() { # CONFIG ARGS...
  local left step
  [ -r "$1" ] || wl_die 66 "no configuration '$1' (in the folder $PWD)"
  mkdir -p "$(dirname "$RUN")" || wl_die 73 "cannot create the folder of $RUN"
  wl_check_training "$@"
  step=$(wl_checkpoint_step)
  if [ "$step" -ge 0 ]; then wl_say "continuing $RUN from step $step"; fi
  left=$(wl_seconds_left)
  if [ -n "$left" ]; then set -- "$@" --time-limit "${left}s"; fi
  wl_launch train "$@" --set "output=$RUN" --resume
}

# Counts the successive starts of the jobs of a chain that completed no meta-step of the run in $RUN. Fails if this
# number is at least WL_MAX_STALLS.
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

# Under SLURM, requeues this job. SLURM then ends the script. Under PBS and Flux, submits a new job that starts after
# this job. After a TERM (scancel, or a requeue by SLURM), submits nothing and returns 75. If the last WL_MAX_STALLS
# starts completed no meta-step, ends with an error.
wl_requeue() { # STEP_AT_START ARGS...
  if [ "$WL_TERMINATED" = 1 ] || { [ "$WL_BATCH" = slurm ] && [ "$(squeue -h -j "$WL_JOB" -o %T 2>/dev/null)" != RUNNING ]; }; then
    wl_say "the batch system ended this job: the script does not requeue it"
    return "$WL_STOPPED_EARLY"
  fi
  wl_made_progress "$1" ||
    wl_die 1 "$WL_MAX_STALLS starts without a complete meta-step: request more time for the job (--time)"
  wl_say "step $(wl_checkpoint_step) is stored; requeueing job $WL_JOB"
  if [ "$WL_BATCH" != slurm ]; then
    wl_submit_next "${@:2}"
    return "$WL_STOPPED_EARLY"
  fi
  scontrol requeue "$WL_JOB" || return "$WL_STOPPED_EARLY"
  exec sleep 600
}

# Prints the names of the variables that are set and that the next job needs. The callers pass the names to qsub -v.
wl_variables() {
  local name
  for name in RUN WARPLOOM_JOBS WARPLOOM WARPLOOM_SETUP WARPLOOM_PYTHON WARPLOOM_SUBMIT CONFIG ARGS; do
    if [ -n "${!name:-}" ]; then echo "$name"; fi
  done
  if [ -n "$WL_OWN_LAUNCH" ]; then echo WARPLOOM_LAUNCH; fi
}

# Submits the next job of a chain. The next job starts when this job has ended.
wl_submit_next() { # ARGS...
  # shellcheck disable=SC2154 # each script sets `jobs` before it sources this file
  export RUN WARPLOOM_JOBS=$jobs
  case $WL_BATCH in
    pbs) # shellcheck disable=SC2086 # WARPLOOM_SUBMIT contains several options
      qsub -N "$WL_NAME" -W "depend=afterany:$WL_JOB" -v "$(wl_variables | paste -sd ,)" ${WARPLOOM_SUBMIT:-} "$jobs/chain.pbs" ;;
    flux) # shellcheck disable=SC2086 # as for PBS; flux passes the environment to the job
      flux --parent batch --dependency="afterany:$WL_JOB" ${WARPLOOM_SUBMIT:-} "$jobs/chain.flux" "$@" ;;
    *) wl_say "no batch system: start the next job yourself" ;;
  esac
}

wl_show_results() { # CODE
  wl_say "" "results: $(cd "$RUN" 2>/dev/null && pwd)" \
    "  show:           $WARPLOOM info $RUN" \
    "  evaluate:       $(wl_submit_by evaluate "$RUN")" \
    "  curves:         ${WARPLOOM_PYTHON:-python3} tools/plot_training.py $RUN"
  case $1 in
    0) return 0 ;;
    "$WL_STOPPED_EARLY") wl_say "stopped early, step $(wl_checkpoint_step) is stored; continue with" ;;
    *) wl_say "ended with code $1: see the message above; step $(wl_checkpoint_step) is stored; continue with" ;;
  esac
  case $WL_BATCH in
    pbs) wl_say "  qsub -v RUN=$RUN,<the same variables> <the same script>" ;;
    flux) wl_say "  RUN=$RUN flux batch <the same script and arguments>" ;;
    *) wl_say "  RUN=$RUN sbatch <the same script and arguments>" ;;
  esac
}

wl_submit_by() { # SCRIPT RUN
  case $WL_BATCH in
    pbs) echo "qsub -v CONFIG=$2 jobs/$1.pbs" ;;
    flux) echo "flux batch jobs/$1.flux $2" ;;
    *) echo "sbatch jobs/$1.sbatch $2" ;;
  esac
}

# ---- Functions that the batch scripts call ---------------------------------------------------------------------

# Sets WL_ARGUMENTS to the arguments of the script. Under PBS, the variables CONFIG and ARGS contain the arguments.
wl_arguments() { # ARGS...
  WL_ARGUMENTS=("$@")
  [ "$WL_BATCH" = pbs ] && [ $# = 0 ] && [ -n "${CONFIG:-}" ] || return 0
  # shellcheck disable=SC2206 # ARGS contains several words
  WL_ARGUMENTS=("$CONFIG" ${ARGS:-})
}

# Meta-trains with the configuration CONFIG. If the kind is `chain`, requeues the job until the training is complete.
wl_job_train() { # single|chain [CONFIG ARGS...]
  local code=0 step kind=$1
  shift
  wl_arguments "$@"
  wl_begin
  step=$(wl_checkpoint_step)
  wl_train "${WL_ARGUMENTS[@]:-jobs/quickstart.yaml}" || code=$?
  if [ "$code" = "$WL_STOPPED_EARLY" ] && [ "$kind" = chain ]; then wl_requeue "$step" "$@" || true; fi
  wl_show_results "$code"
  exit "$code"
}

# Tests an installation in a minute. Trains 20 meta-steps without a stop and again with a stop and a resume, and
# compares the two digests.
wl_job_smoke() { # [CONFIG ARGS...]
  local base code=0 straight resumed
  wl_arguments "$@"
  wl_begin
  set -- "${WL_ARGUMENTS[@]:-jobs/quickstart.yaml}" --set outer.steps=20
  base=$RUN
  mkdir -p "$base"

  RUN=$base/straight
  wl_train "$@" >"$base/straight.out" || wl_die 1 "smoke: training failed"
  RUN=$base/resumed
  wl_train "$@" --stop-after 10 >"$base/stopped.out" || code=$?
  [ "$code" = "$WL_STOPPED_EARLY" ] || wl_die 1 "smoke: --stop-after ended with $code, not $WL_STOPPED_EARLY"
  wl_train "$@" >"$base/resumed.out" || wl_die 1 "smoke: resume failed"

  straight=$(tail -n 1 "$base/straight.out")
  resumed=$(tail -n 1 "$base/resumed.out")
  wl_say "straight through:    $straight" "stopped and resumed: $resumed"
  case $straight in "digest "*" step 20") ;; *) wl_die 1 "smoke: unexpected last line" ;; esac
  [ "$straight" = "$resumed" ] || wl_die 1 "smoke: the digests differ"
  RUN=$base/straight
  wl_show_results 0
  wl_say "smoke: ok"
}

# Compares the losses of the trained optimizer of RUN with the losses of tuned hand-designed rules, on fresh tasks.
wl_job_evaluate() { # RUN ARGS...
  local code=0 curves
  wl_arguments "$@"
  set -- ${WL_ARGUMENTS[@]+"${WL_ARGUMENTS[@]}"}
  RUN=${1:-${RUN:-}}
  [ -n "$RUN" ] || wl_die 64 "name the run: $(wl_submit_by evaluate RUN)"
  [ $# = 0 ] || shift
  wl_begin
  wl_launch eval "$RUN" "$@" || code=$?
  [ "$code" = 0 ] || wl_die "$code" "the evaluation of $RUN ended with code $code"
  curves=$RUN/evaluation.h5
  [ -d "$RUN" ] || curves=$(basename "${RUN%.h5}")-evaluation.h5 # for a file, eval writes to the current folder
  wl_say "" "results: $curves, unless --output named another file" \
    "  show:           $WARPLOOM info $curves" \
    "  loss curves:    ${WARPLOOM_PYTHON:-python3} tools/plot_evaluation.py $curves"
}

# Compares runs. First evaluates each run that has no evaluation yet, on the same fresh tasks. Then prints the final
# losses of the runs, with the mean and the 95 % interval over seeds. Also draws training curves with a band that shows
# the spread over seeds.
wl_compare() { # FOLDER RUNS... [-- OPTIONS OF EVAL...]
  local folder=$1 python=${WARPLOOM_PYTHON:-python3} tools=$jobs/../tools run runs=()
  shift
  while [ $# -gt 0 ] && [ "$1" != -- ]; do runs+=("$1"); shift; done
  [ $# = 0 ] || shift
  for run in "${runs[@]}"; do
    [ -s "$run/evaluation.h5" ] || wl_launch eval "$run" --no-picture --quiet "$@" >/dev/null ||
      wl_die 1 "the evaluation of $run failed"
  done
  wl_say "" "${#runs[@]} runs:"
  "$python" "$tools/compare_runs.py" "${runs[@]}" --json "$folder/comparison.json" | tee "$folder/comparison.txt" || wl_die 1 "compare_runs.py failed"
  "$python" "$tools/plot_training.py" "${runs[@]}" --output "$folder/training.png" || wl_die 1 "plot_training.py failed"
  wl_say "" "results: $(cd "$folder" && pwd)" "  comparison.txt   final losses of all runs, mean and 95 % interval over seeds" \
    "  comparison.json  the same for scripts" \
    "  training.png     curves with a band over the seeds"
}
