# Sends a signal during a meta-step of many seconds: SIGINT or SIGTERM to mpirun, or a signal to one rank. All ranks
# must end their windows at the next inner step. The state after the last complete meta-step must be saved within a
# second. A resumed run must end with the digest of an uninterrupted run.
set -euo pipefail
. "$WL_SOURCE/tests/harness/training.sh"
. "$WL_SOURCE/tests/fault/mlp_job.sh"

cat >job.yaml <<'C'
seed: 3
threads: 1
task: {family: mlp, data: synthetic, widths: [4], batch: 16}
rule: {name: lstm, hidden: [20, 20], preprocessing: log, output_scale: 0.1}
episode: {steps: 2400}
window: {steps: 1200, weights: sum, loss: log_ratio}
outer: {steps: 1000, units: 12, optimizer: adam, learning_rate: 3e-3}
checkpoint: {every: 100}
C
# Prints the digest of an uninterrupted run of STEPS meta-steps.
straight() { # arguments: STEPS
  [ -e "straight-$1.digest" ] || train_on 2 job.yaml "straight-$1" --set outer.steps="$1" >"straight-$1.digest"
  cat "straight-$1.digest"
}

has_done_one() { [ -s "$1/metrics.jsonl" ]; }
ranks_of() { pgrep -f "^$WL_BIN train .*output=$1( |\$)" || true; }
no_rank_of() { [ -z "$(ranks_of "$1")" ]; }

last_reported() { tail -n 1 "$1/metrics.jsonl" | sed 's/.*"meta_step":\([0-9]*\),.*/\1/'; }

# Starts the job and sends the signal during the second or a later meta-step.
interrupt() { # arguments: SIGNAL WHOM (launcher, rank) RUN
  local run=$3 launcher start code=0 saved limit step
  setsid "$WL_MPIEXEC" -n 2 "$WL_BIN" train job.yaml --quiet --set output="$run" >"$run.out" 2>"$run.err" &
  launcher=$!
  wait_for 60 "the first meta-step of $run" has_done_one "$run"
  sleep 0.5
  start=$(seconds_now)
  case $2 in
    # Open MPI forwards the signal to the ranks after one second, and kills the ranks after another second.
    launcher) limit=2; kill -"$1" "$launcher" ;;
    rank) limit=1; kill -"$1" "$(ranks_of "$run" | tail -n 1)" ;;
  esac
  wait "$launcher" || code=$?
  wait_for 20 "the end of the ranks of $run" no_rank_of "$run"
  [ "$code" != 0 ] || fail "$run ended without reporting the signal"
  step=$(checkpoint_step "$run")
  expect_same "$run: meta-step of the checkpoint" "$(last_reported "$run")" "$step"
  saved=$(awk -v a="$start" -v b="$(stat -c %.3Y "$run/checkpoints/$(printf 'step-%08d.h5' "$step")")" 'BEGIN { printf "%.2f", b - a }')
  expect_below "$run: seconds to the checkpoint" $limit "$saved"
  expect_same "$run resumed" "$(straight $((step + 1)))" "$(train_on 3 job.yaml "$run" --resume --set outer.steps=$((step + 1)))"
}
interrupt TERM launcher term
interrupt INT launcher int
interrupt USR1 rank usr1

# --stop-after must stop exactly after the given meta-step.
code=0
"$WL_MPIEXEC" -n 2 "$WL_BIN" train job.yaml --quiet --set output=late --stop-after 1 >late.out 2>late.err || code=$?
[ $code = $EXIT_STOPPED ] || fail "--stop-after 1 ended with $code"
[ "$(checkpoint_step late)" = 1 ] || fail "--stop-after 1 left meta-step $(checkpoint_step late)"
echo "ok: --stop-after ends with its meta-step"
