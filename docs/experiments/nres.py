#!/usr/bin/env python3
"""Trains the rule `mlp` by different meta-gradient estimators. All trainings have the same processor time.

Usage: docs/experiments/nres.py [ROW...]

Each line of estimators-nres.txt describes a row of the table in estimators.md. The line has the name of the row and the
settings that differ from estimators-nres.yaml. The processor time of a training is divided into parts. After each part,
the training stops, the script evaluates the rule on fresh tasks, and the training resumes. The script appends each
evaluation to estimators-nres.json as one line. With --draw, the script trains no rule. Instead, it reads all
evaluations from this file, prints them as a table and draws a picture of them.
"""
import argparse
import json
import os
import resource
import shlex
import subprocess
from collections import defaultdict
from pathlib import Path

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "estimators-nres.json"


def limit(seconds):
    """Returns a function that limits the processor time of a process to `seconds` seconds. At this soft limit, the
    system sends the signal SIGXCPU, and `warploom train` then writes a checkpoint and exits with code 75."""
    return lambda: resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.RLIM_INFINITY))


def train(a, row, options, seed):
    output = a.output / f"{row}-{seed}"
    command = [a.warploom, "train", str(HERE / "estimators-nres.yaml"), "--quiet", "--resume", "--set",
               f"output={output}", "--set", f"seed={seed}", "--set", "outer.steps=1000000"] + options
    for part in range(1, a.parts + 1):
        code = subprocess.run(command, stdout=subprocess.DEVNULL, preexec_fn=limit(a.seconds), check=False).returncode
        if code != 75:
            raise SystemExit(f"nres.py: '{shlex.join(command)}' exited with code {code}")
        evaluation = subprocess.run(
            [a.warploom, "eval", str(output), "--learned-only", "--seeds", "3", "--seed", "7", "--steps", "1000",
             "--json", "-", "--quiet"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True).stdout
        report = json.JSONDecoder().raw_decode(evaluation)[0]
        rule = report["cases"][0]["rules"][0]
        line = {"row": row, "seed": seed, "seconds": a.seconds * part, "meta_steps": report["meta_steps"],
                "loss": rule["final_loss"], "heldout": sum(rule["heldout_loss_of_set"]) / 3}
        with RESULTS.open("a") as file:
            file.write(json.dumps(line) + "\n")


def draw(path):
    try:
        import matplotlib
        matplotlib.use("Agg")
        from matplotlib import pyplot
    except ImportError:
        raise SystemExit("nres.py: --draw needs matplotlib; run the script with a Python that has it, such as "
                         "/usr/bin/python3 after tools/install-dependencies.sh") from None
    losses, steps = defaultdict(lambda: defaultdict(list)), defaultdict(list)
    for line in map(json.loads, RESULTS.read_text().splitlines()):
        losses[line["row"]][line["seconds"]].append(line["heldout"])
        steps[line["row"], line["seconds"]].append(line["meta_steps"])
    figure, axes = pyplot.subplots(figsize=(6, 4))
    rows = sorted(losses.items(), key=lambda item: sum(item[1][max(item[1])]) / len(item[1][max(item[1])]))
    for shift, (row, curve) in enumerate(rows):
        times = sorted(curve)
        means = [sum(curve[t]) / len(curve[t]) for t in times]
        spread = [[m - min(curve[t]) for t, m in zip(times, means)], [max(curve[t]) - m for t, m in zip(times, means)]]
        axes.errorbar([t + 1.5 * (shift - len(rows) / 2) for t in times], means, yerr=spread, marker="o", label=row)
        columns = [f"{m:.3f} ({min(curve[t]):.3f} to {max(curve[t]):.3f})" for t, m in zip(times, means)]
        made = sum(steps[row, times[-1]]) / len(steps[row, times[-1]])
        print(f"| `{row}` | {made:,.0f} | {' | '.join(columns)} |")
    axes.set(xlabel="processor time of the training (s)", ylabel="held-out loss after 1,000 steps", yscale="log")
    axes.set_yticks([0.5, 0.7, 1, 2, 4, 8], labels=["0.5", "0.7", "1", "2", "4", "8"])
    axes.minorticks_off()
    axes.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*")
    parser.add_argument("--seconds", type=int, default=60, help="processor time of each part in seconds (default 60)")
    parser.add_argument("--parts", type=int, default=3, help="number of parts of a training (default 3)")
    parser.add_argument("--seeds", default="1,2,3", help="seeds of the trainings, separated by commas (default 1,2,3)")
    parser.add_argument("--output", type=Path, default=Path("runs/nres"))
    parser.add_argument("--warploom", default=os.environ.get("WARPLOOM") or str(HERE / "../../build/warploom"))
    parser.add_argument("--draw", metavar="FILE", help="print the table and draw the loss curves into FILE")
    a = parser.parse_intermixed_args()
    if a.draw:
        draw(a.draw)
        return
    for text in (HERE / "estimators-nres.txt").read_text().splitlines():
        row, *settings = shlex.split(text, comments=True) or [None]
        if row and (not a.rows or row in a.rows):
            for seed in map(int, a.seeds.split(",")):
                train(a, row, [word for s in settings for word in ("--set", s)], seed)


if __name__ == "__main__":
    main()
