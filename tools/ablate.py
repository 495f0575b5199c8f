#!/usr/bin/env python3
"""Trains and evaluates every subset of the learned parts of a configuration, to measure the effect of each part.

The tool uses the parts that CONFIG has: the LSTM, the warp layers, the preconditioner and the learned theta_0. All
subsets are trained with the same meta-steps, tasks and seed, and evaluated on the same fresh tasks. The evaluation has
several sets of tasks. For each set, the final loss of a subset is divided by the final loss of the complete system
(few-shot tasks: the losses are subtracted). The table shows the average over the sets. If the LSTM is left out, gradient descent with a learned
rate replaces it. If a part is left out, its settings in `groups` are also left out. All subsets are checked before the
first one is trained. Each subset is a separate run in the folder `output`. --resume continues these runs.

Examples:
  ablate.py jobs/joint-sinusoid.yaml --rate 0.01 --launch "mpirun -n 2"
  ablate.py jobs/joint-fashion.yaml --rate 1 --json table.json
  ablate.py jobs/joint-fashion.yaml --dry-run        check every subset without a training
"""
import itertools
import json
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import warploom_needs  # imported first, because this module reports missing packages

import numpy as np

import warploom_files as wf

STOPPED_EARLY = 75  # the exit code of `warploom train` after a stop with a checkpoint
PARTS = ("lstm", "warp", "precondition", "theta0")
GROUP_OF = {"warp": "warp", "precondition": "precondition", "theta0": "initialisation"}


def program():
    """Returns the program of the tree or installation to which this file belongs, or else the program in PATH."""
    here = Path(__file__).resolve().parent
    for place in (here.parent / "build/warploom", here.parents[2] / "bin/warploom"):
        if os.access(place, os.X_OK):
            return str(place)
    return "warploom"


def arguments():
    parser = wf.Parser(__doc__)
    parser.add_argument("config", metavar="CONFIG")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE",
                        help="override a key for all subsets")
    parser.add_argument("--rate", type=float, default=0.1,
                        help="initial value of the learned rate of gradient descent (default 0.1)")
    parser.add_argument("--steps", type=int, help="number of inner steps of the evaluation (default: horizon of the training)")
    parser.add_argument("--seeds", type=int, help="number of sets of fresh tasks (default 10, or 600 for few-shot tasks)")
    parser.add_argument("--units", type=int, default=1, help="number of tasks in each set (default 1)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the fresh tasks (default 1)")
    parser.add_argument("--resume", action="store_true",
                        help="continue existing runs; a complete run is not trained again")
    parser.add_argument("--dry-run", action="store_true", help="check every subset without a training")
    parser.add_argument("--launch", default="", metavar="COMMAND", help='launcher of the ranks, such as "mpirun -n 4"')
    parser.add_argument("--warploom", default=os.environ.get("WARPLOOM") or program(), metavar="FILE",
                        help="the program warploom that the ablation runs")
    parser.add_argument("--quiet", action="store_true", help="print only warnings and errors on standard error")
    parser.add_argument("--json", metavar="FILE", help="also write the table as JSON; - for standard output")
    a = parser.parse_args()
    for name, least in (("steps", 1), ("seeds", 2), ("units", 1), ("seed", 0)):
        if getattr(a, name) is not None and getattr(a, name) < least:
            parser.error(f"--{name}: at least {least}")
    if not 0 < a.rate < 1e30:
        parser.error("--rate: the rate must be a number above 0")
    return a


def run(command, **more):
    try:
        return subprocess.run(command, check=False, text=True, stdout=subprocess.PIPE, **more)
    except OSError as error:
        raise wf.ToolError(69, f"{command[0]}: cannot be run: {error.strerror}; set --warploom or --launch") from error


def dry_run(a, overrides):
    """Returns (exit code, resolved configuration, last line of standard error) of `warploom train --dry-run`."""
    done = run([a.warploom, "train", a.config, "--dry-run", "--quiet", *overrides], stderr=subprocess.PIPE)
    words = done.stderr.strip().rpartition("\n")[2]
    return done.returncode, wf.parse_configuration(done.stdout), words.removeprefix("warploom: error: ")


def set_key(key, value):
    """Returns the arguments of `--set` for a value. A string is returned unchanged. Other values are written as JSON,
    which is also YAML."""
    return ["--set", f"{key}={value if isinstance(value, str) else json.dumps(value)}"]


