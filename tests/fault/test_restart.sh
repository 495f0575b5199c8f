# Checks episodes that restart from a stored state. The tasks form a mixture. The estimators are back-propagation and
# forward-only estimators. The digest must be the same on any number of ranks and threads. The digest must also be the
# same in three other cases: after a stop and a resume on another number of ranks, after a kill, and after interrupted
# meta-steps.
set -euo pipefail
. "$WL_SOURCE/tests/harness/training.sh"
. "$WL_SOURCE/tests/fault/mlp_job.sh"

for job in bptt 'nres, pairs: 2' 'pes, loss: telescoping'; do
  name=${job%%,*}
  write_staggered_config $name.yaml
  sed -i -e 's/hidden: \[20, 20\]/hidden: [8]/' -e 's/steps: 20, units/steps: 24, units/' -e 's/stagger: true/&, restart: 0.8/' $name.yaml
  echo "estimator: {name: $job}" >>$name.yaml
  [ $name != nres ] || echo "imitation: {teacher: adam, rate: 0.01, share: 0.5, distance: 0.5}" >>$name.yaml
  expected=$(train_on 1 $name.yaml $name)
  [ "$(train_on 1 $name.yaml $name-plain --set episode.restart=0)" != "$expected" ] || fail "$name: restarts change nothing"
  expect_same "$name on 3 ranks" "$expected" "$(train_on 3 $name.yaml $name-three)"
  expect_same "$name with 2 threads on 2 ranks" "$expected" "$(train_on 2 $name.yaml $name-threads --set threads=2)"
  for cut in 11 17; do
    train_on 3 $name.yaml $name-$cut --stop-after $cut >/dev/null
    expect_same "$name stopped on 3 ranks, ended on 2" "$expected" "$(train_on 2 $name.yaml $name-$cut --resume)"
  done
  [ $name = nres ] || continue
  kill_in_the_middle $name.yaml $name-killed
  train_on 3 $name.yaml $name-killed --resume --set outer.steps="$(($(checkpoint_step $name-killed) + 9))" >$name.killed
  steps=$(awk '{ print $4 }' $name.killed)
  expect_same "$name killed and resumed" "$(train_on 2 $name.yaml $name-long --set outer.steps="$steps")" "$(cat $name.killed)"
  # SIGUSR1 interrupts a meta-step within its windows. The checkpoint must contain the state before this meta-step.
  # The loop first waits for a checkpoint that the running process has written. If the process received SIGUSR1
  # earlier, before it has installed its signal handler, the signal would kill it.
  for turn in 1 2 3; do
    before=$(checkpoint_step $name-left)
    "$WL_BIN" train $name.yaml --quiet --resume --set output=$name-left --set outer.steps=1000000 >left.out 2>&1 &
    left=$!
    wait_for 60 "a checkpoint of $name-left" has_checkpoint_after $name-left $((before + 8))
    kill -USR1 $left
    code=0
    wait $left || code=$?
    [ $code = 75 ] || { cat left.out >&2; fail "SIGUSR1: exit $code"; }
  done
  train_on 2 $name.yaml $name-left --resume --set outer.steps="$(($(checkpoint_step $name-left) + 9))" >$name.left
  steps=$(awk '{ print $4 }' $name.left)
  expect_same "$name left and resumed" "$(train_on 1 $name.yaml $name-long2 --set outer.steps="$steps")" "$(cat $name.left)"
done

# A restarted episode must use the task of an earlier episode and begin with a stored state of this earlier episode.
"$WL_PYTHON" - <<'P'
import h5py
import numpy as np

for name in ("bptt", "nres", "pes"):
    with h5py.File(name + "/checkpoints/step-00000024.h5") as file, h5py.File(name + "-17/checkpoints/step-00000024.h5") as other:
        origin, episode = file["restart/origin"][:], file["units/episode"][:]
        assert (origin <= episode).all() and (origin < episode).sum() > 1, (origin, episode)
        assert (file["restart/stored"][:] > 0).any() and np.isfinite(file["units/stored_theta"][:]).all()
        assert (file["units/horizon"][:] > 50).any(), file["units/horizon"][:]
        for field in file["units"]:
            assert file["units"][field][:].tobytes() == other["units"][field][:].tobytes(), field
P
echo "ok: episodes restart, and units are the same in both checkpoints"

code=0
"$WL_BIN" train bptt.yaml --set output=whole --set episode.stagger=false >whole.out 2>whole.err || code=$?
[ $code = 78 ] && grep -q 'set `stagger: true`' whole.err || fail "restarts without stagger ended with $code: $(cat whole.err)"
echo "ok: restarts without stagger are refused"
