"""Prints the parallel efficiency of simulated runs and the time of each phase of a meta-step.
Usage: table.py FOLDER RANKS..."""
import json
import pathlib
import subprocess
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

folder, ranks = pathlib.Path(sys.argv[1]), [int(n) for n in sys.argv[2:]]
PHASES = ["computing", "waiting for the slowest rank", "reducing"]


def shares(n):
    """Returns the mean time of each phase of a meta-step in seconds, and the number of units. The mean is taken over
    ranks and meta-steps."""
    rows = [json.loads(line) for line in open(folder / f"ranks-{n}" / "metrics.jsonl")]
    mean = lambda name: sum(row[name] for row in rows) / len(rows)
    waiting = mean("wait_seconds")
    return [mean("compute_seconds") - waiting, waiting, mean("reduce_seconds")], rows[0]["units"]


def processor():
    names = [line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")]
    return names[0] if names else "unknown processor"


def simulator():
    return subprocess.run(["smpirun", "--version"], capture_output=True, text=True, check=True).stdout.split("\n")[0].strip()


table = [(n, *shares(n)) for n in ranks]
lines = [f"simulated ranks ({simulator()}, SMPI); a unit's work as measured on {processor()}", "",
         f"{'ranks':>6} {'units':>7} {'meta-step':>10} {'computing':>10} {'waiting':>9} {'reducing':>9} {'efficiency':>11}"]
for n, (compute, wait, reduce), units in table:
    step = compute + wait + reduce
    lines.append(f"{n:6d} {units:7.0f} {step:9.4f}s {100 * compute / step:9.2f}% {100 * wait / step:8.2f}% "
                 f"{100 * reduce / step:8.2f}% {compute / step:11.3f}")
lines += ["", "a unit's work (seconds; relative spread):"] + [line.rstrip() for line in open(folder / "work.txt")]
text = "\n".join(lines)
(folder / "scale.txt").write_text(text + "\n")
print(text)

figure, axes = plt.subplots(figsize=(6.4, 3.4))
bottom = [0.0] * len(table)
for i, (phase, colour) in enumerate(zip(PHASES, ("#4477aa", "#ccbb44", "#ee6677"))):
    part = [100 * seconds[i] / sum(seconds) for _, seconds, _ in table]
    axes.bar(range(len(table)), part, 0.6, bottom, label=phase, color=colour)
    bottom = [a + b for a, b in zip(bottom, part)]
for i, (_, seconds, _) in enumerate(table):
    axes.text(i, 50, f"{seconds[0] / sum(seconds):.3f}", ha="center", color="white", fontsize=11)
axes.set_xticks(range(len(table)), [f"{n:,}" for n in ranks])
axes.set_xlabel("ranks (8 to a node, simulated); efficiency inside the bars")
axes.set_ylabel("share of a meta-step / %")
axes.set_ylim(0, 100)
axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False, fontsize=9)
figure.savefig(folder / "scale.svg", bbox_inches="tight", metadata={"Date": None})
