"""Makes the module `warploom.plots.style` available under the name `warploom_style` for the tools, and sets its
style."""
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

import warploom_files  # noqa: F401, E402  finds the package
from warploom.plots import style  # noqa: E402

plt.rcParams.update(style.RC)
sys.modules[__name__] = style
