#!/usr/bin/env python3
"""Draws the metrics of one or several trainings over their meta-steps.

The six panels show the meta-loss, the losses inside the window, the norm of the meta-gradient, the learning rate, the
number of non-finite units that were left out, and the times of the phases of a meta-step. Runs whose configurations
differ only in the seed are one group. A group is drawn as a mean with a 95 % band. Runs that differ in other keys are
in different groups. Each group has a colour, and its name lists the different keys.

The meta-loss depends on the position of the window in the episode. Lines are therefore running means over complete
episodes. --smooth 1 shows each meta-step.

Examples:
  plot_training.py runs/quickstart                          -> runs/quickstart/training.png
  plot_training.py runs/seed-* --output training.pdf        band over seeds
  plot_training.py runs/adam runs/cosine -o compared.svg    two configurations
"""
import os

import warploom_needs  # imported first, because this module reports missing packages

import warploom_files as wf
import warploom_style as ws
from warploom.plots.training import draw


def main():
    parser = wf.Parser(__doc__)
    parser.add_argument("runs", metavar="RUN", nargs="+", help="a run directory; the run may be in progress")
    ws.add_output(parser, "training.png in the first RUN")
    parser.add_argument("--smooth", type=int, metavar="N",
                        help="draw the running mean over N meta-steps (default: about a fiftieth of the run, rounded to "
                             "complete episodes)")
    a = parser.parse_args()
    if a.output:
        ws.check_output(a.output)
    runs = [wf.Run(path) for path in a.runs]
    ws.save(draw(runs, a.smooth), a.output or os.path.join(a.runs[0], "training.png"))


if __name__ == "__main__":
    wf.run_tool(main)
