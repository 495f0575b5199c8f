"""Defines the style of the pictures: colours that colour-blind readers can distinguish, fonts, panels and files.

The colours are from Okabe and Ito (2008). The learned rule has a warm, saturated colour and the widest line. Each
hand-designed rule has the same colour in every picture.
"""
import functools
import os
import warnings

import matplotlib.pyplot as plt
import numpy as np
from matplotlib import colors, ticker

from .. import files as wf

LEARNED = "#D55E00"
RULES = {"sgd": "#7A7A7A", "momentum": "#56B4E9", "nesterov": "#0072B2", "rmsprop": "#CC79A7", "adam": "#009E73"}
NAMES = {"sgd": "SGD", "momentum": "Momentum", "nesterov": "Nesterov", "rmsprop": "RMSprop", "adam": "Adam"}
# Colours for groups of runs and other series without a fixed meaning.
SERIES = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#444444"]
INK, FAINT = "#222222", "#8A8A8A"
VERDICTS = {"wins": LEARNED, "ties": "#8A8A8A", "loses": "#444444", "fails": "#000000"}
# The colours of early (pale) to late (dark) meta-steps. All colours are readable on white.
PROGRESS = colors.LinearSegmentedColormap.from_list("progress", ["#F0C9A0", "#E08A3C", "#C04A0E", "#6B1E0A", "#2A0A08"])

WIDTH = 7.4  # width of a picture across two columns of a paper, in inches
FORMATS = ("png", "svg", "pdf")

RC = {
    "figure.dpi": 100, "savefig.dpi": 200, "font.size": 8.5, "font.family": "DejaVu Sans",
    "axes.titlesize": 9, "axes.titleweight": "bold", "axes.titlelocation": "left", "axes.titlepad": 7,
    "axes.labelsize": 8.5, "axes.labelcolor": INK, "axes.edgecolor": "#555555", "axes.linewidth": 0.7,
    "axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True,
    "axes.grid": True, "grid.color": "#E4E4E4", "grid.linewidth": 0.6,
    "xtick.labelsize": 7.5, "ytick.labelsize": 7.5, "xtick.color": "#555555", "ytick.color": "#555555",
    "xtick.labelcolor": INK, "ytick.labelcolor": INK, "xtick.major.size": 3, "ytick.major.size": 3,
    "xtick.minor.size": 1.5, "ytick.minor.size": 1.5, "legend.fontsize": 7.5, "legend.frameon": False,
    "text.color": INK, "lines.solid_capstyle": "round", "svg.fonttype": "path", "pdf.fonttype": 42,
    "svg.hashsalt": "warploom",
}


def styled(draw):
    """Returns a function that draws in this style. The style of the caller does not change."""
    @functools.wraps(draw)
    def drawn(*given, **options):
        with plt.rc_context(RC):
            return draw(*given, **options)
    return drawn


def is_learned(rule):
    return rule.startswith("learned")


def rule_colour(rule):
    return LEARNED if is_learned(rule) else RULES.get(rule, "#444444")


def rule_name(rule):
    return "Learned" if is_learned(rule) else NAMES.get(rule, rule)


def add_output(parser, default):
    parser.add_argument("-o", "--output", metavar="FILE",
                        help=f"picture to write; its extension selects the format: .png, .svg or .pdf (default: {default})")


def check_output(path):
    """Checks, before the picture is drawn, that the file name extension is known and that the folder exists."""
    if path.rsplit(".", 1)[-1].lower() not in FORMATS:
        raise wf.ToolError(wf.USAGE, f"{path}: the extension selects the format: use .png, .svg or .pdf")
    folder = os.path.dirname(path) or "."
    if not os.access(folder, os.W_OK):
        why = "no permission to write to the folder" if os.path.isdir(folder) else "the folder does not exist"
        raise wf.ToolError(wf.CANNOT_CREATE, f"{path}: cannot be written: {why}: {folder}")


def save_png(figure, path, dpi="figure"):
    """Saves a PNG file with full colour, because a palette of 256 colours would change the colours of thin lines."""
    figure.savefig(path, format="png", dpi=dpi, pil_kwargs={"optimize": True})


def save(figure, path):
    """Writes and closes a figure. Equal data result in bitwise equal files."""
    check_output(str(path))
    kind = str(path).rsplit(".", 1)[-1].lower()
    stamp = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
    try:
        if kind == "png":
            save_png(figure, path, plt.rcParams["savefig.dpi"])
        else:
            figure.savefig(path, metadata=stamp[kind])
    except OSError as error:
        raise wf.ToolError(wf.CANNOT_CREATE, f"{path}: cannot be written: {error.strerror or error}") from error
    plt.close(figure)
    print(path)


def headline(figure, title, note="", top=0.16):
    """Draws the title and the note above the panels, from the left edge. `top` is the distance from the upper edge in
    inches."""
    height = figure.get_size_inches()[1]
    left = 0.012
    figure.text(left, 1 - top / height, title, fontsize=11, fontweight="bold", va="top")
    if note:
        figure.text(left, 1 - (top + 0.24) / height, note, fontsize=7.6, color="#555555", va="top", linespacing=1.35)


def spans_decades(values, decades=1.0):
    """Returns True if a logarithmic axis is suitable: all values are positive and span more than the given number of
    decades."""
    values = np.asarray(values, dtype=float)
    values = values[np.isfinite(values)]
    return values.size > 0 and values.min() > 0 and np.log10(values.max() / values.min()) > decades


