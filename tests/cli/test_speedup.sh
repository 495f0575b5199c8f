# Checks `eval --speedup`. Curves and tables must be the same on any number of ranks. The reported values must follow
# the protocol of the documentation. The test computes the reported values a second time from the file of curves. The
# speed-up of the baseline relative to itself must be 1. The speed-up of a diverging rule must be 0. If tasks are
# added to a suite, `eval` must reuse the curves that it has already computed.
set -euo pipefail
. "$WL_SOURCE/tests/harness/training.sh"

cat >small.yaml <<'C'
suite: small
seeds: 3
evaluate_batches: 0
smoothing: 0
tasks:
  - {name: quadratic, horizons: [20, 50], family: quadratic, dimension: 4, batch: 4}
  - {name: perceptron, horizons: [30], family: mlp, data: synthetic, widths: [3], batch: 8, eval_samples: 32}
C
sed 's/suite: small/suite: smooth/; s/evaluate_batches: 0/evaluate_batches: 2/; s/smoothing: 0/smoothing: 0.9/; /perceptron/d' small.yaml >smooth.yaml
sed 's/suite: small/suite: growing/; s/smoothing: 0/smoothing: 0.9/; /perceptron/d' small.yaml >growing.yaml
sed 's/seeds: 3/seeds: 1/; s/suite: small/suite: one/' small.yaml >one.yaml
# the tuned rules run for 100 steps instead of ten times the longest horizon, and only four of the 15 learning rates
# are tried
sed 's/suite: small/suite: short\nreach: 2/; s/name: quadratic,/&  rates: [1e-3, 0.0316],/; /perceptron/d' small.yaml >short.yaml

run() { # arguments: RANKS REPORT ARGUMENTS...
  "$WL_MPIEXEC" -n "$1" "$WL_BIN" eval "${@:3}" --no-picture --output "$2.json" >"$2.out" 2>"$2.err" || { cat "$2.err" >&2; fail "$2"; }
}
learned=$WL_SOURCE/jobs/trained/quadratic-gaussian.h5
run 2 two "$learned" --speedup small.yaml --baselines adam,nesterov,muon-linear,nadamw-cosine --curves two.h5
run 1 again "$learned" --speedup small.yaml --baselines adam,nesterov,muon-linear,nadamw-cosine --curves again.h5
run 1 smooth "$learned" --speedup smooth.yaml
# Here, the steps at which losses are recorded are increasingly far apart instead of every ten steps.
run 1 growing "$learned" --speedup growing.yaml

# --reach selects shorter curves for the tasks of the same suite
run 1 once "$learned" --speedup small.yaml --baselines adam,adam-linear --reach 1 --curves once.h5
"$WL_PYTHON" - <<'P' || fail "--reach 1 gives wrong curves"
import h5py
with h5py.File("once.h5") as once, h5py.File("two.h5") as two:
    a, b = once["quadratic/adam"], two["quadratic/adam"]
    n = len(a["steps"])
    assert a["steps"][-1] == 50 and list(once["quadratic/adam-linear/steps"]) == [20, 50]
    assert (a["steps"][: n - 1] == b["steps"][: n - 1]).all()
    assert (a["loss"][:, : n - 1] == b["loss"][:, : n - 1])[6:10].all()
P

run 2 short "$learned" --speedup short.yaml --baselines adam,adam-linear --curves short.h5
"$WL_PYTHON" - <<'P' || fail "the keys reach and rates of a suite give wrong curves"
import h5py, numpy as np
with h5py.File("short.h5") as short, h5py.File("two.h5") as two:
    a, b = short["quadratic/adam"], two["quadratic/adam"]
    n = len(a["steps"])
    assert a["steps"][-1] == 100 and list(short["quadratic/adam-linear/steps"]) == [20, 40, 50, 100]
    assert (a["steps"][: n - 1] == b["steps"][: n - 1]).all()
    assert np.isnan(a["loss"][:8]).all() and np.isnan(a["loss"][12:]).all() and (a["diverged"][:] == 0).all()
    assert (a["loss"][8:12, : n - 1] == b["loss"][8:12, : n - 1]).all()
P

