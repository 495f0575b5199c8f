#!/usr/bin/env python3
"""Compares the time of complete meta-steps in Warploom, JAX and PyTorch. The programs run alternately.

    bench/meta_step.py --build BUILD --python VENV/bin/python [--sizes NAME ...] [--rounds N]
                       [--cores 1 2] [--all-forms] [--json FILE]
    bench/meta_step.py --build BUILD --python VENV/bin/python --check
    bench/meta_step.py --build BUILD --level [--windows N]

BUILD is the build directory. The interpreter of --python needs JAX and PyTorch (bench/README.md). A meta-step computes
a window of 20 inner steps and its first-order meta-gradient, and updates the LSTM by Adam. The LSTM has two layers of
20 units. The tasks are quadratic functions of 1,280 coordinates, and perceptrons of 15,910 and 101,770 parameters.
JAX and PyTorch can compute a meta-step in several forms. By default, the script measures the forms that were fastest
for each size of the task, and with --all-forms it measures all forms. JAX and PyTorch run on one core and on two
cores, or on the numbers of cores that --cores selects. The option --check compares the meta-gradient of every program
with that of `warploom check` on windows of a small problem. The option --level runs only Warploom, on the perceptron
of 15,910 parameters. One process treats subnormal numbers as zero (the default), and another process computes with
them (gradual underflow). With --level, the script compares the time of the last 20 windows with the time of the first
20 windows."""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile

import versus
from meta_step_tasks import STEPS, TASKS, task_override

HERE = os.path.dirname(os.path.abspath(__file__))
CONFIG = os.path.join(HERE, "meta_step.yaml")
FORMS = {"jax": ("whole", "stored", "blocks", "stored-blocks"), "torch": ("step", "window", "blocks", "cell")}
# For each program and size of the task: the fastest forms, and the JAX form that needs the least memory.
BEST = {"jax": {"quadratic-1280": ("whole",), "mlp-15910": ("whole", "blocks"), "mlp-101770": ("whole", "blocks")},
        "torch": {"quadratic-1280": ("step",), "mlp-15910": ("step",), "mlp-101770": ("cell",)}}


def warploom(build, task, storage, units=1, threads=1, ranks=1):
    command = [os.path.join(build, "bench", "bench_meta_step"), CONFIG, task_override(task), f"outer.units={units}",
               f"threads={threads}", f"window.storage={storage}"]
    if ranks > 1:
        command = [shutil.which("mpirun") or "mpirun", "-n", str(ranks), *command]
    label = f"Warploom {storage}, " + (f"{ranks} ranks" if ranks > 1 else f"{threads} thread{'s' if threads > 1 else ''}")
    return Contender(label, command, units, max(ranks, threads), versus.MPI)


def other(python, program, task, form, threads):
    command = [python, os.path.join(HERE, f"meta_step_{program}.py"), task, "--form", form]
    if program == "torch":
        command += ["--threads", str(threads)]
    label = f"{'JAX' if program == 'jax' else 'PyTorch'} {form}, {threads} thread{'s' if threads > 1 else ''}"
    return Contender(label, command, 1, threads)


class Contender(versus.Worker):
    """Runs a program whose meta-step computes `units` windows. A call returns the time of the meta-step in seconds,
    divided by `units`."""

    def __init__(self, name, command, units, cores, environment=None):
        super().__init__(name, command, cores, environment)
        self.units = units
        self.window_bytes = self.ask("memory")

    def __call__(self):
        return super().__call__() / self.units


def start(arguments, task):
    ours = [warploom(arguments.build, task, storage) for storage in ("activations", "recompute") if 1 in arguments.cores]
    if 2 in arguments.cores:
        ours += [warploom(arguments.build, task, "activations", threads=2), warploom(arguments.build, task, "activations", units=2, ranks=2)]
    theirs = [other(arguments.python, program, task, form, threads)
              for program in FORMS
              for form in (FORMS[program] if arguments.all_forms else BEST[program][task])
              for threads in arguments.cores]
    return ours, theirs


def print_table(header, rows):
    widths = [max(len(str(row[i])) for row in [header, *rows]) for i in range(len(header))]
    for row in [header, ["-" * w for w in widths], *rows]:
        print("| " + " | ".join(str(cell).ljust(w) if i == 0 else str(cell).rjust(w)
                                for i, (cell, w) in enumerate(zip(row, widths))) + " |")
    sys.stdout.flush()


def ratios(slow, fast):
    """Divides the time of `slow` by the time of `fast` in each round. Returns the median, the least and the greatest
    of these ratios."""
    each = sorted(s / f for s, f in zip(slow, fast))
    return statistics.median(each), each[0], each[-1]


def fastest(others, times, cores):
    """Returns the name of the JAX or PyTorch program with the least median time among those that use at most `cores`
    cores."""
    return min((c.name for c in others if c.cores <= cores), key=lambda name: statistics.median(times[name]))


