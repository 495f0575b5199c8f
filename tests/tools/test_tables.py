"""Checks that compare_runs.py distinguishes equal runs from different runs. Checks that export_csv.py writes every
number of the files."""
import csv
import io
import json
import shutil

from fixture import QUADRATIC, evaluate, expect, expect_equal, tool, train

import h5py
import numpy as np

import warploom_files as wf


def rows_of(text):
    return list(csv.reader(io.StringIO(text)))


def check_comparison():
    train(QUADRATIC, "one")
    train(QUADRATIC, "two", "threads=1", "outer.patience=3", "window.memory=50", "window.storage=recompute", "checkpoint.every=7", ranks=2)
    train(QUADRATIC, "other", "seed=2")
    train(QUADRATIC, "slow", "outer.learning_rate=1e-4", "rule.hidden=[5]")
    evaluate("one")
    equal = tool("compare_runs.py", "one", "two")
    expect("bitwise equal" in equal and "none that affects the result" in equal, f"keys without effect on the result are listed as differences in\n{equal}")
    seeds = tool("compare_runs.py", "one", "other")
    expect("differ because the seeds differ" in seeds and "Over 2 seeds" in seeds, seeds)
    evaluate("other")
    table = json.loads(tool("compare_runs.py", "one", "other", "--json", "-"))["over_seeds"]
    for rule, row in table.items():
        losses = []
        for run in ("one", "other"):
            with h5py.File(f"{run}/evaluation.h5") as file:
                names = [wf.text_of(name) for name in file["case-00/rule_name"]]
                losses.append(float(np.mean(file["case-00/final_loss"][names.index(rule)])))
        expect_equal(f"final losses of {rule}", losses, row["final_loss"])
        expect(abs(row["mean"] - sum(losses) / 2) <= 1e-12 * abs(row["mean"]), f"mean of {rule}")
        # 97.5 % quantile of Student's t distribution for the mean of two values
        half = 12.706 * abs(losses[0] - losses[1]) / 2
        expect(abs(row["half_width"] - half) <= 1e-9 * max(half, 1e-300), f"interval of {rule}: {row['half_width']}, not {half}")
    expect_equal("rules over seeds", {"learned (lstm)", "sgd", "momentum", "nesterov", "rmsprop", "adam"}, set(table))
    said = tool("compare_runs.py", "one", "other")
    expect("mean over seeds" in said and "+-" in said.split("Final losses")[1], said)
    text = tool("compare_runs.py", "one", "slow")
    for word in ("outer.learning_rate", "0.01", "0.0001", "rule.hidden", "[5]", "because the configurations differ", "learned (lstm)"):
        expect(word in text, f"'{word}' is missing in\n{text}")
    expect("output" not in text, f"the key output is listed as a difference in\n{text}")
    data = json.loads(tool("compare_runs.py", "one", "slow", "other", "--json", "-"))
    expect_equal("differences", {"seed", "outer.learning_rate", "rule.hidden"}, set(data["differences"]))
    with h5py.File("one/optimizer.h5") as file:
        expect_equal("digest", wf.text_of(file.attrs["digest"]), data["runs"][0]["digest"])
    with open("one/metrics.jsonl") as file:
        last = [json.loads(line)["meta_loss"] for line in file][-6:]
    got = data["runs"][0]["figures"]["meta-loss, last tenth"]
    expect(abs(got - sum(last) / 6) <= 1e-9 * abs(got), f"mean of the last tenth: {got}, expected {sum(last) / 6}")
    check_tampered()


def check_tampered():
    """The tool must report runs that have the same configuration but different digests."""
    shutil.copytree("one", "changed")
    for path in (wf.Run("changed").checkpoints()):
        with h5py.File(path[1], "r+") as file:
            file.attrs["digest"] = "0123456789abcdef"
        wf.footer.append(path[1])
    expect("although the configurations are equal" in tool("compare_runs.py", "one", "changed"), "a digest that differs is not reported")


def check_metrics():
    rows = rows_of(tool("export_csv.py", "one"))
    with open("one/metrics.jsonl") as file:
        wanted = [json.loads(line) for line in file]
    expect_equal("columns", list(wanted[0]), rows[0])
    expect_equal("rows", len(wanted), len(rows) - 1)
    for row, line in zip(rows[1:], wanted):
        for name, text in zip(rows[0], row):
            expect(text == "" and line[name] is None or float(text) == line[name], f"{name}: {text}, expected {line[name]}")


def check_datasets():
    listed = rows_of(tool("export_csv.py", "one/evaluation.h5"))
    expect("case-00/curve" in [r[0] for r in listed] and "rule seed inner_step" in [r[3] for r in listed], f"{listed}")
    rows = rows_of(tool("export_csv.py", "one/evaluation.h5", "case-00/final_loss", "case-00/heldout_loss"))
    expect_equal("head", ["rule", "seed", "final_loss", "heldout_loss"], rows[0])
    with h5py.File("one/evaluation.h5") as file:
        final, heldout = (file[f"case-00/{n}"][()] for n in ("final_loss", "heldout_loss"))
    expect_equal("rows", final.size, len(rows) - 1)
    names = [r[0] for r in rows[1:]]
    expect_equal("names", ["learned (lstm)"] * 4 + ["sgd"] * 4, names[:8])
    same = lambda text, value: text == "" and np.isnan(value) or text != "" and float(text) == value
    expect(all(same(r[2], a) and same(r[3], b) for r, a, b in zip(rows[1:], final.ravel(), heldout.ravel())), "the table differs from the losses in the file")
    wide = rows_of(tool("export_csv.py", "one/trajectory.h5", "gradient", "--wide"))
    with h5py.File("one/trajectory.h5") as file:
        gradient = file["gradient"][()]
    expect_equal("wide shape", (gradient.shape[0] * gradient.shape[1], gradient.shape[2] + 2), (len(wide) - 1, len(wide[0])))
    got = np.array([[x or "nan" for x in r[2:]] for r in wide[1:]], dtype=np.float32)
    expect(np.array_equal(got, gradient.reshape(got.shape), equal_nan=True), "the wide table differs from the gradients in the file")
    expect_equal("text", [["case-00/rule_name"], ["learned (lstm)"], ["sgd"]],
                 rows_of(tool("export_csv.py", "one/evaluation.h5", "case-00/rule_name"))[:3])
    tool("export_csv.py", "one/trajectory.h5", "metrics/meta_loss", "-o", "loss.csv")
    with open("loss.csv") as file:
        expect_equal("coordinates of a scale", ["1", "2", "3"], [r[0] for r in csv.reader(file)][1:4])


def check_configuration():
    """The tools must read a configuration in the same way as the program."""
    c = wf.Run("one").configuration
    wanted = {"seed": 1, "output": "one", "task.family": "quadratic", "task.dimension": 5, "rule.hidden": [4], "episode.steps": [12],
              "outer.learning_rate": 0.01, "trajectory.hidden": False, "precondition.name": "none"}
    for key, value in wanted.items():
        expect_equal(key, value, c.get(key))
    mixture = wf.parse_configuration('seed: 1\noutput: "a, \\"b\\""\ntask:\n- family: quadratic\n  dimension: 5\n'
                                     '- family: mlp\n  widths: [3, 4]\nrule:\n  name: lstm\n')
    expect_equal("mixture", {"seed": 1, "output": 'a, "b"', "task[0].family": "quadratic", "task[0].dimension": 5,
                             "task[1].family": "mlp", "task[1].widths": [3, 4], "rule.name": "lstm"}, mixture)


check_comparison()
check_metrics()
check_datasets()
check_configuration()
print("ok")