# trains for zero meta-steps, so the evaluated learned rule is a hand-designed rule
system() { # arguments: NAME RULE
  printf 'threads: 1\noutput: %s\ntask: {family: quadratic, dimension: 4, batch: 4}\nrule: %s\nepisode: {steps: 20}\nwindow: {steps: 5}\nouter: {steps: 0, units: 1}\n' "$1" "$2" >"$1.yaml"
  "$WL_BIN" train "$1.yaml" --quiet >/dev/null
}
"$WL_BIN" eval --speedup one.yaml >/dev/null 2>&1
rate=$("$WL_PYTHON" - <<'P'
import h5py, numpy as np
with h5py.File("one.h5") as file:
    steps, loss = file["quadratic/adam/steps"][:], file["quadratic/adam/loss"][:]
print(repr(10 ** ((-14 + int(np.nanargmin(loss[:, list(steps).index(20)]))) / 2)))
P
)
system adam "{name: adam, rate: $rate, learn: [rate]}"
system wild "{name: sgd, rate: 1e9, learn: [rate]}"
run 1 same adam --speedup one.yaml
run 1 wild wild --speedup one.yaml

"$WL_PYTHON" - <<'P' || fail "the figures do not follow the protocol"
import json, math
import h5py, numpy as np

def close(a, b, tolerance=1e-9):
    return a is not None and abs(a - b) <= tolerance * max(1.0, abs(b))

def envelope(name, steps, loss, smoothing):
    best = np.full(len(steps), np.inf)
    for row in loss:
        mean = row[0]
        for k, x in enumerate(row):
            keep = 0.0 if "-" in name or k == 0 else smoothing ** ((steps[k] - steps[k - 1]) / 10)
            mean = keep * mean + (1 - keep) * x if keep else x
            if mean < best[k]:
                best[k] = mean
    return np.minimum.accumulate(best)

def middle_mean(values):
    values = sorted(values)
    cut = len(values) // 4
    return np.mean(values[cut:len(values) - cut])

def steps_to(name, steps, best, f):
    if not (best <= f).any():
        return float(steps[-1]), True
    k = int(np.argmax(best <= f))
    if k == 0 or not np.isfinite(best[k - 1]):
        return float(steps[k]), False
    share = (best[k - 1] - f) / (best[k - 1] - best[k])
    a, b = float(steps[k - 1]), float(steps[k])
    return (a * (b / a) ** share if "-" in name else a + share * (b - a)), False

def check(report, curves, smoothing, baselines):
    data = json.load(open(report + ".json"))
    finals = {(c["task"], c["steps"]): c["final_loss_of_seed"] for c in data["cells"]}
    seconds = {(c["task"], c["steps"]): c["seconds_of_a_step"] for c in data["cells"]}
    assert {t["baseline"] for t in data["tables"]} == set(baselines), [t["baseline"] for t in data["tables"]]
    with h5py.File(curves) as file:
        for table in data["tables"]:
            values, walls, ratios, name, caps = [], [], [], table["baseline"], 0
            for cell in table["cells"]:
                group = file[f"{cell['task']}/{name}"]
                steps, loss = group["steps"][:], group["loss"][:]
                assert loss.shape[0] == 15 and (np.diff(steps) > 0).all() and steps[-1] >= 10 * cell["steps"]
                best, at = envelope(name, steps, loss, smoothing), (cell["task"], cell["steps"])
                ratios.append(np.mean(finals[at]) / best[steps <= cell["steps"]][-1])
                assert close(cell["loss_ratio"], ratios[-1]), (name, at, cell["loss_ratio"], ratios[-1])
                assert cell["seconds_of_a_step"] > 0
                factor = cell["seconds_of_a_step"] / seconds[at]
                assert all(close(wall, factor * got) for wall, got in zip(cell["wall_clock_speedup"], cell["speedup"]))
                walls += cell["wall_clock_speedup"]
                for f, got, capped in zip(finals[at], cell["speedup"], cell["capped"]):
                    t, off = steps_to(name, steps, best, f)
                    ratio = t / cell["steps"]
                    assert close(got, min(ratio, 10.0)), (name, cell["task"], cell["steps"], got, ratio)
                    assert capped == (off or ratio > 10)
                    caps += capped
                    values.append(got)
            assert close(table["interquartile_mean"]["value"], middle_mean(values))
            assert close(table["wall_clock_interquartile_mean"]["value"], middle_mean(walls))
            of_losses = table["loss_ratio"]
            lower, ties = sum(r < 0.99 for r in ratios), sum(abs(r - 1) <= 0.01 for r in ratios)
            assert (of_losses["lower"], of_losses["ties"], of_losses["higher"]) == (lower, ties, len(ratios) - lower - ties)
            assert close(of_losses["median"], np.median(ratios)) and close(of_losses["worst"], max(ratios))
            assert close(table["median"]["value"], np.median(values)) and table["capped"] == caps
            for key in ("interquartile_mean", "median", "wall_clock_interquartile_mean"):
                assert table[key]["low"] <= table[key]["value"] <= table[key]["high"], (name, key, table[key])
            assert len(set(values)) < 2 or table["interquartile_mean"]["low"] < table["interquartile_mean"]["high"]