def parts_of(config):
    if "task[1].proportion" in config:
        raise wf.ToolError(78, "an ablation works on one task family, not on a mixture")
    has = {
        "lstm": config.get("rule.name") == "lstm",
        "warp": config["task.warp"] not in ([], ["none"]),
        "precondition": config["precondition.name"] != "none",
        "theta0": config["initialisation.name"] != "none",
    }
    if not any(has.values()):
        raise wf.ToolError(78, "nothing to leave out: the configuration has neither `rule: {name: lstm}` nor warp layers, "
                               "a preconditioner or a learned initialisation")
    return [part for part in PARTS if has[part]]


def groups_without(config, left_out):
    """Returns the list `groups` without the groups of the parts that are left out."""
    groups, gone = {}, {GROUP_OF.get(part) for part in left_out}
    for key, value in config.items():
        if key.startswith("groups"):
            name, _, field = key.partition(".")
            groups.setdefault(name, {})[field] = value
    kept = [g for g in groups.values() if g["group"] not in gone | {"none"}]
    return kept or [{"group": "none"}]


class Subset:
    """A row of the table: the parts, the run directory and the results of a subset."""

    def __init__(self, a, config, every, parts):
        self.parts = parts
        self.name = "+".join(parts) or "rate"
        output = config["output"] or f"runs/{Path(a.config).stem}"
        self.run = os.path.join(output, self.name)
        left_out = [part for part in every if part not in parts]
        without = {"lstm": ("rule", {"name": "sgd", "rate": a.rate, "learn": ["rate"]}), "warp": ("task.warp", "none"),
                   "precondition": ("precondition", {"name": "none"}), "theta0": ("initialisation", {"name": "none"})}
        self.overrides = [word for text in a.set for word in ("--set", text)]
        for part in left_out:
            self.overrides += set_key(*without[part])
        self.overrides += set_key("output", self.run) + set_key("groups", groups_without(config, left_out))


def checked_subsets(a):
    """Returns all subsets in order of their number of parts, from all parts to none. If the subset without any part has
    nothing to learn, this subset is left out and a message is printed."""
    code, config, words = dry_run(a, [word for text in a.set for word in ("--set", text)])
    if code:
        raise wf.ToolError(code, words)
    every = parts_of(config)
    subsets = [Subset(a, config, every, parts) for size in range(len(every), -1, -1)
               for parts in itertools.combinations(every, size)]
    kept = []
    for subset in subsets:
        code, _, words = dry_run(a, subset.overrides)
        if code and (subset.parts or "nothing to learn" not in words):
            raise wf.ToolError(code, f"subset {subset.name}: {words}")
        if code:
            print(f"left out the system without any part: {words}", file=sys.stderr)
        else:
            kept.append(subset)
    return every, kept


def train(a, subset, number, count):
    if not a.quiet:
        print(f"subset {number} of {count}: {subset.name}", file=sys.stderr)
    command = [*shlex.split(a.launch), a.warploom, "train", a.config, *subset.overrides]
    done = run(command + ["--resume"] * a.resume + ["--quiet"] * a.quiet)
    if done.returncode == STOPPED_EARLY:
        raise wf.ToolError(STOPPED_EARLY, f"{subset.run}: stopped early with a checkpoint; continue with --resume")
    if done.returncode != 0:
        raise wf.ToolError(done.returncode, f"the training of subset {subset.name} ended with code {done.returncode}")
    subset.digest = done.stdout.split()[1] if done.stdout.startswith("digest ") else ""


