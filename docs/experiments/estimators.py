#!/usr/bin/env python3
"""Trains rules by different meta-gradient estimators. All trainings have the same processor time.

Usage: docs/experiments/estimators.py [ROW...]

Each line of estimators.txt describes a row of the table in estimators.md. The line has the name of the row and the
settings that differ from jobs/controller.yaml. For each row, the script first measures the time of a few meta-steps. It
then sets outer.steps to the number of meta-steps that can be computed in the given processor time, so the schedule of
the outer learning rate ends at the last meta-step. If the output folder contains the trained optimizer of a row, the
script does not train this row again.
"""
import argparse
import os
import resource
import shlex
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent


def processor_seconds():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def train(a, output, options):
    """Runs `warploom train` and returns its processor time in seconds. With --stop-after, the exit code is 75."""
    before = processor_seconds()
    command = [a.warploom, "train", str(HERE / "../../jobs/controller.yaml"), "--quiet", "--set", "threads=1", "--set",
               "trajectory.every=0", "--set", f"output={output}"]
    code = subprocess.run(command + options, stdout=subprocess.DEVNULL, check=False).returncode
    if code not in (0, 75):
        raise SystemExit(f"estimators.py: '{shlex.join(command + options)}' exited with code {code}")
    return processor_seconds() - before


def meta_steps(a, options):
    """Returns the number of meta-steps that a training computes in a.seconds seconds of processor time."""
    def timed(steps):
        return train(a, a.output / "timing", options + ["--stop-after", str(steps)])
    start, few = timed(1), 6
    while True:
        seconds = timed(1 + few) - start
        if seconds > a.seconds / 40 or few >= 10 ** 5:
            return max(1, int(few * (a.seconds - start) / seconds))
        few *= 3


def rows(a):
    for line in (HERE / "estimators.txt").read_text().splitlines():
        name, *settings = shlex.split(line, comments=True) or [None]
        if name and (not a.rows or name in a.rows):
            yield name, [word for s in settings for word in ("--set", s)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*")
    parser.add_argument("--seconds", type=float, default=25, help="processor seconds of a training (default 25)")
    parser.add_argument("--seeds", default="1", help="seeds of the trainings, separated by commas (default 1)")
    parser.add_argument("--output", type=Path, default=Path("runs/estimators"))
    parser.add_argument("--warploom", default=os.environ.get("WARPLOOM") or str(HERE / "../../build/warploom"))
    a = parser.parse_intermixed_args()
    a.output.mkdir(parents=True, exist_ok=True)
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    for name, options in rows(a):
        steps = None
        for seed in a.seeds.split(","):
            run = a.output / f"{name}-{seed}"
            if (run / "optimizer.h5").exists():
                continue
            if "outer.steps=0" not in options:
                steps = steps or meta_steps(a, options)
            end = ["--set", f"outer.steps={steps}"] if steps else []
            used = train(a, run, options + end + ["--set", f"seed={seed}", "--resume"])
            print(f"{name} seed {seed}: {steps or 0} meta-steps, {used:.1f} s", flush=True)


if __name__ == "__main__":
    main()
