"""Draws performance profiles of `warploom eval --speedup`: the fraction of runs with at least a given speed-up.

There is one curve for each tuned hand-designed rule. The left panel shows speed-ups in steps, and the right panel shows
speed-ups in wall-clock time. If there are several reports, the speed-ups are relative to the first baseline that is in
all reports. If a rule is as fast as the baseline, its curve falls at a speed-up of 1."""
import json
import os

import matplotlib.pyplot as plt
import numpy as np

from .. import files as wf
from . import style


def read(path):
    wf.require_path(path)
    try:
        with open(path, encoding="utf-8") as file:
            report = json.load(file)
        return report, {table["baseline"]: table for table in report["tables"]}
    except (ValueError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise wf.ToolError(wf.DATA, f"{path}: is not a report of 'warploom eval --speedup'") from error


def curves_of(reports):
    """Returns [(label, table)]: every baseline of one report, or the first common baseline of several reports."""
    if len(reports) == 1:
        return [(f"over tuned {name}", table) for name, table in reports[0][1].items()]
    for name in reports[0][1]:
        if all(name in tables for _, tables in reports):
            return [(f"{os.path.basename(report['source'])} over tuned {name}", tables[name]) for report, tables in reports]
    raise wf.ToolError(wf.DATA, "the reports have no baseline in common")


def profile(axis, table, key, label):
    values = np.sort([x or 0.0 for cell in table["cells"] for x in cell[key]])
    share = 1 - np.arange(len(values)) / len(values)
    axis.step(np.maximum(values, 1e-2), share, where="pre", label=label)


@style.styled
def draw(reports):
    figure, axes = plt.subplots(1, 2, figsize=(9.6, 3.8), sharey=True, layout="constrained")
    for axis, key, name in ((axes[0], "speedup", "steps"), (axes[1], "wall_clock_speedup", "wall clock, update included")):
        for label, table in curves_of(reports):
            profile(axis, table, key, label)
        axis.axvline(1, color="0.6", linewidth=0.8)
        axis.set(xscale="log", xlabel=f"speed-up in {name} (capped at {reports[0][0]['cap']} in steps)", ylim=(0, 1.02))
    axes[0].set_ylabel("fraction of runs at least as fast")
    axes[0].legend(fontsize="small")
    figure.suptitle(f"Suite {reports[0][0]['suite']}: {reports[0][0]['seeds']} seeds of each task and horizon", fontsize="medium")
    return figure
