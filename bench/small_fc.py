#!/usr/bin/env python3
"""Compares the speed of a meta-training in Warploom and in JAX. The rule small_fc has a network of 39, 32, 32 and 2
units. The estimator pes meta-trains the rule on perceptrons of 2,410 weights.

    bench/small_fc.py --build BUILD --python VENV/bin/python [--rounds N] [--forms FORM-OVER ...] [--cpu-time]
    bench/small_fc.py --build BUILD --python VENV/bin/python --check

BUILD is the build directory. The interpreter of --python needs JAX (bench/README.md). A meta-step runs 50 inner steps
of 8 units, computes the PES estimate, and updates the rule by Adam (small_fc.yaml, small_fc_jax.py). Each unit is an
antithetic pair of inner runs. The printed rates count each pair as one unit. The programs run alternately on one
core. The option --check compares the rule of the JAX program with reference values of
tests/reference/tensor_rules.py."""

import argparse
import os
import statistics
import subprocess

import versus

HERE = os.path.dirname(os.path.abspath(__file__))
FORMS = [f"{form}-{over}" for form in ("plain", "columns", "folded") for over in ("vmap", "map")]
COORDINATE_STEPS = 8 * 50 * 2410


def jax(python, form, *more):
    form, over = form.split("-")
    return [python, os.path.join(HERE, "small_fc_jax.py"), "--form", form, "--over", over, *more]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build")
    parser.add_argument("--python", required=True)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--forms", nargs="+", choices=FORMS, default=FORMS)
    parser.add_argument("--cpu-time", action="store_true")
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    if arguments.check:
        return max(subprocess.run(jax(arguments.python, form, "--check"), check=False).returncode
                   for form in FORMS if form.endswith("-map"))
    if arguments.cpu_time:
        os.environ["VERSUS_CLOCK"] = "cpu"
    ours = versus.Worker("Warploom", [os.path.join(arguments.build, "bench", "bench_meta_step"),
                                      os.path.join(HERE, "small_fc.yaml")], 1, versus.MPI)
    others = [versus.Worker(f"JAX {form}", jax(arguments.python, form)) for form in arguments.forms]
    print(f"processor: {versus.processor()}; {ours.about}; {others[0].about}")
    times = versus.rounds([ours, *others], arguments.rounds)
    versus.report(times, ours.name)
    best = min(times, key=lambda name: statistics.median(times[name]) if name != ours.name else float("inf"))
    each = sorted(b / a for a, b in zip(times[ours.name], times[best]))
    print(f"{COORDINATE_STEPS / statistics.median(times[ours.name]) / 1e6:.1f} M coordinate-steps/s (best "
          f"{COORDINATE_STEPS / min(times[ours.name]) / 1e6:.1f}), {best} {COORDINATE_STEPS / statistics.median(times[best]) / 1e6:.1f}: "
          f"{statistics.median(each):.2f} times as fast ({each[0]:.2f} to {each[-1]:.2f} over {len(each)} rounds)")
    for worker in (ours, *others):
        worker.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
