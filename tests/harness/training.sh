# Defines functions for test scripts that run trainings. The functions write a small configuration, extract digest
# lines, and measure how many meta-steps fit into a given time. A test script sources this file. The function
# wl_add_script_test sets WL_BIN, WL_MPIEXEC and WL_SOURCE, and the working directory is the scratch folder.
set -euo pipefail

EXIT_STOPPED=75
: "${WL_BIN:?run the tests through ctest}" "${WL_MPIEXEC:?}" "${WL_SOURCE:?}"

skip() { echo "skipped: $*"; exit 77; }
fail() { echo "FAILED: $*" >&2; exit 1; }
# If EXPECTED is empty, the comparison fails, because two missing digests must not count as equal.
expect_same() { # arguments: CASE EXPECTED GOT
  [ -n "$2" ] && [ "$2" = "$3" ] || fail "$1: expected '$2', got '$3'"
  echo "ok: $1: $2"
}
seconds_now() { date +%s.%N; }
seconds_since() { awk -v a="$1" -v b="$(date +%s.%N)" 'BEGIN { printf "%.1f", b - a }'; }
expect_below() { # arguments: CASE LIMIT GOT
  awk -v a="$3" -v b="$2" 'BEGIN { exit !(a <= b) }' || fail "$1: $3, more than $2"
  echo "ok: $1: $3 (at most $2)"
}

[ -x "$WL_BIN" ] || fail "no program $WL_BIN"

write_config() { # arguments: FILE
  cat >"$1" <<'C'
seed: 7
threads: 1
task: {family: quadratic, dimension: 10, batch: 16}
rule: {name: lstm, hidden: [20, 20], preprocessing: none, gradient_scale: 1.0, output_scale: 1.0, momentum: 0}
episode: {steps: 100}
window: {steps: 10, weights: sum}
outer: {steps: 1000000, units: 6, optimizer: adam, learning_rate: 1e-3}
C
}

# Prints the last digest line in the standard output of a training: "digest <16 hex digits> step <n>".
digest_line() { # arguments: FILE
  grep -E '^digest [0-9a-f]{16} step [0-9]+$' "$1" | tail -n 1
}
digest_step() { digest_line "$1" | awk '{ print $4 }'; }

# Prints the meta-step of the newest checkpoint of a run, or -1 if the run has no checkpoint.
checkpoint_step() { # arguments: RUN
  local newest
  newest=$(cd "$1/checkpoints" 2>/dev/null && printf '%s\n' step-*.h5 | sort | tail -n 1)
  newest=${newest#step-} newest=${newest%.h5}
  case $newest in '' | *[!0-9]*) echo -1 ;; *) echo $((10#$newest)) ;; esac
}

# The function reads only the newest checkpoint, because a run deletes older checkpoints.
has_checkpoint_after() { [ "$(checkpoint_step "$1")" -gt "$2" ]; } # arguments: RUN STEP

# Prints how many meta-steps a stopped run has reported since its newest checkpoint. A resumed run repeats these
# meta-steps.
steps_beyond_checkpoint() { # arguments: RUN
  local last
  last=$(tail -q -n 1 "$1"/*.jsonl | grep -o '"meta_step":[0-9]*' | grep -o '[0-9]*$' | tail -n 1)
  echo $((${last:-0} - $(checkpoint_step "$1")))
}

# Prints the number of meta-steps of CONFIG that two ranks compute in about SECONDS on this machine.
steps_in() { # arguments: SECONDS CONFIG
  local code=0 done_steps
  "$WL_MPIEXEC" -n 2 "$WL_BIN" train "$2" --set output=calibration --time-limit 3s >calibration.out 2>calibration.err ||
    code=$?
  [ "$code" = "$EXIT_STOPPED" ] || { cat calibration.err >&2; fail "--time-limit 3s ended with $code"; }
  done_steps=$(digest_step calibration.out)
  rm -rf calibration
  [ "${done_steps:-0}" -ge 3 ] || fail "only ${done_steps:-0} meta-steps in 3 s"
  echo $((done_steps * $1 / 3))
}

# Prints the digest line of an uninterrupted run on two ranks.
straight_digest() { # arguments: CONFIG STEPS NAME [OPTIONS...]
  local config=$1 steps=$2 name=$3
  shift 3
  "$WL_MPIEXEC" -n 2 "$WL_BIN" train "$config" --set outer.steps="$steps" --set output="$name" "$@" \
    >"$name.out" 2>"$name.err" || { cat "$name.err" >&2; fail "the uninterrupted run failed"; }
  digest_line "$name.out"
}

wait_for() { # arguments: SECONDS CASE COMMAND...
  local deadline=$((SECONDS + $1)) what=$2
  shift 2
  until "$@"; do
    [ $SECONDS -lt $deadline ] || fail "timeout: waited for $what"
    sleep 0.1
  done
}
