"""Gives the module `warploom.plots.style` of the Python package the name that the tools import, and sets its style."""
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

import warploom_files  # noqa: F401, E402  finds the package
from warploom.plots import style  # noqa: E402

plt.rcParams.update(style.RC)
sys.modules[__name__] = style
