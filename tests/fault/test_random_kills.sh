# test_random_kills.sh KILLS - SIGKILL of a random rank at a random time, resume on a random number of
# ranks, until the run is done; again and again, until there were KILLS. Every run must end with the
# digest of the undisturbed one, and every kill must leave a checkpoint that loads.
set -euo pipefail
. "$WL_SOURCE/tests/harness/training.sh"
. "$WL_SOURCE/tests/fault/mlp_job.sh"

LAUNCH_LIMIT=60 # seconds, many times what the whole run takes
kills=${1:-8}
RANDOM=${2:-20161} # the seed of the random choices
write_mlp_config mlp.yaml
sed -i 's/every: 4/every: 1/' mlp.yaml
expected=$(train_on 2 mlp.yaml undisturbed)

# Starts mpirun in the background and kills one of its ranks after a while; 0: the run was done before.
kill_one() { # RANKS RUN
  local ranks=$1 run=$2 victims victim
  # Open MPI's launcher itself may hang when a rank dies while it starts: it gets a bound
  timeout -k 2 "$LAUNCH_LIMIT" "$WL_MPIEXEC" -n "$ranks" "$WL_BIN" train mlp.yaml --resume --quiet \
    --set output="$run" >"$run.out" 2>"$run.err" &
  local launcher=$!
  sleep "$(awk -v r=$RANDOM 'BEGIN { printf "%.3f", 0.25 + r / 32768 * 1.5 }')"
  mapfile -t victims < <(pgrep -f "^$WL_BIN train .*output=$run\$" || true)
  if [ ${#victims[@]} -gt 0 ]; then
    victim=${victims[RANDOM % ${#victims[@]}]}
    kill -KILL "$victim" 2>/dev/null || true
  fi
  local code=0
  wait $launcher || code=$?
  [ $code != 0 ]
}

done_kills=0 runs=0
while [ $done_kills -lt "$kills" ]; do
  runs=$((runs + 1)) run=run-$runs
  while [ $done_kills -lt "$kills" ] && kill_one $((1 + RANDOM % 4)) $run; do
    done_kills=$((done_kills + 1))
    if [ -d $run/checkpoints ] && ls $run/checkpoints/step-*.h5 >/dev/null 2>&1; then
      "$WL_BIN" info $run --verify >/dev/null || fail "kill $done_kills left a checkpoint that does not verify"
    fi
  done
  [ -f $run.out ] || continue
  expect_same "run $runs after $done_kills kills" "$expected" "$(train_on $((1 + RANDOM % 4)) mlp.yaml $run --resume)"
done
echo "ok: $done_kills kills in $runs runs, not one difference"
