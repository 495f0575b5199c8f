# Checks that trainings with two MPI libraries have equal digests. The trainings run on 1 and 3 ranks. Also checks a
# run that stops with one MPI library and resumes with the other.
#
#   test_libraries.sh OTHER_WARPLOOM OTHER_MPIEXEC
#
# OTHER_WARPLOOM is a warploom that was built with another MPI library, and OTHER_MPIEXEC is the launcher of that
# library. The script tests/run.sh sets both arguments.
set -euo pipefail
. "$WL_SOURCE/tests/harness/training.sh"
other=$1 other_mpiexec=$2

mpi_of() { "$1" --version | sed -n 's/^MPI *//p'; }
[ -n "$(mpi_of "$other")" ] && [ "$(mpi_of "$WL_BIN")" != "$(mpi_of "$other")" ] || fail "there is only one MPI library: $(mpi_of "$other")"

write_config endless.yaml
sed -e 's/steps: 1000000,/steps: 12,/' endless.yaml >job.yaml
train() { # arguments: PROGRAM MPIEXEC RANKS RUN ARGS...
  local code=0
  "$2" -n "$3" "$1" train job.yaml --quiet --set "output=$4" "${@:5}" >out.txt || code=$?
  [ $code = 0 ] || [ $code = 75 ] || fail "$2 -n $3: exit $code"
  digest_line out.txt
}
expected=$(train "$WL_BIN" "$WL_MPIEXEC" 2 ours)
for ranks in 1 3; do
  expect_same "$(mpi_of "$other"), $ranks ranks" "$expected" "$(train "$other" "$other_mpiexec" $ranks theirs-$ranks)"
done
train "$other" "$other_mpiexec" 2 split --stop-after 5 >/dev/null
expect_same "stopped by one library, resumed by the other" "$expected" "$(train "$WL_BIN" "$WL_MPIEXEC" 3 split --resume)"

# A signal to the launcher must reach the ranks. The ranks must then save a checkpoint.
"$other_mpiexec" -n 2 "$other" train endless.yaml --quiet --set output=stopped >stopped.txt 2>&1 &
launcher=$!
wait_for 60 "a meta-step of $other" test -s stopped/metrics.jsonl
kill -USR1 $launcher
code=0
wait $launcher || code=$?
[ $code = 75 ] || { cat stopped.txt >&2; fail "SIGUSR1 to $other_mpiexec: exit $code"; }
has_checkpoint_after stopped 0 || fail "no checkpoint"

# If one rank fails, the job must end.
code=0
timeout -k 5 60 "$other_mpiexec" -n 2 bash -c '[ "${PMI_RANK:-${OMPI_COMM_WORLD_RANK:-0}}" = 0 ] || export WL_FAIL_ALLOC=40; exec "$@"' \
  one "$other" train job.yaml --quiet --set output=failed >failed.txt 2>&1 || code=$?
[ $code = 71 ] || { cat failed.txt >&2; fail "a rank without memory: exit $code"; }
grep -q 'error: rank 1: out of memory' failed.txt || { cat failed.txt >&2; fail "a rank without memory is not named"; }
echo "ok: signals and failures"
