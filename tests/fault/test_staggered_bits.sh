# Units with clocks of their own: the same bits on any ranks and threads, and after resumes within episodes.
set -euo pipefail
. "$WL_SOURCE/tests/harness/training.sh"
. "$WL_SOURCE/tests/fault/mlp_job.sh"

write_staggered_config job.yaml
expected=$(train_on 1 job.yaml straight)
for ranks in 2 3 5; do
  expect_same "$ranks ranks" "$expected" "$(train_on $ranks job.yaml on-$ranks)"
done
expect_same "2 threads" "$expected" "$(train_on 1 job.yaml threads --set threads=2)"
train_on 3 job.yaml cut --stop-after 7 >/dev/null
train_on 2 job.yaml cut --resume --stop-after 8 >/dev/null
expect_same "stopped on 3 ranks, on 2, ended on 5" "$expected" "$(train_on 5 job.yaml cut --resume)"

# The units are in the checkpoints whole, apart from one another.
"$WL_PYTHON" - <<'P'
import h5py

with h5py.File("straight/checkpoints/step-00000020.h5") as one, h5py.File("cut/checkpoints/step-00000020.h5") as other:
    assert len(set(one["units/inner_step"][:])) > 3, one["units/inner_step"][:]
    assert len(set(one["units/horizon"][:])) > 3, one["units/horizon"][:]
    for name in one["units"]:
        assert one["units"][name][:].tobytes() == other["units"][name][:].tobytes(), name
P
echo "ok: units are apart, and the same in both checkpoints"

code=0
"$WL_BIN" train job.yaml --set output=whole --set outer.every=episode >whole.out 2>whole.err || code=$?
[ $code = 78 ] && grep -q stagger whole.err || fail "staggered whole episodes ended with $code: $(cat whole.err)"
echo "ok: staggered whole episodes are refused"
