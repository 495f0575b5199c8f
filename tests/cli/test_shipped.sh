# Runs commands of warploom on each configuration in jobs/. For each configuration, the test runs train --dry-run,
# ablate --dry-run, check, and a training of zero meta-steps. On the resulting run, the test runs `eval` with every
# value of --vary, `info` and `export`. The test reduces the sizes of tasks. The test replaces data sets that are not
# installed by the built-in data set.
set -euo pipefail
. "$WL_SOURCE/tests/harness/training.sh"

# Prints options that reduce the sizes in a configuration. The file FULL contains the configuration as --dry-run
# prints it. The options reduce the values of some keys of this configuration.
cuts() { # arguments: FULL
  awk 'BEGIN {
      small["task.widths"] = small["task.filters"] = small["rule.hidden"] = "[2]"
      small["task.batch"] = 2; small["task.eval_samples"] = 16; small["replay.capacity"] = 4
    }
    /^[a-z]/ { section = $1; sub(":", "", section); map = ""; maps = 0; next }
    /^- / { map = maps++ "."; next } # in a list of maps, the name of a key contains the position of the map in the list
    { name = $1; sub(":", "", name); key = section "." name }
    key in small && $2 != "[]" && $2 !~ /^0[.]?0?$/ { print "--set\n" section "." map name "=" small[key] }
    key == "window.steps" && $2 > 100 { print "--set\nwindow.steps=20\n--set\nepisode.steps=20" }
    key == "task.data" && $2 == "fashion-mnist" { print "--set\ntask." map "data=synthetic" }' "$1"
}

succeeds() { # arguments: CASE COMMAND...
  "${@:2}" >out 2>err </dev/null || { tail -n 3 err >&2; fail "$1"; }
}

# Some first-order configurations intentionally omit a term of the gradient. `check` must reject such a configuration
# and name the key that adds the term.
check_it() { # arguments: FILE NAME OPTIONS...
  local code=0
  "$WL_BIN" check "$1" --quiet --directions 1 "${@:3}" >out 2>err </dev/null || code=$?
  if [ $code = 78 ] && grep -q 'check with --set rule.through_inputs=true' err; then
    check_it "$@" --set rule.through_inputs=true
  elif [ $code = 78 ] && grep -q 'has no adjoint' err; then
    echo "ok: $2 has nothing to check: its rule is trained forward only"
  elif [ $code != 0 ]; then
    cat out err >&2
    fail "check $2: exit code $code"
  fi
}

# If a system consists of only one rule, and this rule is not the LSTM, `ablate` has no part to omit. `ablate` also
# rejects a mixture of tasks.
ablate_it() { # arguments: FILE NAME OPTIONS...
  local code=0
  "$WL_BIN" ablate "$1" --dry-run "${@:3}" >out 2>err </dev/null || code=$?
  [ $code = 0 ] || { [ $code = 78 ] && grep -qE 'nothing to leave out|not on a mixture' err; } || { tail -n 3 err >&2; fail "ablate $2"; }
}

try_config() { # arguments: FILE NAME
  local code=0 small
  "$WL_BIN" train "$1" --dry-run --quiet >full 2>err || code=$?
  if [ $code = 66 ]; then # the data set is not installed on this machine
    echo "ok: $2 names its data: $(tail -n 1 err | cut -c1-120)"
    missing=$((missing + 1))
    grep -q '^ *task:.*family: omniglot' "$1" && return 0
    succeeds "$2 with built-in data" "$WL_BIN" train "$1" --dry-run --quiet --set task.data=synthetic
    cp out full
  elif [ $code != 0 ]; then
    cat err >&2
    fail "train $2 --dry-run: exit code $code"
  fi
  mapfile -t small < <(cuts full)
  check_it "$1" "$2" "${small[@]}"
  ablate_it "$1" "$2" "${small[@]}"
  succeeds "train $2" "$WL_BIN" train "$1" --quiet "${small[@]}" --set outer.steps=0 --set "output=$2"
  local vary=(--vary horizon,width,depth,activation,data,scale)
  if grep -q "^- " full; then vary=(); fi # `eval` refuses --vary for a list of tasks
  succeeds "eval $2" "$WL_BIN" eval "$2" --quiet --no-picture --steps 1 --seeds 2 --units 1 --tune-units 1 "${vary[@]}"
  succeeds "eval $2 --learned-only" "$WL_BIN" eval "$2" --quiet --learned-only --steps 1 --seeds 2 --json -
  succeeds "info $2" "$WL_BIN" info "$2" --verify
  succeeds "export $2" "$WL_BIN" export "$2" --output "$2.h5"
  echo "ok: $2"
}

tried=0 missing=0
for file in "$WL_SOURCE"/jobs/*.yaml; do
  name=$(basename "$file" .yaml)
  try_config "$file" "$name"
  tried=$((tried + 1))
done
for file in "$WL_SOURCE"/jobs/trained/*.h5; do
  code=0
  "$WL_BIN" eval "$file" --quiet --learned-only --steps 1 --seeds 2 >out 2>err || code=$?
  [ $code = 0 ] || { [ $code = 66 ] && grep -q fashion-mnist err; } || { cat err >&2; fail "eval $file: exit code $code"; }
  echo "ok: $(basename "$file"), exit code $code"
done
for suite in "$WL_SOURCE"/jobs/suites/*.yaml; do
  code=0
  "$WL_BIN" eval --speedup "$suite" --baselines none --quiet >out 2>err || code=$?
  [ $code = 0 ] || { [ $code = 66 ] && grep -q fashion-mnist err; } || { cat err >&2; fail "eval --speedup $suite: exit code $code"; }
  echo "ok: $(basename "$suite"), exit code $code"
done
[ "$tried" -ge 10 ] || fail "only $tried configurations in jobs/"
echo "ok: $tried configurations, $missing without their data"
