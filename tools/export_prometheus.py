#!/usr/bin/env python3
"""Writes the newest metrics of runs as a text file for Prometheus.

The file has the text format that node exporter's textfile collector reads. Every quantity of the newest meta-step is a
gauge with the labels run, path and task. The tool replaces the file by a rename, so a reader never sees an incomplete
file. Two gauges are for alerting rules. The first gauge, warploom_state, has a sample for each state of a run (running,
quiet, finished). The value is 1 for the current state. The second gauge, warploom_last_write_timestamp_seconds, is the
time of the last metrics of the run.

Examples:
  export_prometheus.py runs/chain-1234 -o /var/lib/node_exporter/warploom.prom
  export_prometheus.py runs/sweep-1 -o warploom.prom --every 30      all runs in a folder, until the last one ends
"""
import os
import re
import tempfile
import time

import warploom_needs  # imported first, because this module reports missing packages

import numpy as np

import warploom_files as wf
import watch

STATES = ("running", "quiet", "finished")
OWN = {"meta_steps_planned": "meta-steps of the configuration", "state": "1 for the current state of the run",
       "last_write_timestamp_seconds": "Unix time of the last metrics",
       "last_checkpoint_meta_step": "meta-step of the newest checkpoint"}


def escape(text):
    return str(text).replace("\\", r"\\").replace('"', r'\"').replace("\n", r"\n")


def help_texts(run):
    """Reads the descriptions of the metrics from the attributes of the trajectory file, if that file exists."""
    try:
        with run.trajectory() as file:
            return {name: wf.text_of(file.h5["metrics"][name].attrs.get("long_name", "")) for name in file.h5["metrics"]}
    except (wf.ToolError, KeyError):
        return {}


def number(value):
    return "NaN" if np.isnan(value) else repr(float(value))


class Page:
    """Groups of samples by metric, in the order of the first sample."""

    def __init__(self):
        self.samples, self.helps = {}, dict(OWN)

    def add(self, name, value, labels):
        name = re.sub(r"[^a-zA-Z0-9_]", "_", name)
        inside = ",".join(f'{key}="{escape(text)}"' for key, text in labels.items())
        self.samples.setdefault(name, []).append(f"warploom_{name}{{{inside}}} {number(value)}")

    def add_run(self, path):
        s = watch.look(path, following=True)
        if s is None:
            return False
        self.helps.update({k: v for k, v in help_texts(s.run).items() if v})
        labels = {"run": s.run.name, "path": os.path.abspath(path), "task": s.run.configuration.get("task.family", "")}
        for name, column in s.metrics.items():
            if np.issubdtype(column.dtype, np.number):
                self.add(name, column[-1], labels)
        self.add("meta_steps_planned", s.total, labels)
        self.add("last_write_timestamp_seconds", time.time() - s.age, labels)
        if s.checkpoint is not None:
            self.add("last_checkpoint_meta_step", s.checkpoint, labels)
        for state in STATES:
            self.add("state", s.state == state, {**labels, "state": state})
        return s.state == "finished"

    def text(self):
        lines = []
        for name, samples in self.samples.items():
            meaning = self.helps.get(name, f"{name} of the newest meta-step")
            meaning = meaning.replace("\\", r"\\").replace("\n", " ")
            lines += [f"# HELP warploom_{name} {meaning}", f"# TYPE warploom_{name} gauge", *samples]
        return "".join(line + "\n" for line in lines)


def replace(path, text):
    """Replaces the file in one step, so a reader sees either the complete new file or the previous file. All users may
    read the file, because the collector runs as another user."""
    folder = os.path.dirname(os.path.abspath(path))
    try:
        handle, name = tempfile.mkstemp(prefix=".", suffix=".tmp", dir=folder)  # the collector reads only *.prom
        with os.fdopen(handle, "w", encoding="utf-8") as out:
            out.write(text)
            os.fchmod(out.fileno(), 0o644)
        os.replace(name, path)
    except OSError as error:
        raise wf.ToolError(wf.CANNOT_CREATE, f"{path}: cannot be written: {error.strerror}") from error


def main():
    parser = wf.Parser(__doc__)
    parser.add_argument("runs", metavar="RUN", nargs="+", help="a run directory, or a folder of run directories")
    parser.add_argument("-o", "--output", metavar="FILE", required=True,
                        help="text file to write, with a name that ends in .prom")
    parser.add_argument("--every", type=float, metavar="SECONDS",
                        help="write again at this interval until all runs are finished")
    a = parser.parse_args()
    if a.every is not None and not a.every > 0:
        parser.error("--every needs a positive number of seconds")
    if not a.output.endswith(".prom"):
        parser.error(f"{a.output}: the collector reads only files with names that end in .prom")
    for path in a.runs:
        wf.require_path(path)
    while True:
        page = Page()
        done = [page.add_run(path) for path in watch.expand(a.runs)]
        replace(a.output, page.text())
        if a.every is None or all(done):
            return
        time.sleep(a.every)


if __name__ == "__main__":
    wf.run_tool(main)
