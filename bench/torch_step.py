#!/usr/bin/env python3
"""Measures the time of one step of trained optimizers in the PyTorch class LearnedOptimizer. Compares this time with
the time of one step in the C library and with the time of one step of torch.optim.Adam.

The gradients are random. The network has 1.2 million parameters (784-1024-384-10). The program prints the shortest
processor time of a step, measured over several steps on one thread. The first two columns are the times of
LearnedOptimizer with backend="torch" and backend="c". The third column is the time of wl_optimizer_step of the C
library on one flat array. The last column is the time in the second column divided by the time in the third column.

  bench/torch_step.py                     measures every rule with its initial meta-parameters
  bench/torch_step.py optimizer.h5 ...    measures the given trained optimizers
"""
import ctypes
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "python"))
PROGRAM = os.environ.setdefault("WARPLOOM", str(ROOT / "build/warploom"))

import torch  # noqa: E402

from warploom import library  # noqa: E402
from warploom.torch import LearnedOptimizer  # noqa: E402

RULES = ("{name: adam, learn: [rate]}", "{name: small_fc}", "{name: rnnprop, hidden: [6]}", "{name: mlp}",
         "{name: controller}", "{name: celo2}", "{name: lstm}")
CONFIGURATION = """
task: {family: mlp, data: digits, widths: [8], batch: 16}
estimator: {name: nres}
episode: {steps: 100}
window: {steps: 1}
outer: {steps: 1, units: 1}
"""


def network():
    torch.manual_seed(1)
    model = torch.nn.Sequential(torch.nn.Linear(784, 1024), torch.nn.Linear(1024, 384), torch.nn.Linear(384, 10))
    for p in model.parameters():
        p.grad = torch.randn_like(p)
    return model


def shortest(steps, seconds=4.0):
    """Returns the shortest processor time of each function in milliseconds. The functions run alternately."""
    times, end = [[] for _ in steps], time.perf_counter() + seconds
    for step in steps:
        step()
    while len(times[0]) < 3 or time.perf_counter() < end:
        for step, spent in zip(steps, times):
            start = time.thread_time()
            step()
            spent.append(time.thread_time() - start)
    return [1e3 * min(spent) for spent in times]


def flat_step(path):
    """Returns a function that calls wl_optimizer_step on one flat array, which contains all tensors of the
    network."""
    optimizer = library.Optimizer(path)
    shapes = [tuple(p.shape)[::-1] for p in network().parameters()]
    optimizer.start(shapes, 100, 1)
    n = sum(p.numel() for p in network().parameters())
    gradient, theta, raw = torch.randn(n), torch.randn(n), library.open_library()
    raw.wl_optimizer_step.argtypes = [ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p]

    def step():
        if raw.wl_optimizer_step(optimizer._handle, n, gradient.data_ptr(), theta.data_ptr()):
            sys.exit(raw.wl_last_error().decode())
    return step


def row(name, path):
    steps = [LearnedOptimizer(network().parameters(), path, horizon=100, backend=backend).step for backend in ("torch", "c")]
    torch_ms, c_ms, flat_ms = shortest([*steps, flat_step(path)])
    print(f"{name:32} {torch_ms:9.1f} {c_ms:9.2f} {flat_ms:9.2f} {c_ms / flat_ms:6.2f}", flush=True)


def make(rule, folder):
    """Trains an optimizer for one meta-step and returns the path of its file."""
    path = Path(folder) / "config.yaml"
    path.write_text(f"{CONFIGURATION}rule: {rule}\noutput: {folder}/run\n", encoding="utf-8")
    subprocess.run([PROGRAM, "train", path, "--quiet"], check=True, stdout=subprocess.DEVNULL)
    return f"{folder}/run/optimizer.h5"


def main():
    torch.set_num_threads(1)
    adam = torch.optim.Adam(network().parameters())
    print(f"PyTorch {torch.__version__}; torch.optim.Adam: {shortest([adam.step])[0]:.2f} ms")
    print(f"{'rule':32} {'torch/ms':>9} {'c/ms':>9} {'library':>9} {'c/lib':>6}")
    for path in sys.argv[1:]:
        row(Path(path).name, path)
    for rule in RULES if len(sys.argv) == 1 else ():
        with tempfile.TemporaryDirectory() as folder:
            row(rule, make(rule, folder))


main()