names = ["adam", "nesterov", "muon-linear", "nadamw-cosine"]
check("two", "two.h5", 0.0, names)
check("smooth", "smooth.h5", 0.9, ["adam"])
check("growing", "growing.h5", 0.9, ["adam"])
with h5py.File("two.h5") as a, h5py.File("again.h5") as b:
    for task in a:
        for name in names:
            for key in ("steps", "loss", "diverged"):
                x, y = (np.asarray(f[f"{task}/{name}/{key}"]) for f in (a, b))
                assert x.tobytes() == y.tobytes(), f"{task}/{name}/{key} depends on the number of ranks"
    assert list(a["quadratic/adam/steps"][-1:]) == [500] and a["quadratic/nesterov/diverged"][-1] == 3
with h5py.File("smooth.h5") as file:
    assert list(file["quadratic/adam/steps"][:3]) == [10, 20, 30]
two, again, same, wild = (json.load(open(f"{n}.json")) for n in ("two", "again", "same", "wild"))
assert [c["final_loss_of_seed"] for c in two["cells"]] == [c["final_loss_of_seed"] for c in again["cells"]]
assert abs(same["tables"][0]["cells"][0]["speedup"][0] - 1) < 0.03, same["tables"][0]["cells"][0]
assert wild["diverged"] >= 2 and wild["tables"][0]["cells"][0]["speedup"] == [0.0], wild["diverged"]
assert all(c["seconds_of_a_step"] > 0 for c in two["cells"])
P

# If the ranks read different files of curves, `eval` must end with an error. If `eval` did not compare the files, the
# ranks would wait for each other forever.
mkdir rank0 rank1
cp one.h5 rank0/
code=0
timeout 60 "$WL_MPIEXEC" -n 2 bash -c 'cd rank${OMPI_COMM_WORLD_RANK:-$PMI_RANK} && exec "$WL_BIN" eval --speedup ../one.yaml --curves one.h5' >/dev/null 2>apart || code=$?
[ $code != 0 ] && [ $code != 124 ] && grep -q "file of its curves, differs" apart || fail "ranks with different files: exit code $code, $(cat apart)"

# `eval` adds the curves of the second file to those of the first file, and the results omit tasks that have no curve
run 1 merged "$learned" --speedup small.yaml --baselines none --curves merged.h5,two.h5
run 1 kept "$learned" --speedup small.yaml --baselines none --curves merged.h5
sed '/perceptron/p; s/name: perceptron/name: another/' small.yaml >partly.yaml
run 1 partly "$learned" --speedup partly.yaml --baselines none --curves merged.h5
"$WL_PYTHON" - <<'P' || fail "curves of several files"
import json
two, merged, kept, partly = (json.load(open(f"{n}.json")) for n in ("two", "merged", "kept", "partly"))
values = lambda report: [(t["baseline"], t["interquartile_mean"], t["judged_cells"], [c["speedup"] for c in t["cells"]]) for t in report["tables"]]
assert values(two) == values(merged) == values(kept) == values(partly), "speed-ups"
assert len(partly["cells"]) == 4 and all(t["judged_cells"] == 3 for t in partly["tables"])
assert json.dumps(merged["tables"][0]["loss_ratio"]) and merged["tables"][0]["loss_ratio"]["worst"] == max(c["loss_ratio"] for c in two["tables"][0]["cells"])
strongest = two["strongest"]
for i, cell in enumerate(strongest["cells"]):
    rules = {t["baseline"]: t["cells"][i]["loss_ratio"] for t in two["tables"]}
    assert cell["loss_ratio"] == max(rules.values()) == rules[cell["baseline"]], (cell, rules)
ratios = sorted(c["loss_ratio"] for c in strongest["cells"])
assert len(ratios) == 3 and strongest["loss_ratio"]["median"] == ratios[1] and strongest["loss_ratio"]["worst"] == ratios[2]
P

