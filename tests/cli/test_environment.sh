# Checks that a run does not depend on environment variables that other jobs, computing centres or shells have set.
# The variables must change neither the values that the program reads nor the choice of the files that it reads.
set -euo pipefail
. "$WL_SOURCE/tests/harness/training.sh"

write_config endless.yaml
sed -e 's/steps: 1000000,/steps: 3,/' endless.yaml >short.yaml
expected=$("$WL_BIN" train short.yaml --quiet --set output=plain)

same_with() { # arguments: NAME=VALUE...
  local what="$*"
  rm -rf run
  expect_same "with $what" "$expected" "$(env "$@" "$WL_BIN" train short.yaml --quiet --set output=run 2>err.txt)"
  "$WL_BIN" info run --verify >/dev/null || fail "with $what: the run cannot be read"
}
same_with HDF5_USE_FILE_LOCKING=TRUE HDF5_DRIVER=split HDF5_VDS_PREFIX=/nowhere HDF5_PLUGIN_PRELOAD=::
same_with POSIXLY_CORRECT=1
same_with LC_ALL=de_DE.UTF-8 LANG=tr_TR.UTF-8
same_with OMP_NUM_THREADS=0 OMP_DYNAMIC=true OMP_THREAD_LIMIT=1 OMP_WAIT_POLICY=active
same_with OMPI_COMM_WORLD_RANK= PMI_RANK=x SLURM_PROCID=3 SLURM_NTASKS=none

MPLBACKEND=nonsense MPLCONFIGDIR=/proc/x "$WL_PYTHON" "$WL_SOURCE/tools/plot_training.py" plain -o plain.png >plot.txt 2>&1 ||
  { cat plot.txt >&2; fail "MPLBACKEND: no picture"; }
echo "ok: MPLBACKEND"

# If there are more ranks than cores, each rank must use one thread.
sed -e 's/units: 6/units: 3/' -e '$a estimator: {name: nres}' short.yaml >forward.yaml
forward=$("$WL_BIN" train forward.yaml --quiet --set output=forward)
expect_same "more ranks than cores with OMP_NUM_THREADS=1" "$forward" \
  "$(OMP_NUM_THREADS=1 timeout 60 "$WL_MPIEXEC" -n $(($(nproc) + 1)) "$WL_BIN" train forward.yaml --quiet --set threads=0 \
    --set output=crowded 2>err.txt || cat err.txt >&2)"

# The waiting threads of OpenMP must sleep after a short time, unless the user has chosen how the threads wait.
waits() { env -u OMP_WAIT_POLICY OMP_DISPLAY_ENV=verbose "$@" "$WL_BIN" --version 2>&1 | grep SPINCOUNT | tail -n 1; }
waits A=1 | grep -q "'1000'" || fail "waiting threads do not sleep soon: $(waits A=1)"
waits GOMP_SPINCOUNT=77 | grep -q "'77'" || fail "GOMP_SPINCOUNT=77 has no effect: $(waits GOMP_SPINCOUNT=77)"
! waits OMP_WAIT_POLICY=passive | grep -q "'1000'" || fail "OMP_WAIT_POLICY=passive has no effect"
echo "ok: OpenMP's waiting"

# If a variable contains an end time of the job that is invalid or in the past, the variable must have no effect. If the
# end time is valid, the run must stop before that time, and the message of the run must name the variable.
for end in "" Unknown 99999999999 $(($(date +%s) - 3600)); do same_with SLURM_JOB_END_TIME="$end"; done
code=0
SLURM_JOB_END_TIME=$(($(date +%s) + 4)) timeout 60 "$WL_BIN" train endless.yaml --set output=limited >out.txt 2>err.txt || code=$?
[ $code = "$EXIT_STOPPED" ] || { cat err.txt >&2; fail "the end of a SLURM job: exit $code"; }
grep -q 'SLURM_JOB_END_TIME' err.txt || fail "the end of a SLURM job is not named"
echo "ok: the end of a SLURM job"

# A program without a launcher must print its messages even if the environment still contains the rank number from an
# earlier job.
for rank in OMPI_COMM_WORLD_RANK PMIX_RANK PMI_RANK SLURM_PROCID; do
  ! env $rank=3 "$WL_BIN" trian short.yaml 2>err.txt || fail "$rank=3: an unknown command is not refused"
  grep -q "did you mean 'train'" err.txt || fail "$rank=3: the error does not suggest 'train'"
done
[ -n "$(SLURM_PROCID=3 "$WL_BIN" --version)" ] || fail "SLURM_PROCID=3: --version prints nothing"
echo "ok: inherited ranks"

# If standard output cannot be written, the program must report an error. Commands whose only output is on standard
# output must report this error too.
for what in --help "train --help" "train --list rules" "train --json-schema" "init --task quadratic"; do
  code=0
  # shellcheck disable=SC2086
  "$WL_BIN" $what >/dev/full 2>err.txt || code=$?
  [ $code = 74 ] && grep -q "standard output" err.txt || fail "warploom $what >/dev/full: exit $code, $(cat err.txt)"
done
echo "ok: standard output that is full"
