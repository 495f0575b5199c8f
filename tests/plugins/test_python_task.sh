#!/bin/bash
# Checks the task family `python` with a task in NumPy. The test covers gradients, evaluation, and digests. The
# digests must be the same on several ranks and threads, and after a kill and a resume. The test also covers three
# errors: a wrong module, a Python process that ends, and a Python process that does not answer.
. "$WL_SOURCE/tests/harness/training.sh"
: "${WL_PYTHON:?}"
"$WL_PYTHON" -c 'import numpy' || skip "no NumPy"
cp "$WL_SOURCE"/examples/plugins/valley_numpy.{py,yaml} .
interpreter=(--set "task.python=$WL_PYTHON")

"$WL_BIN" check valley_numpy.yaml "${interpreter[@]}" >check.out 2>check.err || { cat check.* >&2; fail "check"; }
grep -q '^All passed' check.out || fail "check: $(cat check.out)"
[ ! -s check.err ] || ! grep -q Traceback check.err || fail "a traceback without an error: $(cat check.err)"

# The gradient from Python must equal the gradient of the built-in family with the same loss. This loss is Rosenbrock's
# function with curvature 1, divided by the number of its terms. The Python task and the built-in task start at the
# same values of theta.
cat >ones.py <<'P'
import numpy as np
from valley_numpy import Valley


class Ones(Valley):
    def sample(self, rng):
        return np.ones(self.parameters["x"][0] - 1)

    def start(self, rng):
        return {"x": np.array([-1.2, 1.0] * 3)}


def make_task():
    return Ones(6)
P
descend() { # arguments: NAME TASK
  printf 'seed: 1\ntask: %s\nrule: {name: sgd, rate: 0.05, learn: [rate], learn_per: step}\nepisode: {steps: 10}\nwindow: {steps: 10, weights: mean}\nouter: {steps: 5, units: 1, learning_rate: 1e-2}\n' "$2" >"$1.yaml"
  "$WL_BIN" train "$1.yaml" --set output="$1" --quiet >"$1.out" || fail "$1"
}
descend theirs "{family: rosenbrock, dimension: 6, curvature: 1, start: classic, loss_scale: 0.2}"
descend ours "{family: python, module: ./ones.py, python: $WL_PYTHON}"
"$WL_PYTHON" - <<'P' || fail "the Python task and the built-in one differ"
import json
losses = [[json.loads(line)["meta_loss"] for line in open(f"{name}/metrics.jsonl")] for name in ("theirs", "ours")]
worst = max(abs(a - b) / abs(a) for a, b in zip(*losses, strict=True))
print(f"ok: meta-losses of 5 meta-steps agree to {worst:.1e} with the built-in family")
assert len(losses[0]) == 5 and worst < 1e-5 and losses[0][0] != losses[0][4]
P

for run in "1 1" "1 2" "2 1"; do
  set -- $run
  "$WL_MPIEXEC" -n $1 "$WL_BIN" train valley_numpy.yaml "${interpreter[@]}" --set outer.steps=12 --set threads=$2 \
    --set output=run-$1-$2 --quiet >run-$1-$2.out
  expect_same "$1 ranks, $2 threads" "$(digest_line run-1-1.out)" "$(digest_line run-$1-$2.out)"
done
"$WL_BIN" train valley_numpy.yaml "${interpreter[@]}" --set outer.steps=100000 --set checkpoint.every=4 --set output=killed --quiet &
wait_for 60 "a checkpoint" has_checkpoint_after killed 0
kill -9 $!
wait $! 2>/dev/null || true
reached=$(checkpoint_step killed)
"$WL_MPIEXEC" -n 2 "$WL_BIN" train valley_numpy.yaml "${interpreter[@]}" --set outer.steps=$((reached + 4)) --set output=killed --resume --quiet >killed.out
whole=$(straight_digest valley_numpy.yaml $((reached + 4)) whole "${interpreter[@]}")
expect_same "killed and resumed" "$whole" "$(digest_line killed.out)"

