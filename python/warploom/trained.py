"""Meta-parameters of a trained optimizer, from an optimizer file, a checkpoint or a run directory."""
import os

import numpy as np

from . import files
from .files import DATA, ToolError


def open_trained(path):
    """An open files.File; of a run directory the newest checkpoint."""
    if os.path.isdir(path):
        file = files.Run(path).newest()
        if file is None:
            raise ToolError(DATA, f"{path}: holds no readable checkpoint")
        return file
    file = files.File(path)
    if file.kind not in ("optimizer", "checkpoint"):
        raise ToolError(DATA, f"{path}: holds no trained optimizer; its kind is '{file.kind}'")
    return file


def read_phi(file):
    """{name: float64 array}; of a training with outer.average the average."""
    group = file.h5["average" if "average" in file else "phi"]
    phi = {name: item[()] for name, item in group.items() if not files.is_bare_scale(item)}
    if not all(np.isfinite(values).all() for values in phi.values()):
        raise ToolError(DATA, f"{file.path}: its meta-parameters are not finite, the training had diverged")
    return phi


def export_npz(path, output):
    """Writes the meta-parameters, an array for each block, and the text `configuration` into a NumPy archive."""
    with open_trained(path) as file:
        np.savez(output, configuration=file.attributes["configuration"], **read_phi(file))
