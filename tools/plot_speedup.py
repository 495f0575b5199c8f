#!/usr/bin/env python3
"""Draws performance profiles of `warploom eval --speedup`: the fraction of runs with a speed-up of at least x.

The picture has one curve for each tuned hand-designed rule. The left panel shows speed-ups in steps, and the right
panel shows speed-ups in wall-clock time. For reports of several learned rules, the picture shows the speed-ups over the
first hand-designed rule that all reports contain. If a rule is as fast as the baseline, its curve falls at a speed-up of 1.

Examples:
  plot_speedup.py runs/general/speedup-unseen.json
  plot_speedup.py a-speedup-unseen.json b-speedup-unseen.json --output both.png
"""
import os

import warploom_needs  # imported first, because this module reports missing packages

import warploom_files as wf
import warploom_style as style
from warploom.plots.speedup import draw, read


def main():
    parser = wf.Parser(__doc__)
    parser.add_argument("reports", metavar="REPORT.json", nargs="+")
    parser.add_argument("--output", "-o", metavar="FILE", help="picture to write (default: the first report's name with .png)")
    a = parser.parse_args()
    reports = [read(path) for path in a.reports]
    output = a.output or os.path.splitext(a.reports[0])[0] + ".png"
    style.save(draw(reports), output)


if __name__ == "__main__":
    wf.run_tool(main)
