#!/usr/bin/env python3
"""Shows the state of trainings in the terminal: step, rate, loss and remaining time. The tool updates the output until
all runs end.

The tool reads RUN/metrics.jsonl, to which a run appends. If the tool and the job use a shared file system, they can
therefore run on different machines. The tool only reads files, so Ctrl-C stops the tool and not the training.

Examples:
  watch.py runs/quickstart                 redraws every two seconds
  watch.py runs/seed-* --every 10          several runs; with four or more, a line for each
  watch.py runs/sweep-1234                 all runs in a folder, also those that begin later
  watch.py runs/quickstart --once          prints the state and ends, for scripts
  watch.py runs/quickstart --once --json -
"""
import json
import math
import os
import shutil
import sys
import time

import warploom_needs  # imported first, because this module reports missing packages

import numpy as np

import warploom_files as wf

BLOCKS = "▁▂▃▄▅▆▇█"
RAMP = "_.-=*#"  # characters for terminals without Unicode
QUIET_FACTOR, QUIET_LEAST = 20, 60.0  # a run is quiet if it wrote no metrics for 60 s and for 20 times the time of a meta-step
MOST_BLOCKS = 3  # up to this number of runs, the output has several lines for each run


def duration(seconds):
    if not math.isfinite(seconds):
        return "?"
    seconds = int(round(seconds))
    days, hours, minutes = seconds // 86400, seconds // 3600 % 24, seconds // 60 % 60
    if days:
        return f"{days} d {hours:02d} h"
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {seconds % 60:02d} s" if minutes else f"{seconds} s"


def unicode_output():
    return "utf" in (sys.stdout.encoding or "").lower()


def buckets(values, width):
    """Returns at most `width` means over successive parts of the values."""
    values = np.asarray(values, dtype=float)
    edges = np.linspace(0, len(values), min(width, len(values)) + 1).astype(int)
    parts = [values[a:b][np.isfinite(values[a:b])] for a, b in zip(edges[:-1], edges[1:])]
    return np.array([part.mean() if part.size else np.nan for part in parts])


def sparkline(values, width):
    """Draws the means as heights between the smallest mean and the 98th percentile. Larger means are drawn at this
    percentile, so that high losses at the start do not compress the rest."""
    means = buckets(values, width)
    finite = means[np.isfinite(means)]
    if not finite.size:
        return ""
    low, high = finite.min(), np.percentile(finite, 98)
    marks = BLOCKS if unicode_output() else RAMP
    span = high - low or 1
    return "".join(" " if not np.isfinite(v) else marks[min(len(marks) - 1, int((v - low) / span * len(marks)))]
                   for v in np.minimum(means, high))


def bar(share, width):
    full, empty = ("━", "─") if unicode_output() else ("=", "-")
    return full * round(share * width) + empty * (width - round(share * width))