# a table that is computed from shorter curves is marked as such, until a command computes the complete curves
run 1 bound "$learned" --speedup small.yaml --baselines none --curves once.h5
grep -q "adam: some runs end before 10 times the horizon" bound.out || fail "no word about shorter curves"
run 1 longer "$learned" --speedup small.yaml --baselines adam --curves once.h5
"$WL_PYTHON" - <<'P' || fail "curves of --reach are used as complete curves"
import json
bound, longer, two = (json.load(open(f"{n}.json")) for n in ("bound", "longer", "two"))
table = lambda report, rule: next(t for t in report["tables"] if t["baseline"] == rule)
assert table(bound, "adam")["lower_bound"] and not table(longer, "adam")["lower_bound"] and table(longer, "adam-linear")["incomplete"] and not table(longer, "adam-linear")["lower_bound"]
assert [c["speedup"] for c in table(longer, "adam")["cells"]] == [c["speedup"] for c in table(two, "adam")["cells"]]
P

# a task is added to one suite, and then a task of a suite changes
printf '  - {name: more, horizons: [10], family: quadratic, dimension: 2, batch: 2}\n' >>small.yaml
"$WL_BIN" eval --speedup small.yaml --curves two.h5 >/dev/null 2>grown
expect_same "what a task more computes" "task more: running adam with 15 rates and 3 seeds" "$(cat grown)"
sed -i 's/dimension: 4/dimension: 5/' small.yaml
"$WL_BIN" eval --speedup small.yaml --curves two.h5 >/dev/null 2>changed
expect_same "what a changed task computes" "task quadratic: running adam with 15 rates and 3 seeds" "$(grep -v warning: changed)"
grep -q "warning: two.h5 .* renamed to two-previous-1.h5" changed || fail "no warning about curves of a changed task: $(cat changed)"
"$WL_PYTHON" - <<'P' || fail "curves of a changed task are lost"
import h5py
with h5py.File("two-previous-1.h5") as old, h5py.File("two.h5") as new:
    rules = lambda task: {name for name in task if name != "definition" and "steps" in task[name]}
    assert rules(old["quadratic"]) == {"adam", "nesterov", "muon-linear", "nadamw-cosine"}, set(old["quadratic"])
    assert rules(new["quadratic"]) == {"adam"} and rules(new["more"]) == {"adam"}
    assert rules(old["perceptron"]) == rules(new["perceptron"]) == rules(old["quadratic"])
P

# A horizon is added to a task whose curves are long enough for it. The curves of rules with a constant rate are used
# again. A rule with a schedule has no run of the new length.
sed -i 's/horizons: \[30\]/horizons: [10, 30]/; s/suite: small/suite: renamed\nreach: 5/' small.yaml
"$WL_BIN" eval --speedup small.yaml --curves two.h5 --baselines adam >/dev/null 2>horizon
[ ! -s horizon ] || fail "an added horizon: $(cat horizon)"
run 1 horizon "$learned" --speedup small.yaml --curves two.h5 --baselines none
"$WL_PYTHON" - <<'P' || fail "results at an added horizon"
import json
tables = {t["baseline"]: [(c["task"], c["steps"]) for c in t["cells"]] for t in json.load(open("horizon.json"))["tables"]}
assert ("perceptron", 10) in tables["adam"] and ("perceptron", 30) in tables["muon-linear"], tables
assert ("perceptron", 10) not in tables["muon-linear"], tables
P

# a command that is killed while it computes the second curve of a task leaves the first curve in the file
printf 'suite: long\nseeds: 1\ntasks: [{name: q, horizons: [3000], family: quadratic, dimension: 4, batch: 4}]\n' >long.yaml
"$WL_BIN" eval --speedup long.yaml --baselines adam,lion --reach 1 >/dev/null 2>killed &
killed=$!
until grep -qs "running lion" killed || ! kill -0 $killed 2>/dev/null; do sleep 0.05; done
kill -9 $killed 2>/dev/null || true
wait $killed || true
"$WL_BIN" eval --speedup long.yaml --baselines adam --reach 1 >/dev/null 2>resumed
[ ! -s resumed ] || fail "the command computes a curve again after an interruption: $(cat resumed)"

refuses() { # arguments: CODE WORDS ARGUMENTS...
  local code=0
  "$WL_BIN" eval "${@:3}" >out 2>err || code=$?
  [ $code = "$1" ] && grep -q -- "$2" err && [ "$(grep -c error: err)" = 1 ] || fail "eval ${*:3}: exit code $code, $(cat err)"
}
refuses 64 "names no run" --steps 3
refuses 64 "not allowed with --speedup" --speedup one.yaml --seeds 3
for option in baselines=adam curves=one.h5 reach=2; do
  refuses 64 "--${option%%=*}: this option needs --speedup" "$learned" "--$option"
done
for option in tune-units=1 output=other.h5; do
  refuses 64 "--${option%%=*}: .* no effect with --learned-only" "$learned" --learned-only "--$option"