"$WL_BIN" eval run-1-1 --seeds 2 --units 1 --steps 5 --learned-only --no-picture --quiet >eval.out 2>eval.err || { cat eval.err >&2; fail "eval"; }
grep -q 'learned (sgd)' eval.out || fail "eval: $(cat eval.out)"
sed -i 's/rng.uniform(-1.0, 1.0/rng.uniform(-1.0, 1.1/' valley_numpy.py
code=0
"$WL_BIN" train valley_numpy.yaml "${interpreter[@]}" --set output=run-1-1 --resume >changed.out 2>changed.err || code=$?
[ $code = 78 ] && grep -q 'task.module_hash: ' changed.err || fail "a resume with another module: code $code, $(cat changed.err)"

no_process_left() {
  local process
  for process in $(pgrep -f 'fileno=3'); do
    [ "$(readlink "/proc/$process/cwd")" != "$PWD" ] || return 1
  done
}
refused() { # arguments: CASE CODE PATTERN MODULE [OPTIONS...]
  local what=$1 expected=$2 pattern=$3 code=0
  { printf 'import os, signal, time\nimport numpy as np\nfrom valley_numpy import Valley, make_task\n'; echo "$4"; } >bad.py
  shift 4
  timeout 60 "$WL_MPIEXEC" -n 2 "$WL_BIN" train valley_numpy.yaml --set task.module=bad.py "${interpreter[@]}" --set output=bad "$@" \
    >bad.out 2>bad.err || code=$?
  [ $code = "$expected" ] || fail "$what: code $code, not $expected: $(cat bad.err)"
  grep -q "$pattern" bad.err || fail "$what: no '$pattern' in $(cat bad.err)"
  wait_for 10 "the end of all Python processes" no_process_left
  echo "ok: $what"
}
change() { printf 'class Changed(Valley):\n    def loss(self, parameters, problem, rng, split):\n        %s\n        return Valley.loss(self, parameters, problem, rng, split)\ndef make_task(dimension=6):\n    return Changed(dimension)\n' "$1"; }
refused "a module that does not import" 78 "error: rank 0: .*task.module.: Python: ModuleNotFoundError: .*no_such_module.*bad.py:4" 'import no_such_module'
refused "no function" 78 "has no function 'absent'" '' --set task.function=absent
refused "wrong arguments" 78 "unexpected keyword argument 'width'" '' --set 'task.arguments=[width=3]'
refused "no module" 66 "key 'task.module': cannot read '.*no.py'" '' --set task.module=no.py
refused "no interpreter" 78 "cannot be run" '' --set task.python=/no/python3
printf '#!/bin/sh\nexec "%s" -S "$@"\n' "$WL_PYTHON" >without_numpy && chmod +x without_numpy
refused "no NumPy" 78 "NumPy is needed: set the key .python. to an interpreter with NumPy" '' --set task.python="$PWD/without_numpy"
refused "second order" 78 "window.order.*has only first derivatives" '' --set window.order=second
refused "an exception on a rank" 65 "^rank [01]: ZeroDivisionError: division by zero" "$(change '1 / 0 if problem[0] > 1.5 else 0')"
grep -q "error: rank [01]: Python: ZeroDivisionError: division by zero (.*bad.py:[0-9]*, in loss)" bad.err || fail "no rank or place: $(cat bad.err)"
refused "a gradient of another shape" 65 "gradient of 'x' has the shape (2,), but the parameter has (6,)" "$(change "return 0.0, {'x': np.zeros(2)}")"
refused "a process that is killed" 71 "ended by signal 9" "$(change 'os.kill(os.getpid(), signal.SIGKILL)')"
refused "a process that exits" 71 "ended with exit code 3" "$(change 'os._exit(3)')"
refused "no answer in time" 71 "did not answer within 1 s" "$(change 'time.sleep(30)')" --set task.timeout=1
