#!/usr/bin/env python3
"""Writes the metrics of runs as event files for TensorBoard.

The tool makes a folder for each run in FOLDER. Each metric is a scalar over meta-steps. Metrics of the same kind (loss,
gradient, seconds, run) are in one group. The configuration is stored as a text. The time of a scalar is the end of its
meta-step. It is computed backwards from the time at which the last line of the metrics was written. The tool needs the
package tensorboardX: pip install tensorboardX.

Examples:
  export_tensorboard.py runs/quickstart events && tensorboard --logdir events
  export_tensorboard.py runs/sweep-1 events --every 30      all runs in a folder, until the last one ends
"""
import os
import time

import warploom_needs  # imported first, because this module reports missing packages

import numpy as np

import warploom_files as wf
import watch

UNAVAILABLE = 69  # of sysexits.h
GROUPS = {"loss": lambda name: name.endswith("_loss"),
          "gradient": lambda name: name.startswith("gradient_") or name == "signal_to_noise",
          "seconds": lambda name: "_seconds" in name}


def tag(name):
    return next((group for group, has in GROUPS.items() if has(name)), "run") + "/" + name


def writer_class():
    try:
        from tensorboardX import SummaryWriter
    except ImportError as error:
        raise wf.ToolError(UNAVAILABLE, f"this Python has no tensorboardX ({error}): pip install tensorboardX") from error
    return SummaryWriter


class Events:
    """Writes the event files of one run."""

    def __init__(self, path, folder):
        self.path, self.folder, self.writer, self.last = path, folder, None, 0

    def update(self):
        """Writes the new meta-steps. Returns True if the run is finished."""
        s = watch.look(self.path, following=True)
        if s is None:
            return False
        if self.writer is None:
            self.writer = writer_class()(self.folder)
            self.writer.add_text("configuration", "".join(f"    {line}\n" for line in s.run.text.splitlines()), 0)
        self.write(s)
        self.writer.flush()
        return s.state == "finished"

    def write(self, s):
        steps = s.metrics["meta_step"]
        seconds = wf.step_seconds(s.metrics)
        ends = time.time() - s.age - (seconds.sum() - np.cumsum(seconds))
        for row in np.flatnonzero(steps > self.last):
            for name, column in s.metrics.items():
                if name != "meta_step" and np.issubdtype(column.dtype, np.number) and np.isfinite(column[row]):
                    self.writer.add_scalar(tag(name), column[row], int(steps[row]), walltime=ends[row])
        self.last = max(self.last, int(steps[-1]))


def folders_of(runs, folder):
    """Makes a folder for each run. The name of the folder consists of the parts in which the paths of the runs
    differ."""
    paths = [os.path.abspath(run) for run in runs]
    names = [os.path.basename(path) for path in paths]
    if len(set(names)) < len(names):
        common = os.path.commonpath(paths)
        names = [os.path.relpath(path, common) for path in paths]
    return [os.path.join(folder, name) for name in names]


def main():
    parser = wf.Parser(__doc__)
    parser.add_argument("runs", metavar="RUN", nargs="+", help="a run directory, or a folder of run directories")
    parser.add_argument("folder", metavar="FOLDER", help="folder of the event files, for tensorboard --logdir")
    parser.add_argument("--every", type=float, metavar="SECONDS",
                        help="write new metrics at this interval until all runs are finished")
    a = parser.parse_args()
    if a.every is not None and not a.every > 0:
        parser.error("--every needs a positive number of seconds")
    for path in a.runs:
        wf.require_path(path)
    wf.check_output(os.path.join(a.folder, "events"), [])
    writer_class()
    events = {}
    while True:
        runs = watch.expand(a.runs)
        for run, folder in zip(runs, folders_of(runs, a.folder)):
            if run not in events and os.path.isdir(folder) and any(n.startswith("events.") for n in os.listdir(folder)):
                raise wf.ToolError(wf.CANNOT_CREATE, f"{folder}: already contains event files: remove the folder or "
                                                     "choose another FOLDER")
            events.setdefault(run, Events(run, folder))
        done = [events[run].update() for run in runs]
        if a.every is None or all(done):
            break
        time.sleep(a.every)
    for run in events.values():
        if run.writer is not None:
            run.writer.close()
    print(a.folder)


if __name__ == "__main__":
    wf.run_tool(main)
