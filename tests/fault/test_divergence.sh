# Checks a training that diverges. The training must end with the exit code 69 and the error message for divergence.
# The meta-step at which the training ends must not depend on the number of ranks or on a resume. The program must
# warn at the first meta-step that omits units. The last checkpoint before the divergence must remain.
. "$WL_SOURCE/tests/harness/training.sh"
EXIT_DIVERGED=69

# The rule does not change during the first ten meta-steps, and the training diverges at meta-step 11.
cat >job.yaml <<'Y'
seed: 1
threads: 1
task: {family: quadratic, dimension: 6, batch: 8}
rule: {name: lstm, hidden: [6], preprocessing: none, gradient_scale: 1.0, output_scale: 1.0, momentum: 0}
episode: {steps: 20}
window: {steps: 10, weights: sum}
outer: {steps: 60, units: 3}
groups: [{group: rule, learning_rate: 1e30, from_step: 10}]
checkpoint: {every: 2, keep: 2}
Y

# Trains on RANKS ranks with the output folder RUN, and prints the exit code.
code_of() { # arguments: RANKS RUN [OPTIONS...]
  local launch=("$WL_MPIEXEC" -n "$1") run=$2 code=0
  [ "$1" -gt 1 ] || launch=()
  shift 2
  timeout -k 2 100 "${launch[@]}" "$WL_BIN" train job.yaml --set output="$run" "$@" >"$run.out" 2>"$run.err" || code=$?
  echo $code
}
checkpoints() { (cd "$1/checkpoints" && echo step-*); }

for ranks in 1 2; do
  expect_same "exit code on $ranks ranks" $EXIT_DIVERGED "$(code_of $ranks on-$ranks)"
  expect_same "checkpoints on $ranks ranks" "step-00000010.h5 step-00000030.h5 step-00000031.h5" "$(checkpoints on-$ranks)"
  [ "$(grep -c 'warploom: error' on-$ranks.err)" = 1 ] || fail "not one error"
  grep -q "error: the training diverged at meta-step 11 of 60.*meta-steps below 11 are valid" on-$ranks.err ||
    fail "the error does not say when: $(grep error on-$ranks.err)"
  grep -q "warning: meta-step 12: 3 of 3 units became non-finite" on-$ranks.err || fail "no warning at the first skipped units"
  [ ! -e on-$ranks/optimizer.h5 ] || fail "a diverged optimizer is exported"
done
expect_same "exit code when stopped" $EXIT_STOPPED "$(code_of 2 split --stop-after 19)"
expect_same "exit code when resumed" $EXIT_DIVERGED "$(code_of 1 split --resume)"
expect_same "checkpoints when resumed" "$(checkpoints on-1)" "$(checkpoints split)"
expect_same "exit code when resumed once more" $EXIT_DIVERGED "$(code_of 1 split --resume)"
expect_same "exit code at the run's end" $EXIT_DIVERGED "$(code_of 1 end --set outer.steps=24)"
expect_same "exit code with endless patience" 0 "$(code_of 1 patient --set outer.patience=0)"
expect_same "exit code with finite units" 0 "$(code_of 1 finite --set outer.steps=9)"

# A resume must be rejected if the learning rate differs from that of the run. A new run that starts from a checkpoint
# before the divergence must use the meta-parameters of this checkpoint.
lower="--set groups.learning_rate=1e-3"
expect_same "exit code with another rate" 78 "$(code_of 1 split --resume $lower)"
grep -q 'groups.learning_rate.*`start`' split.err || fail "the error does not name the correction: $(cat split.err)"
expect_same "exit code from the last valid checkpoint" 0 "$(code_of 2 new --set start=split/checkpoints/step-00000010.h5 $lower)"
expect_same "exit code from the diverged checkpoint" $EXIT_DIVERGED "$(code_of 1 lost --set start=split $lower)"
beyond="--set groups.optimizer=sgd --set groups.learning_rate=1e308"
expect_same "exit code beyond the largest number" $EXIT_DIVERGED "$(code_of 1 infinite $beyond)"
grep -q "error: .*meta-step 11 of 60: since then its meta-parameters are not finite" infinite.err ||
  fail "the error does not say what is not finite: $(cat infinite.err)"
expect_same "exit code from a file that is not finite" 65 "$(code_of 1 nowhere --set start=infinite)"
grep -q "'infinite/checkpoints/step-00000011.h5'.*not finite" nowhere.err || fail "the file is not named: $(cat nowhere.err)"
grep -q 'error: no unit.*set `start` to a checkpoint from before' lost.err || fail "the error does not name the start: $(cat lost.err)"
grep -q "warning" finite.err && fail "a warning without skipped units: $(cat finite.err)"
exit 0
