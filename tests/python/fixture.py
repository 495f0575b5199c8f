"""Provides what the tests of the Python package share: the package in the source tree, the C library through ctypes,
and optimizers that warploom trains for a few meta-steps."""
import ctypes
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.dont_write_bytecode = True
SOURCE, PROGRAM = Path(os.environ["WL_SOURCE"]), os.environ["WL_BIN"]
LIBRARY = Path(PROGRAM).parent / "libwarploom.so"
sys.path.insert(0, str(SOURCE / "python"))
os.environ["WARPLOOM_LIBRARY"] = str(LIBRARY)

CONFIGURATION = """
seed: 1
threads: 1
task: {family: mlp, data: digits, widths: [8], batch: 16}
estimator: {name: nres, sigma: 0.03}
episode: {steps: 40}
window: {steps: 5}
outer: {steps: 3, units: 2}
"""


def expect(condition, message):
    if not condition:
        sys.stdout.flush()
        print(f"FAILED: {message}", file=sys.stderr)
        os._exit(1)  # ends the program even if other threads are still running


def train(name, rule, more=""):
    """Trains an optimizer for a few meta-steps and returns the path of its file. `rule` is the text of the section
    `rule` of the configuration, in braces."""
    Path(f"{name}.yaml").write_text(CONFIGURATION + f"rule: {rule}\n{more}output: {name}\n", encoding="utf-8")
    rate = "0.001" if "learn:" in rule else "0.02"
    done = subprocess.run([PROGRAM, "train", f"{name}.yaml", "--set", f"outer.learning_rate={rate}"],
                          capture_output=True, text=True, timeout=60, check=False)
    expect(done.returncode == 0, f"training of {rule}: {done.stderr}")
    return f"{name}/optimizer.h5"


def train_all(rules):
    """Trains one optimizer for each entry of `rules`, a dictionary from names to sections `rule`. Returns a
    dictionary from the same names to the paths of the files."""
    with ThreadPoolExecutor(4) as pool:
        return dict(zip(rules, pool.map(train, rules, rules.values())))


class Shape(ctypes.Structure):
    _fields_ = [("ndim", ctypes.c_int), ("shape", ctypes.c_int64 * 4)]


class COptimizer:
    """Applies an optimizer to a list of NumPy arrays by libwarploom. Each array is one tensor, and its axes are in
    Warploom's order."""

    def __init__(self, path, arrays, horizon):
        self.library = ctypes.CDLL(str(LIBRARY))
        self.library.wl_last_error.restype = ctypes.c_char_p
        self.handle = ctypes.c_void_p()
        self._check(self.library.wl_optimizer_load(path.encode(), ctypes.byref(self.handle)))
        shapes = (Shape * len(arrays))(*[Shape(a.ndim, (ctypes.c_int64 * 4)(*a.shape)) for a in arrays])
        self._check(self.library.wl_optimizer_start_tensors(self.handle, len(arrays), shapes, ctypes.c_int64(horizon)))

    def _check(self, status):
        expect(status == 0, f"the C library: {self.library.wl_last_error().decode()}")

    def step(self, gradient, theta, loss):
        """Updates the flat float32 array `theta` in place."""
        pointer = ctypes.POINTER(ctypes.c_float)
        self._check(self.library.wl_optimizer_set_loss(self.handle, ctypes.c_double(loss)))
        self._check(self.library.wl_optimizer_step(self.handle, ctypes.c_int64(theta.size),
                                                   gradient.ctypes.data_as(pointer), theta.ctypes.data_as(pointer)))

    def close(self):
        self.library.wl_optimizer_destroy(ctypes.byref(self.handle))