done
for option in set=seed=2 output=report.json json=-; do # these options have an effect only with the argument RUN
  refuses 64 "--${option%%=*}: without RUN" --speedup one.yaml --baselines none "--$option"
done
refuses 64 "nadam-slow" --speedup one.yaml --baselines nadam-slow
refuses 64 "reach" --speedup one.yaml --reach 11
refuses 66 "none.yaml" --speedup none.yaml
refuses 65 "quadratic-gaussian.h5" --speedup one.yaml --curves "$learned"
refuses 78 "network of the training" "$WL_SOURCE/jobs/trained/sinusoid-maml-5-shot.h5" --speedup one.yaml
printf 'suite: few\ntasks: [{name: sine, horizons: [5], family: sinusoid}]\n' >few.yaml
refuses 78 "few-shot" --speedup few.yaml
printf 'suite: twice\ntasks: [{name: a, horizons: [5], family: quadratic}, {name: a, horizons: [5], family: quadratic}]\n' >twice.yaml
refuses 78 "given twice" --speedup twice.yaml
printf 'suite: fall\ntasks: [{name: a, horizons: [5, 3], family: quadratic}]\n' >fall.yaml
refuses 78 "rising order" --speedup fall.yaml
printf 'suite: rates\ntasks: [{name: a, horizons: [5], rates: [1e-2], family: quadratic}]\n' >rates.yaml
refuses 78 "the lowest and the highest rate" --speedup rates.yaml

# rates that no rule tries, and rates with which a rule always diverges
printf 'suite: rates\ntasks: [{name: a, horizons: [5], rates: [0.004, 0.009], family: quadratic}]\n' >rates.yaml
refuses 78 "rates.yaml:2.*rates.*1e-5, 3.16e-5" --speedup rates.yaml
printf 'suite: rates\nseeds: 1\nevaluate_batches: 0\ntasks: [{name: a, horizons: [50], rates: [10, 100], family: quadratic, dimension: 4, batch: 4, loss_scale: 1e3}]\n' >rates.yaml
refuses 78 "adam has no rate in this range" --speedup rates.yaml
sed -i 's/10, 100/1, 100/' rates.yaml
run 1 diverge "$learned" --speedup rates.yaml --baselines adam,nesterov-linear
grep -q "warning: task a, 50 steps: there is no comparison with nesterov-linear" diverge.err || fail "no warning about a rule that always diverges: $(cat diverge.err)"
"$WL_PYTHON" - <<'P' || fail "a rule that always diverges has results"
import h5py, json, numpy as np
with h5py.File("rates.h5") as file:
    assert not np.isfinite(file["a/nesterov-linear/loss"][:, -1]).any()
report = json.load(open("diverge.json"))
assert [t["baseline"] for t in report["tables"]] == ["adam"] and report["strongest"]["cells"][0]["baseline"] == "adam"
P

# outputs are checked before the computation, and other files are not renamed
mkdir folder
printf '{"a": 1}\n' >other.json
sed -i 's/suite: long/suite: fresh/; s/\[3000\]/[5]/' long.yaml
for name in folder other.json one.yaml one.h5; do
  refuses 73 "--output $name: .*not a report" "$learned" --speedup long.yaml --curves fresh.h5 --output "$name"
done
for option in output=absent/x.json json=absent/x.json json=folder curves=absent/x.h5 output=other.json/x.json; do
  refuses 73 "--${option%%=*} ${option#*=}: the file cannot be written" "$learned" --speedup long.yaml --curves fresh.h5 "--$option"
done
[ ! -e fresh.h5 ] && [ -d folder ] && [ -z "$(find . -name 'folder-*' -o -name 'other-*' -o -name 'one-previous*')" ] || fail "a refused output: $(ls)"
sed 's/suite: fresh/suite: a\/b/' long.yaml >slash.yaml
refuses 78 "suite.*letters, digits" --speedup slash.yaml

# without a curve there is nothing to compare
refuses 66 "nothing can be compared" "$learned" --speedup long.yaml --baselines none --curves none.h5,none2.h5 --output none.json
refuses 66 "nothing can be compared" "$learned" --speedup long.yaml --baselines none --curves one.h5 --output none.json
"$WL_BIN" eval --speedup long.yaml --baselines none --curves none.h5 >out
expect_same "without curves" "no curve was computed, and there is no curve of this suite in none.h5" "$(cat out)"
"$WL_PYTHON" "$WL_SOURCE/tools/plot_speedup.py" two.json again.json -o both.png >/dev/null || fail "no picture"
[ -s both.png ] || fail "the picture is empty"
echo ok
