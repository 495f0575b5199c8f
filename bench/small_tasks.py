#!/usr/bin/env python3
"""Compares the time of a meta-step in Warploom and in PyTorch, for small tasks. The programs run alternately.

  python3 bench/small_tasks.py [sinusoid] [warp] [--program build/warploom] [--python PYTHON]
                               [--cores 1 2] [--rounds 5] [--modes eager compile-step ...]

- `sinusoid`: Runs MAML and Meta-SGD with a network of 1, 40, 40 and 1 units. A meta-step uses 25 tasks. Each task has
  10 points for one inner step and 10 points for the meta-loss. The meta-gradient is of second order.
- `warp`: Runs Warp-Grad with convolutions of 16 filters. A meta-step uses 4 tasks. Each task has 10 inner steps with
  batches of 20 images. The meta-step computes the exact gradient of the look-ahead loss.

The time of Warploom's meta-step includes all work of `warploom train`, also the work for the metrics and the files.
This time is the difference between the times of a run of many meta-steps and of a run of one meta-step, divided by
the number of additional meta-steps. PYTHON is an interpreter in which PyTorch is installed (pip install torch). The
files small_tasks_torch.py and small_tasks_warp_torch.py contain and describe the PyTorch programs. Run the comparison
on an idle machine.
"""
import argparse
import os
import pathlib
import random
import struct
import subprocess
import sys
import tempfile

import versus

HERE = pathlib.Path(__file__).resolve().parent
SINUSOID_MODES, WARP_MODES = ["eager", "compile", "compile-step"], ["chain", "channels-last", "func", "compile"]


class Warploom:
    """Runs `warploom train`. A call returns the time of one meta-step in seconds, excluding the time that the program
    needs to start."""

    def __init__(self, name, program, cores, steps, job, *settings):
        self.name, self.cores, self.steps = name, cores, steps
        launcher = ["mpiexec", "-n", str(cores)] if cores > 1 else []
        self.command = launcher + [str(program), "train", str(job), "--quiet", "--set", "threads=1",
                                   "--set", "checkpoint.every=0"]
        for setting in settings:
            self.command += ["--set", setting]
        version = subprocess.run([str(program), "--version"], capture_output=True, text=True, check=True)
        self.about = version.stdout.splitlines()[0]

    def _run(self, steps):
        chosen = sorted(os.sched_getaffinity(0))[:self.cores]
        with tempfile.TemporaryDirectory() as folder:
            command = self.command + ["--set", f"outer.steps={steps}", "--set", f"output={folder}/run"]
            return versus.timed(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=dict(os.environ, **versus.MPI),
                                                       preexec_fn=lambda: os.sched_setaffinity(0, chosen)))

    def __call__(self):
        start = self._run(1)
        return (self._run(self.steps + 1) - start) / self.steps


def write_images(folder, count=4096, side=28, classes=10):
    """Writes random images in the file format of MNIST, so the benchmark downloads no data."""
    draw = random.Random(1)
    for part, n in (("train", count), ("t10k", 1024)):
        with open(f"{folder}/{part}-images-idx3-ubyte", "wb") as f:
            f.write(struct.pack(">IIII", 0x803, n, side, side) + draw.randbytes(n * side * side))
        with open(f"{folder}/{part}-labels-idx1-ubyte", "wb") as f:
            f.write(struct.pack(">II", 0x801, n) + bytes(draw.randrange(classes) for _ in range(n)))


def torch_worker(args, script, cores, *words):
    name = f"PyTorch {words[-1]}, {cores} cores" if cores > 1 else f"PyTorch {words[-1]}, 1 core"
    return versus.Worker(name, [args.python, str(HERE / script), *words], cores)


def compare(title, contenders, args, unit_steps):
    print(f"\n{title}")
    for c in contenders:
        print(f"  {c.name}: {c.about}" + (f", ready after {c.start_seconds:.0f} s" if hasattr(c, "start_seconds") else ""))
    look = versus.Cores(args.program.parent) if contenders[0].cores > 1 else None
    versus.report(versus.rounds(contenders, args.rounds, look), contenders[0].name, *unit_steps)
    if look:
        print(look.report())
    for c in contenders:
        if isinstance(c, versus.Worker):
            c.close()


def sinusoid(args, cores):
    for algorithm in ("maml", "meta-sgd"):
        job = HERE.parent / "jobs" / f"{algorithm}-sinusoid.yaml"
        ours = Warploom("warploom", args.program, cores, 2000, job, "task.shots=10")
        theirs = [torch_worker(args, "small_tasks_torch.py", cores, algorithm, mode)
                  for mode in args.modes or SINUSOID_MODES if mode in SINUSOID_MODES]
        compare(f"{algorithm} on the sinusoid, {cores} core(s)", [ours] + theirs, args, ("ms", 1e3))


def warp(args, cores):
    with tempfile.TemporaryDirectory() as folder:
        write_images(folder)
        ours = Warploom("warploom", args.program, cores, 3, HERE / "warp-conv.yaml", f"task.data={folder}")
        theirs = [torch_worker(args, "small_tasks_warp_torch.py", cores, mode)
                  for mode in args.modes or WARP_MODES if mode in WARP_MODES]
        compare(f"Warp-Grad with convolutions, {cores} core(s)", [ours] + theirs, args, ("s", 1.0))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", choices=["sinusoid", "warp", []], help="tasks to compare (default: all)")
    parser.add_argument("--program", type=pathlib.Path, default=HERE.parent / "build" / "warploom")
    parser.add_argument("--python", default=sys.executable, help="an interpreter with PyTorch")
    parser.add_argument("--cores", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--modes", nargs="+", help="run only these PyTorch programs")
    args = parser.parse_args()
    print(versus.processor())
    for cores in args.cores:
        for measure in (sinusoid, warp):
            if not args.what or measure.__name__ in args.what:
                measure(args, cores)


main()