def plain(value, digits=3):
    """Formats a number as a short string that has an exponent only if necessary: 0.0123, 1.5, 2300, 1.2e-06."""
    if not np.isfinite(value):
        return "–"
    if value != 0 and not 1e-4 <= abs(value) < 1e5:
        return f"{value:.{digits - 1}e}".replace("e-0", "e-").replace("e+0", "e").replace("-", "−")
    decimals = max(0, digits - 1 - int(np.floor(np.log10(abs(value))))) if value else 0
    return f"{value:.{decimals}f}".replace("-", "−")


def _log_label(value, _):
    if 1e-3 <= value < 1e4:
        return plain(value, 1)
    exponent = int(np.floor(np.log10(value) + 1e-9))
    factor = int(round(value / 10.0**exponent))
    return f"$10^{{{exponent}}}$" if factor == 1 else f"${factor}{{\\times}}10^{{{exponent}}}$"


def _log_ticks(low, high, subs, stride):
    """Returns the positions sub x 10^k inside the limits. Only one of every `stride` decades has positions."""
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    ticks = [sub * 10.0**k for k in decades if k % stride == 0 for sub in subs]
    return [t for t in ticks if low * 0.999 <= t <= high * 1.001]


def log_axis(axis, most=6):
    """Labels a logarithmic axis with at least two and at most the given number of plain numbers. Call the function when
    the limits of the axis are final."""
    low, high = sorted(axis.get_view_interval())
    choices = [((1, 2, 5), 1), ((1, 3), 1), ((1,), 1)] + [((1,), k) for k in (2, 3, 4, 5, 10, 20)]
    ticks = next((t for t in (_log_ticks(low, high, *c) for c in choices) if len(t) <= most), [])
    if len(ticks) < 2:
        ticks = [t for t in ticker.MaxNLocator(most - 1).tick_values(low, high) if low <= t <= high]
        axis.set_major_formatter(ticker.FuncFormatter(lambda v, _: f"{v:.6g}"))
    else:
        axis.set_major_formatter(ticker.FuncFormatter(_log_label))
    axis.set_major_locator(ticker.FixedLocator(ticks))
    axis.set_minor_formatter(ticker.NullFormatter())


def spread_labels(positions, gap):
    """Moves sorted positions of labels so that their distances are at least `gap`. The positions change as little as
    possible."""
    order = np.argsort(positions)
    groups = [[[positions[i]], [i]] for i in order]  # each group of touching labels is centred on its mean
    merged = True
    while merged:
        merged = False
        for k in range(len(groups) - 1):
            (a, ia), (b, ib) = groups[k], groups[k + 1]
            if np.mean(a) + gap * (len(a) - 1) / 2 + gap > np.mean(b) - gap * (len(b) - 1) / 2 + 1e-12:
                groups[k:k + 2] = [[a + b, ia + ib]]
                merged = True
                break
    out = np.empty(len(positions))
    for values, indices in groups:
        start = np.mean(values) - gap * (len(values) - 1) / 2
        for rank, index in enumerate(indices):
            out[index] = start + gap * rank
    return out


def label_ends(ax, ends, size=7.5):
    """Draws names at the right ends of lines: ends = [(x, y, text, colour, bold)]. Call the function when the limits of
    the axes are final."""
    if not ends:
        return
    to_axes = ax.transData + ax.transAxes.inverted()
    heights = [to_axes.transform((x, y))[1] for x, y, *_ in ends]
    inches = ax.get_position().height * ax.figure.get_size_inches()[1]
    placed = spread_labels(np.clip(heights, 0.02, 0.98), size * 1.25 / 72 / inches)
    placed -= min(0, placed.min() - 0.02)
    placed -= max(0, placed.max() - 1.0)
    for (x, y, text, colour, bold), at, height in zip(ends, placed, heights):
        ax.annotate(text, xy=(1.0, np.clip(height, 0, 1)), xytext=(1.045, at), xycoords="axes fraction",
                    textcoords="axes fraction", fontsize=size, color=colour, va="center", annotation_clip=False,
                    fontweight="bold" if bold else "normal",
                    arrowprops={"arrowstyle": "-", "color": colour, "lw": 0.6, "shrinkA": 0, "shrinkB": 0, "relpos": (0, 0.5)})


def smooth(values, width, positive=False):
    """Returns the running mean over `width` values. Near the two ends, the mean is over fewer values. NaN is left out.
    If all values are positive, their logarithms are averaged."""
    values = np.asarray(values, dtype=float)
    if width <= 1:
        return values
    with np.errstate(invalid="ignore", divide="ignore"):
        work = np.log(values) if positive else values
    finite = np.isfinite(work)
    sums = np.concatenate([[0], np.cumsum(np.where(finite, work, 0))])
    counts = np.concatenate([[0], np.cumsum(finite)])
    at = np.arange(len(values))
    low, high = np.maximum(0, at - (width - 1) // 2), np.minimum(len(values), at + width // 2 + 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = (sums[high] - sums[low]) / (counts[high] - counts[low])
    return np.exp(mean) if positive else mean


warnings.filterwarnings("ignore", message="This figure includes Axes that are not compatible with tight_layout")