class State:
    """The current state of a run."""

    def __init__(self, path):
        self.run = wf.Run(path)
        m = self.metrics = self.run.metrics
        self.step = int(m["meta_step"][-1])
        self.total = int(self.run.configuration.get("outer.steps", self.step))
        recent = wf.step_seconds(m)[-max(50, 5 * self.run.windows):]
        self.seconds = float(np.mean(recent))
        self.age = max(0.0, time.time() - os.path.getmtime(self.run.path / "metrics.jsonl"))
        self.skipped = int(np.nansum(m["skipped_units"]))
        self.checkpoint = max((step for step, _ in self.run.checkpoints()), default=None)

    @property
    def state(self):
        if self.step >= self.total:
            return "finished"
        return "running" if self.age < max(QUIET_LEAST, QUIET_FACTOR * self.seconds) else "quiet"

    @property
    def left(self):
        return (self.total - self.step) * self.seconds

    def smoothed(self, name):
        """Returns two means of a metric over complete episodes.
        The first mean is at the end of the run so far, and the second mean is a tenth of the run earlier."""
        values = self.metrics[name]
        width = self.run.windows * max(1, round(20 / self.run.windows))
        back = max(width, len(values) // 10)
        now, before = values[-width:], values[-width - back:-back]
        return float(np.nanmean(now)), float(np.nanmean(before)) if len(before) else math.nan

    def as_dict(self):
        loss, _ = self.smoothed("meta_loss")
        return {"run": str(self.run.path), "state": self.state, "meta_step": self.step, "of": self.total,
                "steps_a_second": 1 / self.seconds, "seconds_left": 0 if self.state == "finished" else self.left,
                "meta_loss": None if math.isnan(loss) else loss, "skipped_units": self.skipped,
                "last_checkpoint": self.checkpoint, "seconds_since_last_line": self.age}


def loss_line(state, name, label, width):
    now, before = state.smoothed(name)
    trend = "" if not math.isfinite(before) else f"  ({now - before:+.3g} over the last tenth)"
    line = sparkline(state.metrics[name], max(10, width - 34 - len(trend)))
    return f"  {label:<10} {now:>10.4g}  {line}{trend}"


def expand(paths):
    """Returns the run directories. If a path is a folder of runs, the runs in it are returned instead of the folder."""
    found = []
    for path in map(os.fspath, paths):
        inside = [] if os.path.exists(os.path.join(path, "config.yaml")) else sorted(
            entry.path for entry in os.scandir(path) if os.path.exists(os.path.join(entry.path, "config.yaml"))
        ) if os.path.isdir(path) else []
        found += inside or [path]
    return found


def look(path, following=False):
    """Returns the state of a run, or None if the run has not begun. If a new run starts in the folder of an earlier
    run, the new run first moves the earlier files to another folder. For this reason, an empty folder also counts as a
    run that has not begun if `following` is True."""
    try:
        return State(path)
    except (wf.ToolError, FileNotFoundError) as error:
        if os.path.isdir(path) and (following or getattr(error, "code", wf.NO_INPUT) == wf.NO_INPUT):
            return None
        raise


def describe(path, s, width):
    """Returns the lines of output for one run."""
    if s is None:
        return [f"{path}: waiting for the first meta-step"]
    share = min(1.0, s.step / max(1, s.total))
    left = {"finished": "finished", "running": f"{duration(s.left)} left",
            "quiet": "stopped? (--resume continues)"}[s.state]
    lines = [f"{s.run.path}: {s.run.title}",
             f"  {bar(share, 24)} {100 * share:3.0f} %  meta-step {s.step:,} of {s.total:,}  {1 / s.seconds:.3g}/s  {left}",
             loss_line(s, "meta_loss", "meta-loss", width), loss_line(s, "last_loss", "last loss", width)]
    kept = "none yet" if s.checkpoint is None else f"{s.checkpoint:,}"
    lines.append(f"  checkpoint {kept}; skipped units {s.skipped}; last line {duration(s.age)} ago")
    return [line[:width] for line in lines]


def table(paths, states, width):
    """Returns a line for each run, and a line for all runs."""
    names = [os.path.basename(os.path.normpath(path)) for path in paths]
    if len(set(names)) < len(names):
        names = list(map(os.fspath, paths))
    bars = 12 if width >= 110 else 0
    room = min(max(map(len, names)), max(12, width - 60 - bars - (bars > 0) * 2))

    def row(name, share, step="", rate="", loss="", change="", state=""):
        short = name if len(name) <= room else "..." + name[3 - room:]
        drawn = bar(share, bars) + "  " if bars and share is not None else " " * (bars + 2 * (bars > 0))
        return f"{short:<{room}}  {drawn}{step:>14}  {rate:>8}  {loss:>9}  {change:>8}  {state}"

    lines = [row("run", None, "meta-step", "rate", "meta-loss", "change", "state")]
    for name, s in zip(names, states):
        if s is None:
            lines.append(row(name, 0, state="waiting"))
            continue
        now, before = s.smoothed("meta_loss")
        lines.append(row(name, min(1.0, s.step / max(1, s.total)), f"{s.step:,}/{s.total:,}", f"{1 / s.seconds:.3g}/s", f"{now:.4g}",
                         f"{now - before:+.2g}" if math.isfinite(before) else "",
                         f"{duration(s.left)} left" if s.state == "running" else s.state))
    return [line[:width] for line in lines + [summary(states)]]


def summary(states):
    """Returns a string such as "2 of 5 finished, 1 quiet; 3 min left"."""
    kinds = ["waiting" if s is None else s.state for s in states]
    parts = [f"{kinds.count('finished')} of {len(kinds)} finished"]
    parts += [f"{kinds.count(kind)} {kind}" for kind in ("running", "quiet", "waiting") if kind in kinds]
    left = [s.left for s in states if s is not None and s.state == "running"]
    skipped = sum(s.skipped for s in states if s is not None)
    return ", ".join(parts) + (f"; {duration(max(left))} left" if left else "") + (f"; skipped units {skipped}" if skipped else "")


def show(paths, states, width):
    if len(paths) > MOST_BLOCKS:
        return table(paths, states, width)
    return [line for path, s in zip(paths, states) for line in describe(path, s, width)]


def follow(paths, every):
    shown = 0
    while True:
        width = shutil.get_terminal_size((100, 24)).columns - 1
        runs = expand(paths)
        states = [look(path, shown > 0) for path in runs]
        lines = show(runs, states, width)
        if sys.stdout.isatty() and shown:
            sys.stdout.write(f"\x1b[{shown}A")
        clear = "\x1b[K" if sys.stdout.isatty() else ""
        sys.stdout.write("".join(f"{line}{clear}\n" for line in lines) + ("\x1b[J" if clear else ""))
        sys.stdout.flush()
        shown = len(lines)
        if all(s is not None and s.state == "finished" for s in states):
            return
        time.sleep(every)


def main():
    parser = wf.Parser(__doc__)
    parser.add_argument("runs", metavar="RUN", nargs="+", help="a run directory, or a folder of run directories")
    parser.add_argument("--once", action="store_true", help="print the state once and end")
    parser.add_argument("--every", type=float, default=2.0, metavar="SECONDS",
                        help="seconds between two updates (default: 2)")
    parser.add_argument("--json", metavar="FILE", help="with --once: write the state as JSON; - for standard output")
    a = parser.parse_args()
    if a.json and not a.once:
        parser.error("--json needs --once")
    if not a.every > 0:
        parser.error("--every needs a positive number of seconds")
    for path in a.runs:
        wf.require_path(path)
    if a.json:
        with wf.open_output(a.json) as out:
            states = [(path, look(path)) for path in expand(a.runs)]
            json.dump([s.as_dict() if s else {"run": path, "state": "waiting"} for path, s in states], out, indent=2)
            out.write("\n")
    elif a.once:
        width = shutil.get_terminal_size((100, 24)).columns
        runs = expand(a.runs)
        print("\n".join(show(runs, [look(path) for path in runs], width)))
    else:
        follow(a.runs, a.every)


if __name__ == "__main__":
    wf.run_tool(main)
