#!/bin/bash
# Checks jobs/sweep.sh without a batch system. The sweep must run all combinations of settings. The results of the
# sweep must equal those of single trainings. The script must compare the runs, continue an interrupted sweep, and
# reject bad arguments.
. "$WL_SOURCE/tests/harness/training.sh"
export WARPLOOM=$WL_BIN WARPLOOM_PYTHON=${WL_PYTHON:-python3} WARPLOOM_LAUNCH="$WL_MPIEXEC -n 2"
sweep() { # arguments: CODE OUTPUT ARGS...
  local code=0
  "$WL_SOURCE/jobs/sweep.sh" "${@:3}" >"$2" 2>&1 || code=$?
  [ "$code" = "$1" ] || { cat "$2" >&2; fail "sweep.sh ${*:3}: exit code $code, expected $1"; }
}
has() { grep -qE -- "$2" "$1" || { cat "$1" >&2; fail "$1 does not say: $2"; }; }

write_config endless.yaml
sed 's/steps: 1000000, units: 6/steps: 6, units: 2/; s/dimension: 10/dimension: 4/; s/episode: .*/episode: {steps: 20}/' endless.yaml >job.yaml

sweep 0 list job.yaml --over rule.hidden=[4],[8,8] --over seed=1..3 --over 'task.distribution=gaussian,uniform' --dry-run
has list '^12 runs:'
has list $'^012_hidden=8-8_seed=3_distribution=uniform\trule.hidden=\\[8,8\\]\tseed=3\ttask.distribution=uniform$'
[ "$(sort -u list | wc -l)" = 13 ] || fail "combinations are repeated: $(cat list)"

export RUN=swept
sweep 0 out job.yaml --over outer.learning_rate=1e-4,3e-3 --over seed=1..2 --set rule.hidden=[4] --local
for line in "001_learning_rate=1e-4_seed=1 1e-4 1" "002_learning_rate=1e-4_seed=2 1e-4 2" "003_learning_rate=3e-3_seed=1 3e-3 1" \
  "004_learning_rate=3e-3_seed=2 3e-3 2"; do
  read -r name rate seed <<<"$line"
  expected=$("$WL_BIN" train job.yaml --quiet --set "outer.learning_rate=$rate" --set "seed=$seed" --set rule.hidden=[4] --set output=single)
  expect_same "digest of $name" "$expected" "$(tail -n 1 "swept/$name.out")"
done
has swept/comparison.txt 'Final losses on fresh tasks'
has swept/comparison.txt '^Settings, the best first'
"$WARPLOOM_PYTHON" - <<'P' || fail "the comparison by settings is wrong"
import json, statistics
c = json.load(open("swept/comparison.json"))
of = {}
for run in c["runs"]:
    rate = float(run["run"].split("learning_rate=")[1].split("_")[0])
    of.setdefault(rate, []).append(run["evaluation"]["final_loss"]["learned (lstm)"])
got = [(float(row["setting"]["outer.learning_rate"]), row["runs"], row["mean"]) for row in c["over_settings"]]
expected = sorted(((rate, len(losses), statistics.mean(losses)) for rate, losses in of.items()), key=lambda row: row[2])
assert len(got) == 2 and all(a[:2] == b[:2] and abs(a[2] - b[2]) <= 1e-9 * abs(b[2]) for a, b in zip(got, expected)), (got, expected)
P
[ -s swept/training.png ] && [ -s swept/comparison.json ] || fail "no picture or no JSON of the comparison"

# If a run is missing, the sweep must train it again without changing the other runs.
rm -r swept/004*
touch -d '1 hour ago' swept/001*/config.yaml
sweep 0 again job.yaml --over outer.learning_rate=1e-4,3e-3 --over seed=1..2 --set rule.hidden=[4] --local
expect_same "the digest after continuing" "$(sed -n 's/^004[^:]*: //p' out)" "$(sed -n 's/^004[^:]*: //p' again)"

# If one run fails, the other runs must finish, and the exit code must report the failure.
export RUN=failing
mkdir failing
: >failing/001_seed=1
sweep 73 failed job.yaml --over seed=1..3 --local
has failed '^001_seed=1: ended with code 73'
has failed '1 of 3 runs failed: 001_seed=1'
has failed '^2 runs:'

sweep 78 refused job.yaml --over outer.learning_rate=1e-4,fast --local
has refused 'nothing was started: 002_learning_rate=fast'
sweep 64 refused job.yaml --local
has refused 'no --over'
sweep 64 refused job.yaml --over seed=1,,2 --dry-run
has refused 'an empty value'
sweep 66 refused absent.yaml --over seed=1,2
