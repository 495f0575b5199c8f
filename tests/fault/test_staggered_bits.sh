# Checks units that begin their episodes at different meta-steps. The estimators are back-propagation and a
# forward-only estimator. The digest must be the same on any number of ranks and threads, and after resumes within
# episodes.
set -euo pipefail
. "$WL_SOURCE/tests/harness/training.sh"
. "$WL_SOURCE/tests/fault/mlp_job.sh"

for job in bptt 'nres, pairs: 2, loss: mean_and_last, transform: log' 'pes, loss: telescoping' mixture; do
  name=${job%%,*}
  write_staggered_config $name.yaml
  sed -i -e 's/hidden: \[20, 20\]/hidden: [8]/' -e 's/steps: 20, units/steps: 12, units/' $name.yaml
  echo "estimator: {name: $job}" >>$name.yaml
  expected=$(train_on 1 $name.yaml $name)
  [ $name = nres ] && counts="2 3 5" || counts=3
  for ranks in $counts; do
    expect_same "$name on $ranks ranks" "$expected" "$(train_on $ranks $name.yaml $name-$ranks)"
  done
  expect_same "$name with 2 threads on 2 ranks" "$expected" "$(train_on 2 $name.yaml $name-threads --set threads=2)"
  train_on 3 $name.yaml $name-cut --stop-after 7 >/dev/null
  expect_same "$name stopped on 3 ranks, ended on 5" "$expected" "$(train_on 5 $name.yaml $name-cut --resume)"
  [ $name = pes ] || continue
  kill_in_the_middle $name.yaml $name-killed --set trajectory.every=0
  train_on 3 $name.yaml $name-killed --resume --set outer.steps="$(($(checkpoint_step $name-killed) + 3))" >$name.killed
  steps=$(awk '{ print $4 }' $name.killed)
  expect_same "$name killed and resumed" "$(train_on 2 $name.yaml $name-long --set outer.steps="$steps")" "$(cat $name.killed)"
done

# For the rule small_fc and the estimator pes, each thread computes some of the particles of the units. If theta has
# more than 65,536 coordinates, each thread instead computes some of the tensors of one inner run.
write_staggered_config small_fc.yaml
sed -i -e 's/^rule: .*/rule: {name: small_fc, step_scale: 0.1}/' -e 's/steps: 20, units/steps: 6, units/' small_fc.yaml
echo 'estimator: {name: pes, loss: telescoping}' >>small_fc.yaml
expected=$(train_on 1 small_fc.yaml small_fc)
expect_same "small_fc by pes with 2 threads on 3 ranks" "$expected" "$(train_on 3 small_fc.yaml small_fc-both --set threads=2)"
train_on 3 small_fc.yaml small_fc-cut --stop-after 3 >/dev/null
expect_same "small_fc by pes stopped on 3 ranks, ended on 2" "$expected" "$(train_on 2 small_fc.yaml small_fc-cut --resume)"
sed -e '/quadratic/d' -e 's/\[8\], batch: 16, proportion: 0.5/[256, 256], batch: 16/' -e 's/window: {steps: 10/window: {steps: 2/' -e 's/steps: 6, units: 7/steps: 2, units: 2/' small_fc.yaml >wide.yaml
expect_same "small_fc by pes on wide layers with 2 threads" "$(train_on 1 wide.yaml wide)" "$(train_on 1 wide.yaml wide-threads --set threads=2)"

# The units must be at different inner steps of their episodes, and the units in both checkpoints must be equal.
"$WL_PYTHON" - <<'P'
import h5py

for name in ("bptt", "nres", "pes", "mixture"):
    path = "/checkpoints/step-00000012.h5"
    with h5py.File(name + path) as one, h5py.File(name + "-cut" + path) as other:
        assert len(set(one["units/inner_step"][:])) > 3, one["units/inner_step"][:]
        assert len(set(one["units/horizon"][:])) > 3, one["units/horizon"][:]
        for field in one["units"]:
            assert one["units"][field][:].tobytes() == other["units"][field][:].tobytes(), field
P
echo "ok: units have different clocks, and are equal in both checkpoints"

code=0
"$WL_BIN" train bptt.yaml --set output=whole --set outer.every=episode >whole.out 2>whole.err || code=$?
[ $code = 78 ] && grep -q stagger whole.err || fail "staggered whole episodes ended with $code: $(cat whole.err)"
echo "ok: staggered whole episodes are refused"
