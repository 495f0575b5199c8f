#!/usr/bin/env python3
"""Draws the inner runs of a training and the learned rule.

  loss        loss along an episode, from the first meta-steps (pale) to the last meta-steps (dark).
              If evaluation.h5 exists, the panel also has the losses of its hand-designed rules.
  rule        update against gradient at sampled coordinates.
              Lines are medians over bins of the gradient. Bands contain the middle half of the updates. The dashed
              diagonal is SGD. The update of a sign rule would be two horizontal lines.
  phase       paths through the plane, for tasks with two parameters (rosenbrock, mountain)
  parameters  learned preconditioner, warp layers and initialisation over meta-training, from the checkpoints.
              The panel also has the change of all other meta-parameters.

Panels without recorded data are left out. A message then names the key that must be set to record the data.

Examples:
  plot_trajectories.py runs/quickstart                        -> runs/quickstart/trajectories.png
  plot_trajectories.py runs/rosenbrock --show phase -o paths.pdf
  warploom train CONFIG --set trajectory.every=1 --set trajectory.snapshot_stride=1
"""
import os
import sys

import warploom_needs  # imported first, because this module reports missing packages

import warploom_files as wf
import warploom_style as ws
from warploom.plots.trajectories import PARTS, draw


def main():
    parser = wf.Parser(__doc__)
    parser.add_argument("run", metavar="RUN", help="a run directory; the run may be in progress")
    ws.add_output(parser, "RUN/trajectories.png")
    parser.add_argument("--show", metavar="LIST", help="parts to draw, e.g. loss,rule (default: all recorded parts)")
    a = parser.parse_args()
    wanted = a.show.split(",") if a.show else None
    for name in wanted or ():
        if name not in PARTS:
            parser.error(f"--show {name}: unknown; accepted are {', '.join(PARTS)}")
    if a.output:
        ws.check_output(a.output)
    figure, reasons = draw(wf.Run(a.run), wanted)
    if figure is None or (wanted and reasons):
        raise wf.ToolError(wf.NO_INPUT, "; ".join(reasons))
    for reason in reasons:
        print(f"left out: {reason}", file=sys.stderr)
    ws.save(figure, a.output or os.path.join(a.run, "trajectories.png"))


if __name__ == "__main__":
    wf.run_tool(main)