def report(task, contenders, times, others):
    """Prints the rate of each program in coordinate-steps per second. Also divides this rate
    by the rate of the fastest JAX or PyTorch program that uses no more cores than the program."""
    n = TASKS[task]["n"]
    rows, results = [], []
    for c in contenders:
        best = fastest(others, times, c.cores)
        median = statistics.median(times[c.name])
        middle, least, most = ratios(times[best], times[c.name])
        rows.append((c.name, f"{1e3 * median:.2f}", f"{n * STEPS / median / 1e6:.3f}", f"{middle:.2f}",
                     f"{least:.2f}-{most:.2f}", best, f"{c.window_bytes / 1e6:.1f}", f"{c.start_seconds:.1f}"))
        results.append({"task": task, "program": c.name, "cores": c.cores, "seconds": times[c.name], "about": c.about,
                        "start_seconds": c.start_seconds, "window_bytes": c.window_bytes,
                        "fastest_other": best, "times_the_fastest_other": (middle, least, most)})
    print(f"\n{task}: windows of {STEPS} steps over {n} coordinates, {len(times[best])} rounds; "
          "compared with the fastest other on at most as many cores")
    print_table(("program", "ms a window", "M cs/s", "times as fast", "range", "as", "window MB", "start s"), rows)
    for c in contenders:  # every program continues its training from round to round
        first, last = times[c.name][:3], times[c.name][-3:]
        print(f"{c.name}: {1e3 * statistics.median(first):.2f} ms a window in the first rounds, "
              f"{1e3 * statistics.median(last):.2f} in the last")
    one, two = "Warploom activations, 1 thread", "Warploom activations, 2 ranks"
    if one in times and two in times:
        middle, least, most = (r / 2 for r in ratios(times[one], times[two]))
        print(f"two ranks with twice the work of one rank: efficiency {middle:.3f} ({least:.3f}-{most:.3f})")
    return results


def measure(arguments):
    if arguments.cpu_time:
        os.environ["VERSUS_CLOCK"] = "cpu"
        arguments.cores = [1]
    print(f"processor: {versus.processor()}" + ("; CPU time, one core each" if arguments.cpu_time else ""))
    results = []
    look = versus.Cores(arguments.build) if 2 in arguments.cores else None
    for task in arguments.sizes:
        ours, others = start(arguments, task)
        times = versus.rounds(ours + others, arguments.rounds, look)
        results += report(task, ours + others, times, others)
        for contender in ours + others:
            contender.close()
    if look:
        print("\n" + look.report())
    print("\nversions: " + "; ".join(sorted({result["about"] for result in results})))
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump({"processor": versus.processor(), "results": results}, file, indent=1)
    return 0


def check(arguments):
    """Compares the meta-gradient of every JAX and PyTorch form with that of `warploom check` on a window that begins in the
    middle of an episode."""
    small = {"quadratic-1280": [], "mlp-check": ["--set", "task={family: mlp, data: synthetic, widths: [12], batch: 16}"]}
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        for task, overrides in small.items():
            dump = os.path.join(folder, task + ".h5")
            subprocess.run([os.path.join(arguments.build, "warploom"), "check", CONFIG, "--quiet", "--directions", "1",
                            "--dump", dump, *overrides], check=True, stdout=subprocess.DEVNULL)
            for program, forms in FORMS.items():
                for form in forms:
                    print(f"{task} {program} {form}: ", end="", flush=True)
                    bad += subprocess.run([arguments.python, os.path.join(HERE, f"meta_step_{program}.py"), task,
                                           "--form", form, "--check", dump], check=False).returncode != 0
    return 1 if bad else 0


def level(arguments):
    """Compares the time of the last windows of a training with the time of the first windows. Late in a training,
    parameters and rule states are so small that they are subnormal."""
    print(f"processor: {versus.processor()}" + ("; CPU time" if arguments.cpu_time else ""))
    if arguments.cpu_time:
        os.environ["VERSUS_CLOCK"] = "cpu"
    names = {"subnormals as zero": "bench_meta_step", "gradual underflow": "bench_meta_step_gradual"}
    workers = [versus.Worker(name, [os.path.join(arguments.build, "bench", program), CONFIG, task_override("mlp-15910")],
                             # without this setting, Open MPI would start a daemon that reports each SIGCONT
                             environment={"OMPI_MCA_ess_singleton_isolated": "1"})
               for name, program in names.items()]
    times, subnormals = ({worker.name: [] for worker in workers} for _ in range(2))
    for _ in range(arguments.windows):
        for worker in workers:
            times[worker.name].append(worker.ask("step"))
            subnormals[worker.name].append(worker.ask("subnormals"))
    for worker in workers:
        first, last = (statistics.mean(part) for part in (times[worker.name][:20], times[worker.name][-20:]))
        print(f"{worker.name}: {1e3 * first:.1f} ms a window in the first 20 of {arguments.windows}, {1e3 * last:.1f} in the "
              f"last 20, ratio {last / first:.2f}; at most {max(subnormals[worker.name]):.0f} subnormal numbers in the unit's state")
        worker.close()
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--build", default="build", help="build directory")
    parser.add_argument("--python", default=sys.executable, help="interpreter with JAX and PyTorch")
    timed = [name for name in TASKS if name != "mlp-check"]
    parser.add_argument("--sizes", nargs="+", choices=timed, default=timed)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--cores", nargs="+", type=int, choices=(1, 2),
                        default=[1, 2][:len(os.sched_getaffinity(0))])
    parser.add_argument("--all-forms", action="store_true", help="run every form of the other programs")
    parser.add_argument("--cpu-time", action="store_true", help="measure CPU time on one core, for a machine with other load")
    parser.add_argument("--json", metavar="FILE", help="all times")
    parser.add_argument("--check", action="store_true", help="compare meta-gradients instead of times")
    parser.add_argument("--level", action="store_true", help="compare the last windows of a long run with the first")
    parser.add_argument("--windows", type=int, default=200, help="windows of --level, at least 20")
    arguments = parser.parse_args()
    if arguments.windows < 20:
        parser.error("--windows must be at least 20")
    if arguments.level:
        return level(arguments)
    return check(arguments) if arguments.check else measure(arguments)


if __name__ == "__main__":
    sys.exit(main())
