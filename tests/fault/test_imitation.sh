# Checks imitation of a teacher. The tasks form a mixture, and the units begin their episodes at different meta-steps.
# The test covers each estimator that supports imitation. The digest must be the same on any number of ranks and
# threads. The digest must also be the same in two other cases: after a kill, and after a stop within episodes and a
# resume on another number of ranks.
set -euo pipefail
. "$WL_SOURCE/tests/harness/training.sh"
. "$WL_SOURCE/tests/fault/mlp_job.sh"

imitation() { # arguments: KEYS, the keys of the section `imitation`
  sed -i '/^imitation:/d' $name.yaml
  echo "imitation: {$1}" >>$name.yaml
}
for job in bptt 'nres, pairs: 2' 'pes, loss: telescoping' es; do
  name=${job%%,*}
  write_staggered_config $name.yaml
  sed -i -e 's/hidden: \[20, 20\]/hidden: [8]/' -e 's/steps: 20, units/steps: 12, units/' $name.yaml
  echo "curriculum: {steps: [15], every: 4, tasks: 1}" >>$name.yaml
  echo "estimator: {name: $job}" >>$name.yaml
  plain=$(train_on 1 $name.yaml $name-plain)
  imitation "teacher: adam, rate: 0.01, share: [0.5, 0.9], force: 0.8, cosine: 0.2, magnitude: 0.1, distance: 0.4, hold: 2, fade: 20"
  expected=$(train_on 1 $name.yaml $name)
  [ "$expected" != "$plain" ] || fail "$name: imitation changes nothing"
  expect_same "$name on 3 ranks" "$expected" "$(train_on 3 $name.yaml $name-three)"
  expect_same "$name with 2 threads on 2 ranks" "$expected" "$(train_on 2 $name.yaml $name-threads --set threads=2)"
  train_on 3 $name.yaml $name-cut --stop-after 7 >/dev/null
  expect_same "$name stopped on 3 ranks, ended on 2" "$expected" "$(train_on 2 $name.yaml $name-cut --resume)"
  [ $name = pes ] || continue
  imitation "teacher: muon, rate: 0.01, span: 1000, schedule: cosine, final_fraction: 0.01"
  kill_in_the_middle $name.yaml $name-killed
  train_on 3 $name.yaml $name-killed --resume --set outer.steps="$(($(checkpoint_step $name-killed) + 3))" >$name.killed
  steps=$(awk '{ print $4 }' $name.killed)
  expect_same "$name killed and resumed" "$(train_on 2 $name.yaml $name-long --set outer.steps="$steps")" "$(cat $name.killed)"
done

# For each episode, a random draw decides whether the episode imitates the teacher.
"$WL_PYTHON" - <<'P'
import h5py

with h5py.File("nres/checkpoints/step-00000012.h5") as file:
    assert set(file["units/imitates"][:]) == {0, 1}, file["units/imitates"][:]
    assert file["units/teacher_state"][:].any()
P
echo "ok: some episodes imitate"

refuse() { # arguments: PATTERN OPTIONS...
  local pattern=$1 code=0
  shift
  "$WL_BIN" train bptt.yaml --set output=refused "$@" >refused.out 2>refused.err || code=$?
  [ $code = 78 ] && grep -q -- "$pattern" refused.err || fail "$*: exit $code: $(cat refused.err)"
  echo "ok: refused: $*"
}
refuse 'set `order: first`' --set window.order=second
refuse 'distance is 1.2' --set imitation.cosine=0.7
refuse 'one for each of the 2 stages' --set imitation.share=[1,1,1]
refuse 'cannot imitate a teacher' --set estimator.name=mixture
refuse 'the teacher cannot have learned scalars' --set imitation.learn=[rate]
refuse 'larger than `hold`' --set imitation.fade=1