def evaluate(a, subset, alone):
    """Evaluates a subset and reads the result of the evaluation from JSON. Only the evaluation of the complete system
    also computes the losses of hand-designed rules."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "table.json")
        command = [*shlex.split(a.launch), a.warploom, "eval", subset.run, "--quiet", "--json", path,
                   "--units", str(a.units), "--seed", str(a.seed)]
        for name in ("steps", "seeds"):
            if getattr(a, name) is not None:
                command += [f"--{name}", str(getattr(a, name))]
        command += ["--learned-only"] if alone else ["--no-picture", "--output", os.path.join(folder, "curves.h5")]
        done = run(command)
        if done.returncode:
            raise wf.ToolError(done.returncode, f"the evaluation of subset {subset.name} ended with code {done.returncode}")
        with open(path, encoding="utf-8") as file:
            subset.case = json.load(file)["cases"][0]
    subset.rule = subset.case["rules"][0]
    subset.final = np.array([np.nan if x is None else x for x in subset.rule["final_loss_of_set"]])


def compare(subsets):
    """Divides the final loss of each subset by the final loss of the complete system, for each set of tasks. If the
    tasks are few-shot tasks or a loss is not positive, the function subtracts the losses instead. The function then
    averages the results over the sets of tasks, on a logarithmic scale for ratios. Returns True if the results are
    ratios."""
    whole = subsets[0]
    ratios = not whole.case["few_shot"] and not any((s.final <= 0).any() for s in subsets)
    for s in subsets:
        pairs = np.log10(s.final / whole.final) if ratios else s.final - whole.final
        if not np.isfinite(pairs).all():
            pairs = np.full(pairs.shape, np.nan)
        s.difference, s.half = (float(x) for x in wf.interval(pairs))
    return ratios


def number(value, form):
    return "-" if value is None or not np.isfinite(value) else format(value, form)


def print_table(every, subsets, ratios, out):
    case = subsets[0].case
    what = "Loss on the query set" if case["few_shot"] else "Final loss"
    print(f"{what} after {case['steps']} steps, {len(subsets[0].final)} {'tasks' if case['few_shot'] else 'sets of tasks'};"
          " +- and ranges are 95 % intervals; differences are computed for each set of tasks", file=out)
    print("".join(f"  {part:12s}" for part in every) + f"  {'loss':21s}  "
          f"{'ratio to the whole' if ratios else 'less the loss of the whole':26s}  digest", file=out)
    for s in subsets:
        row = "".join(f"  {'yes' if part in s.parts else '-':12s}" for part in every)
        row += f"  {number(s.rule['final_loss'], '9.4f'):>9s} +- {number(s.rule['final_loss_half_width'], '.4f'):9s}"
        if s is subsets[0]:
            text = ""
        elif ratios:
            text = f"{10**s.difference:.3f} ({10**(s.difference - s.half):.3f} to {10**(s.difference + s.half):.3f})"
        else:
            text = f"{s.difference:+.4f} +- {s.half:.4f}"
        print(f"{row}  {text:26s}  {s.digest}{'  diverged' if s.rule['diverged'] else ''}", file=out)
    for rule in case["rules"][1:]:
        print(f"  {rule['rule']:24s} {number(rule['final_loss'], '.4f')} +- {number(rule['final_loss_half_width'], '.4f')}"
              f"  tuned, rate {number(rule['learning_rate'], '.3g')}", file=out)


def as_json(subsets, ratios):
    case = subsets[0].case
    difference = "log10_ratio_to_whole" if ratios else "difference_to_whole"
    finite = lambda x: x if np.isfinite(x) else None
    return {
        "steps": case["steps"], "sets": len(subsets[0].final), "few_shot": case["few_shot"],
        "subsets": [{"parts": list(s.parts), "run": s.run, "digest": s.digest, "loss": s.rule["final_loss"],
                     "loss_half_width": s.rule["final_loss_half_width"], difference: finite(s.difference),
                     "half_width": finite(s.half), "diverged": s.rule["diverged"]} for s in subsets],
        "hand_designed": [{"rule": r["rule"], "learning_rate": r["learning_rate"], "loss": r["final_loss"],
                           "loss_half_width": r["final_loss_half_width"]} for r in case["rules"][1:]],
    }


def main():
    a = arguments()
    wf.require_path(a.config)
    every, subsets = checked_subsets(a)
    if a.dry_run:
        print(f"valid subsets: {', '.join(s.name for s in subsets)}")
        return
    for i, subset in enumerate(subsets):
        train(a, subset, i + 1, len(subsets))
        evaluate(a, subset, alone=i > 0)
    ratios = compare(subsets)
    print_table(every, subsets, ratios, sys.stderr if a.json == "-" else sys.stdout)
    if a.json:
        with wf.open_output(a.json) as out:
            json.dump(as_json(subsets, ratios), out, indent=2)
            out.write("\n")


if __name__ == "__main__":
    wf.run_tool(main)
