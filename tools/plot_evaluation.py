#!/usr/bin/env python3
"""Draws an evaluation: the learned rule compared with tuned hand-designed rules.

For one setting, the picture has loss curves and the final losses with their intervals. For several settings (`warploom
eval RUN --vary ...`), the picture also has a ratio for each setting: the final loss of the learned rule divided by the
final loss of the best hand-designed rule. The ratio shows the settings in which the learned rule does not work.

Lines are geometric means over sets of fresh tasks, and bands are the 95 % intervals of the means (Student's t on
log10). The means are arithmetic for few-shot tasks, and for settings with a loss that is not positive. After the first
run of a rule has diverged, the line of this rule is dashed and shows the mean of the other runs.

Examples:
  plot_evaluation.py runs/quickstart                        RUN/evaluation.h5 -> RUN/evaluation.png
  plot_evaluation.py runs/quickstart/evaluation.h5 --output curves.pdf
  plot_evaluation.py runs/quadratic --case trained --smooth 5
"""
import os

import warploom_needs  # imported first, because this module reports missing packages

import warploom_files as wf
import warploom_style as ws
from warploom.plots.evaluation import draw


def main():
    parser = wf.Parser(__doc__)
    parser.add_argument("file", metavar="FILE", help="a file from `warploom eval`, or a run directory that contains it")
    ws.add_output(parser, "FILE with the extension .png")
    parser.add_argument("--case", metavar="NAME", help="draw only this setting, e.g. trained or 'horizon x 5'")
    parser.add_argument("--smooth", type=int, default=1, metavar="N", help="draw the running mean of the curves over N steps")
    a = parser.parse_args()
    if a.output:
        ws.check_output(a.output)
    evaluation = wf.Evaluation(a.file)
    output = a.output or os.path.splitext(evaluation.path)[0] + ".png"
    ws.save(draw(evaluation, a.case, a.smooth), output)


if __name__ == "__main__":
    wf.run_tool(main)
