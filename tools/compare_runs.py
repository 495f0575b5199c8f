#!/usr/bin/env python3
"""Compares runs. Prints the differences of the configurations, the digests of the runs, and the losses and times of the
runs.

Runs with equal configurations, builds and processor types have equal digests after equal meta-steps, for any number of
ranks, threads and restarts. The output states if the digests are equal. Keys that have an effect only on files or on
the number of threads do not count as differences.

Examples:
  compare_runs.py runs/one-rank runs/eight-ranks
  compare_runs.py runs/seed-* --json comparison.json
  compare_runs.py runs/adam runs/adamw --all       also prints keys without effect on the result, and all numbers
"""
import json
import math
import sys

import warploom_needs  # imported first, because this module reports missing packages

import numpy as np

import warploom_files as wf

TAIL = 0.1  # final numbers are averaged over this last fraction of a run, rounded to complete episodes


def tail(run, name):
    values = run.metrics[name]
    width = max(run.windows, int(TAIL * len(values)) // run.windows * run.windows)
    with np.errstate(all="ignore"):
        finite = values[-width:][np.isfinite(values[-width:])]
    return float(finite.mean()) if finite.size else math.nan


def figures_of(run):
    """Returns the numbers that describe one run, computed from its metrics: {name: number}."""
    m = run.metrics
    phases = wf.step_phases(m)
    seconds = phases.sum(axis=0)
    return {
        "meta-steps": int(m["meta_step"][-1]),
        "meta-loss, first tenth": float(np.nanmean(m["meta_loss"][:max(run.windows, len(seconds) // 10)])),
        "meta-loss, last tenth": tail(run, "meta_loss"),
        "last loss, last tenth": tail(run, "last_loss"),
        "meta-gradient norm": tail(run, "gradient_norm"),
        "skipped units": int(np.nansum(m["skipped_units"])),
        "units": int(np.nansum(m["units"])),
        "restarts seen": int(np.nanmax(m.get("restart", np.zeros(1)))),
        "seconds": float(seconds.sum()),
        "ms a meta-step": float(1e3 * np.median(seconds)),
        "computing, %": float(100 * phases[0].sum() / seconds.sum()),
        "waiting, %": float(100 * phases[1].sum() / seconds.sum()),
        "summing, %": float(100 * phases[2].sum() / seconds.sum()),
        "files, %": float(100 * phases[3].sum() / seconds.sum()),
    }


BRIEF = ("meta-steps", "meta-loss, last tenth", "last loss, last tenth", "meta-gradient norm", "skipped units",
         "ms a meta-step")


def provenance(run):
    """Reads the digest and the origin from the newest checkpoint."""
    file = run.newest()
    if file is None:
        return {"digest": None}
    with file:
        a = file.attributes
        keys = ("digest", "meta_steps", "rank_layout", "version", "revision", "compiler", "precision", "processor", "blas", "date")
        return {k: a.get(k) for k in keys}


def evaluation_of(run):
    """Returns the final losses {rule: loss} for the setting of the training, and the verdict."""
    try:
        evaluation = run.evaluation()
    except wf.ToolError as error:
        print(f"left out: {error}", file=sys.stderr)
        return None
    if evaluation is None:
        return None
    case = evaluation.cases[0]
    losses = {rule: float(np.mean(case.final[r])) for r, rule in enumerate(case.rules)}
    return {"case": case.name, "steps": case.steps, "verdict": case.verdict, "best_hand_designed": case.rules[case.best],
            "ratio": float(10**case.difference), "difference": float(case.gap), "final_loss": losses}


class Comparison:
    """The results of a comparison, for the output as text and as JSON."""

    def __init__(self, paths, everything):
        self.runs = [wf.Run(p) for p in paths]
        self.labels = short_labels([str(r.path) for r in self.runs])
        differ = wf.differences([r.configuration for r in self.runs])
        self.differences = {k: v for k, v in differ.items() if everything or not wf.is_bookkeeping(k)}
        self.provenance = [provenance(r) for r in self.runs]
        self.figures = [figures_of(r) for r in self.runs]
        self.evaluations = [evaluation_of(r) for r in self.runs]

    def essential(self):
        """Returns the keys that have an effect on the result and whose values differ between the runs."""
        return {k for k in self.differences if not wf.is_bookkeeping(k)}

    def digests(self):
        """Returns one sentence about the equality of the digests."""
        known = [(p.get("digest"), p.get("meta_steps")) for p in self.provenance]
        if any(d is None for d, _ in known):
            return "No digest for " + ", ".join(l for l, (d, _) in zip(self.labels, known) if d is None) + ": no checkpoint yet."
        if len({d for d, _ in known}) == 1:
            return f"All digests are {known[0][0]}, so the results are bitwise equal."
        if len({s for _, s in known}) > 1:
            return "The digests belong to different meta-steps and cannot be compared."
        if self.essential() - {"seed"}:
            return "The digests differ because the configurations differ."
        if self.essential():
            return "The digests differ because the seeds differ."
        other = [k for k in ("revision", "compiler", "precision", "processor", "blas") if len({p.get(k) for p in self.provenance}) > 1]
        if other:
            return f"The digests differ although the configurations are equal. The runs also differ in {' and '.join(other)}."
        return "The digests differ although the configurations are equal. Perhaps a file of a run was changed."

    def as_dict(self):
        runs = [{"run": str(r.path), "task": r.title, **p, "figures": f, "evaluation": e}
                for r, p, f, e in zip(self.runs, self.provenance, self.figures, self.evaluations)]
        return {"runs": runs, "differences": self.differences, "digests": self.digests(), "over_seeds": self.over_seeds(),
                "over_settings": self.over_settings()}

    def over_seeds(self):
        """Returns the mean final loss of each rule and the half width of its 95 % interval.
        The result is empty if the runs differ in a key other than `seed`, or if a run has no evaluation."""
        if self.essential() != {"seed"} or not all(self.evaluations):
            return {}
        out = {}
        for rule in self.evaluations[0]["final_loss"]:
            losses = [e["final_loss"].get(rule, math.nan) for e in self.evaluations]
            mean, half = wf.interval(losses)
            out[rule] = {"final_loss": losses, "mean": float(mean), "half_width": float(half)}
        return out

    def final(self, i):
        """Returns the loss by which the tool ranks a run.
        If all runs are evaluated, this loss is the final loss of the learned rule on fresh tasks.
        In all other cases, this loss is the last loss of the training."""
        losses = self.evaluations[i]["final_loss"] if all(self.evaluations) else {}
        return next((loss for rule, loss in losses.items() if rule.startswith("learned")), self.figures[i]["last loss, last tenth"])

    def over_settings(self):
        """Returns the settings of a sweep, sorted by increasing mean loss.
        The result contains the mean loss over the runs of each setting, and the half width of its 95 % interval."""
        keys = [k for k in self.differences if k in self.essential() - {"seed"}]
        groups = {}
        for i in range(len(self.runs)):
            groups.setdefault(tuple(wf.show(self.differences[k][i]) for k in keys), []).append(self.final(i))
        if not keys or len(groups) == len(self.runs):
            return []
        rows = [{"setting": dict(zip(keys, setting)), "runs": len(losses), "mean": float(np.mean(losses)),
                 "half_width": float(wf.interval(losses)[1]) if len(losses) > 1 else math.nan} for setting, losses in groups.items()]
        return sorted(rows, key=lambda row: (math.isnan(row["mean"]), row["mean"]))


def short_labels(paths):
    """Returns the parts in which the given paths differ."""
    parts = [p.rstrip("/").split("/") for p in paths]
    while len(parts) > 1 and all(len(p) > 1 for p in parts) and len({p[0] for p in parts}) == 1:
        parts = [p[1:] for p in parts]
    return ["/".join(p) for p in parts]


# ---- text ----------------------------------------------------------------------------------

def number(value):
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}" if isinstance(value, float) else str(value)


def table(head, rows):
    """Formats a table. Each column is as wide as its widest cell. The first column is left-aligned, and all other
    columns are right-aligned."""
    cells = [head] + rows
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    lines = ["  ".join([row[0].ljust(widths[0])] + [c.rjust(w) for c, w in zip(row[1:], widths[1:])]).rstrip() for row in cells]
    lines.insert(1, "-" * len(lines[0]) if not rows else "-" * max(map(len, lines)))
    return "\n".join("  " + line for line in lines)


def by_run(labels, rows):
    """Formats the table of the runs. If there are few runs, each quantity has one line. If there are many runs, each
    run has one line."""
    if len(labels) <= max(4, min(len(rows), 8)):
        return table([""] + labels, [[name] + [number(v) for v in values] for name, values in rows])
    heads = [name for name, _ in rows]
    return table(["run"] + heads, [[label] + [number(values[i]) for _, values in rows] for i, label in enumerate(labels)])


def print_seeds(c):
    """Prints means and their intervals if the runs differ only in the seed."""
    if c.essential() != {"seed"}:
        return
    print(f"\nOver {len(c.runs)} seeds (mean and 95 % interval)")
    rows = []
    for name in BRIEF[1:]:
        mean, half = wf.interval([f[name] for f in c.figures])
        rows.append([name, number(float(mean)), "+-", number(float(half))])
    print(table(["", "mean", "", ""], rows))


def print_settings(c):
    """Prints the settings of a sweep, ranked by their mean losses."""
    rows = c.over_settings()
    if not rows:
        return
    what = "final loss of the learned rule" if all(c.evaluations) else "last loss, last tenth"
    print(f"\nSettings, the best first ({what}, mean over seeds and half width of its 95 % interval)")
    print(table(list(rows[0]["setting"]) + ["runs", "mean", "+-"],
                [list(row["setting"].values()) + [number(row[k]) for k in ("runs", "mean", "half_width")] for row in rows]))


def print_text(c, everything):
    print("Differences in the configurations")
    if c.differences:
        print(by_run(c.labels, [(k, [wf.show(v) for v in row]) for k, row in c.differences.items()]))
    else:
        print("  none" if everything else "  none that affects the result (--all: also keys without effect on the result)")
    print("\nDigests")
    keys = ["digest", "meta_steps", "rank_layout"] + (["revision", "precision", "processor", "blas", "date"] if everything else [])
    print(by_run(c.labels, [(k.replace("_", " "), [p.get(k) for p in c.provenance]) for k in keys]))
    print("  " + c.digests())
    print("\nFigures")
    names = list(c.figures[0]) if everything else list(BRIEF)
    print(by_run(c.labels, [(n, [f[n] for f in c.figures]) for n in names]))
    print_seeds(c)
    if any(c.evaluations):
        print("\nFinal losses on fresh tasks" + ("; mean over seeds and half width of its 95 % interval" if c.over_seeds() else ""))
        rules = dict.fromkeys(r for e in c.evaluations if e for r in e["final_loss"])
        rows = [(r, [e and e["final_loss"].get(r) for e in c.evaluations]) for r in rules]
        over, labels = c.over_seeds(), c.labels
        if over:
            rows = [(rule, row + [over[rule]["mean"], over[rule]["half_width"]]) for rule, row in rows]
            labels = labels + ["mean", "+-"]
        rows.append(("learned / best hand-designed", [e and e["ratio"] for e in c.evaluations]))
        rows.append(("learned - best hand-designed", [e and e["difference"] for e in c.evaluations]))
        rows.append(("the learned rule", [e and e["verdict"] for e in c.evaluations]))
        print(by_run(labels, [(name, list(row) + [None] * (len(labels) - len(row))) for name, row in rows]))
    print_settings(c)


def finite(value):
    """Replaces NaN by null, because JSON has no NaN."""
    if isinstance(value, dict):
        return {k: finite(v) for k, v in value.items()}
    if isinstance(value, list):
        return [finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def main():
    parser = wf.Parser(__doc__)
    parser.add_argument("runs", metavar="RUN", nargs="+", help="two or more run directories")
    parser.add_argument("--json", metavar="FILE",
                        help="write all results as JSON; - for standard output, in place of the text")
    parser.add_argument("--all", action="store_true", help="print all differences and all numbers")
    a = parser.parse_args()
    if len(a.runs) < 2:
        parser.error("at least two runs are necessary")
    c = Comparison(a.runs, a.all)
    if a.json != "-":
        print_text(c, a.all)
    if a.json:
        with wf.open_output(a.json) as out:
            json.dump(finite(c.as_dict()), out, indent=2, allow_nan=False)
            out.write("\n")


if __name__ == "__main__":
    wf.run_tool(main)
