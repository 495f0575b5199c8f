"""Runs optimizers that Warploom trained (`warploom.torch.LearnedOptimizer`), reads runs as arrays
(`warploom.open_run`), and starts the program (`warploom.train`, `warploom.evaluate`, `warploom.check`)."""
from .files import Run as open_run  # noqa: F401
from .files import ToolError  # noqa: F401
from .program import check, evaluate, train  # noqa: F401
from .trained import export_npz, import_weights  # noqa: F401

__version__ = "0.1.0"
