"""Calls the C library libwarploom with ctypes (include/warploom/optimizer.h). The library updates arrays in the memory
of the CPU.

The module loads the first library that exists. The module first tries the file $WARPLOOM_LIBRARY. The module then tries
the library of the program, which is $WARPLOOM or `warploom` on the PATH. After that the module tries the library of the
source tree around this package, and finally a library of the system.
"""
import ctypes
import functools
import os
import shutil
import weakref
from ctypes import POINTER, byref, c_char_p, c_double, c_float, c_int, c_int64, c_void_p
from pathlib import Path

import numpy as np
from h5py._objects import phil  # the lock of h5py: only one thread at a time calls HDF5

from .errors import NO_INPUT, USAGE, ToolError

SONAME, MOST_AXES = "libwarploom.so.0", 4


class Shape(ctypes.Structure):
    _fields_ = [("ndim", c_int), ("shape", c_int64 * MOST_AXES)]


class TensorStep(ctypes.Structure):
    _fields_ = [("gradient", c_void_p), ("theta", c_void_p), ("transposed", c_int), ("rate", c_float),
                ("weight_decay", c_float)]


class MetaParameters(ctypes.Structure):
    _fields_ = [("name", c_char_p), ("size", c_int64), ("values", c_void_p)]


# For each function: its name, the type of its result, and the types of its arguments. A result of type c_int is a
# status, and 0 means no error.
FUNCTIONS = {
    "wl_last_error": (c_char_p, []),
    "wl_optimizer_load": (c_int, [c_char_p, POINTER(c_void_p)]),
    "wl_optimizer_destroy": (None, [POINTER(c_void_p)]),
    "wl_optimizer_digest": (c_char_p, [c_void_p]),
    "wl_optimizer_parameters": (c_int64, [c_void_p]),
    "wl_optimizer_sees_tensors": (c_int, [c_void_p]),
    "wl_optimizer_set_threads": (c_int, [c_void_p, c_int]),
    "wl_optimizer_start_tensors": (c_int, [c_void_p, c_int, POINTER(Shape), c_int64]),
    "wl_optimizer_set_loss": (c_int, [c_void_p, c_double]),
    "wl_optimizer_initial": (c_int, [c_void_p, c_int64, c_void_p]),
    "wl_optimizer_step_tensors": (c_int, [c_void_p, c_int, POINTER(TensorStep)]),
    "wl_optimizer_state_size": (c_int64, [c_void_p]),
    "wl_optimizer_get_state": (c_int, [c_void_p, c_int64, c_void_p]),
    "wl_optimizer_write": (c_int, [c_char_p, c_char_p, c_int, POINTER(MetaParameters)]),
    "wl_optimizer_set_state": (c_int, [c_void_p, c_int64, c_void_p, c_int64]),
}


def _beside_program():
    """Yields the possible paths of the library in the build or the installation of the program."""
    program = os.environ.get("WARPLOOM") or shutil.which("warploom")
    if not program:
        return []
    folder = Path(program).resolve().parent
    libraries = [folder.parent / "lib", folder.parent / "lib64", *folder.parent.glob("lib/*-linux-gnu")]
    return [folder / SONAME, *(lib / SONAME for lib in libraries)]


@functools.lru_cache(maxsize=None)
def _open(path):
    library = ctypes.CDLL(path)
    for name, (result, arguments) in FUNCTIONS.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def open_library():
    """Returns the library. If the library cannot be loaded, the message of ToolError lists the files that were
    tried."""
    named = os.environ.get("WARPLOOM_LIBRARY")
    tree = Path(__file__).resolve().parents[2] / "build" / SONAME
    places = [named] if named else [str(p) for p in (*_beside_program(), tree) if p.exists()] + [SONAME]
    errors = []
    for place in places:
        try:
            return _open(place)
        except OSError as error:
            errors.append(str(error))
        except AttributeError as error:
            errors.append(f"{place}: is older than this package ({error})")
    raise ToolError(NO_INPUT, "the C library cannot be loaded: " + "; ".join(errors) + "; install Warploom, or name the "
                              "library by the environment variable WARPLOOM_LIBRARY")


def write_optimizer(path, configuration, phi):
    """Writes an optimizer file. The string `configuration` is the configuration of the optimizer, and `phi` contains
    the meta-parameters {name: array}."""
    library, arrays = open_library(), [np.ascontiguousarray(values, dtype=np.float64) for values in phi.values()]
    given = (MetaParameters * len(phi))(*(MetaParameters(name.encode(), a.size, a.ctypes.data) for name, a in zip(phi, arrays)))
    with phil:
        status = library.wl_optimizer_write(os.fsencode(path), configuration.encode(), len(phi), given)
    if status:
        raise ToolError(status, library.wl_last_error().decode("utf-8", "replace"))


class Optimizer:
    """A trained optimizer of the library. Only one thread at a time may use an optimizer. Different threads may use
    different optimizers."""

    def __init__(self, path):
        self._library, handle = open_library(), c_void_p()
        with phil:
            self._check(self._library.wl_optimizer_load(os.fsencode(path), byref(handle)))
        self._handle = handle
        self._finalizer = weakref.finalize(self, self._library.wl_optimizer_destroy, byref(handle))
        self.digest = self._library.wl_optimizer_digest(handle).decode()
        self.sees_tensors = bool(self._library.wl_optimizer_sees_tensors(handle))
        self._steps = None

    def _check(self, status):
        if status:
            raise ToolError(status, self._library.wl_last_error().decode("utf-8", "replace"))

    @property
    def started(self):
        return self._steps is not None

    def start(self, shapes, horizon, threads):
        """Begins a run on tensors of these shapes. The axes have Warploom's order."""
        given = (Shape * len(shapes))(*(Shape(len(s), (c_int64 * MOST_AXES)(*s)) for s in shapes))
        self._steps = None
        self._check(self._library.wl_optimizer_set_threads(self._handle, threads))
        self._check(self._library.wl_optimizer_start_tensors(self._handle, len(shapes), given, horizon))
        self._steps = (TensorStep * len(shapes))()

    def step(self, tensors, loss):
        """Updates theta in place. `tensors` contains a tuple for each float32 tensor:
        (address of the gradient, address of theta, True if the axes are exchanged, learning rate, weight decay)."""
        if len(tensors) != len(self._steps):
            raise ToolError(USAGE, f"{len(tensors)} tensors are given, but the run was started with {len(self._steps)}")
        for at, tensor in zip(self._steps, tensors):
            at.gradient, at.theta, at.transposed, at.rate, at.weight_decay = tensor
        self._check(self._library.wl_optimizer_set_loss(self._handle, loss))
        self._check(self._library.wl_optimizer_step_tensors(self._handle, len(tensors), self._steps))

    @property
    def state_size(self):
        return self._library.wl_optimizer_state_size(self._handle)

    def get_state(self, address):
        self._check(self._library.wl_optimizer_get_state(self._handle, self.state_size, address))

    def set_state(self, size, address, steps):
        self._check(self._library.wl_optimizer_set_state(self._handle, size, address, steps))

    def initial(self, size, address):
        """Copies the learned initial parameters of all tensors into one array."""
        self._check(self._library.wl_optimizer_initial(self._handle, size, address))
