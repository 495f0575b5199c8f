#!/usr/bin/env python3
"""Draws the course of one or several trainings.

Six panels: meta-loss, losses inside the window, meta-gradient norm, learning rate, units left out as
non-finite, and where the time of a meta-step goes. Runs whose configurations differ in the seed alone
are one group: its mean, with a 95 % band over the runs. Other differences make groups, each with its
colour, named after what differs.

A window sees one part of an episode, so the meta-loss rises and falls with the episode's progress;
lines are running means over whole episodes (--smooth 1 shows each meta-step).

Examples:
  plot_training.py runs/quickstart                          -> runs/quickstart/training.png
  plot_training.py runs/seed-* --output training.pdf        band over seeds
  plot_training.py runs/adam runs/cosine -o compared.svg    two configurations
"""
import os

import warploom_needs  # first: says what this Python lacks

import warploom_files as wf
import warploom_style as ws
from warploom.plots.training import draw


def main():
    parser = wf.Parser(__doc__)
    parser.add_argument("runs", metavar="RUN", nargs="+", help="a run directory; a running one is fine")
    ws.add_output(parser, "training.png in the first RUN")
    parser.add_argument("--smooth", type=int, metavar="N",
                        help="running mean over N meta-steps; by default whole episodes, about a fiftieth of the run")
    a = parser.parse_args()
    if a.output:
        ws.check_output(a.output)
    runs = [wf.Run(path) for path in a.runs]
    ws.save(draw(runs, a.smooth), a.output or os.path.join(a.runs[0], "training.png"))


if __name__ == "__main__":
    wf.run_tool(main)
