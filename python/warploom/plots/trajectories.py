"""Draws a run's trajectories and checkpoints. The help of tools/plot_trajectories.py describes the figures."""
import sys

import matplotlib.pyplot as plt
import numpy as np
from matplotlib import ticker
from matplotlib.collections import LineCollection

from .. import files as wf
from . import style as ws

STAGES = 7  # number of curves for the stages from the start to the end of meta-training


class Absent(Exception):
    """Raised for a part of the picture that the run has not recorded. The message names the key that must be set to
    record this part."""


class Source:
    """A run with its trajectory and its evaluation. Each file is opened when it is first needed."""

    def __init__(self, run):
        self.run, self._trajectory = run, None

    @property
    def trajectory(self):
        if self._trajectory is None:
            try:
                self._trajectory = self.run.trajectory()
            except wf.ToolError as error:
                if error.code == wf.NO_INPUT or "no inner run" in str(error):
                    raise Absent(str(error)) from error
                raise
        return self._trajectory


class Sheet:
    """A figure of variable height. Positions are given in inches from the upper left corner of the figure."""

    def __init__(self, heights, top=0.48):
        self.height = top + sum(heights)
        self.figure = plt.figure(figsize=(ws.WIDTH, self.height))
        self.at = top

    def axes(self, x, y, width, height):
        box = [x / ws.WIDTH, 1 - (self.at + y + height) / self.height, width / ws.WIDTH, height / self.height]
        return self.figure.add_axes(box)

    def title(self, text, note="", x=0.09):
        y = 1 - (self.at + 0.06) / self.height
        head = self.figure.text(x / ws.WIDTH, y, text, fontsize=9.5, fontweight="bold", va="top")
        if note:
            width = head.get_window_extent().width / self.figure.dpi
            self.figure.text((x + width + 0.12) / ws.WIDTH, y - 0.018 / self.height, note, fontsize=7.4, color="#555555",
                             va="top")


def stage_bar(sheet, x, y, first, last):
    """Draws the colours of meta-training as a small bar with labels at its ends."""
    ax = sheet.axes(x, y, 1.1, 0.07)
    ax.imshow(np.linspace(0, 1, 128)[None, :], aspect="auto", cmap=ws.PROGRESS)
    ax.set_axis_off()
    ax.text(0, 1.6, "meta-step", transform=ax.transAxes, va="bottom", fontsize=7, color="#555555")
    ax.text(0, -0.6, f"{first:,}", transform=ax.transAxes, va="top", fontsize=7)
    ax.text(1, -0.6, f"{last:,}", transform=ax.transAxes, ha="right", va="top", fontsize=7)


# ---- loss along an episode -----------------------------------------------------------------

def stages_of(meta_steps, count):
    """Returns the records of successive stages of meta-training: [(fraction of the training, [record, ...])]."""
    recorded = np.unique(meta_steps)
    parts = [p for p in np.array_split(recorded, min(count, len(recorded))) if len(p)]
    rows = [np.flatnonzero((meta_steps >= p[0]) & (meta_steps <= p[-1])) for p in parts]
    return [(i / (len(rows) - 1) if len(rows) > 1 else 1.0, r) for i, r in enumerate(rows)]


def mean_curve(t, rows, positive):
    """Returns the mean loss at each inner step over the windows of a stage, or NaN for steps without a record."""
    horizon = int((t.t0 + t.steps).max())
    total, count = np.zeros(horizon), np.zeros(horizon)
    for i in rows:
        values = t.loss[i][:t.steps[i]]
        at = t.t0[i] + np.flatnonzero(np.isfinite(values))
        values = values[np.isfinite(values)]
        total[at] += np.log(values) if positive else values
        count[at] += 1
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = total / count
    return np.exp(mean) if positive else mean


def draw_baselines(ax, case, positive, horizon):
    """Draws the losses of hand-designed rules as thin lines, and the final loss of the trained rule on fresh tasks."""
    ends = []
    for r, rule in enumerate(case.rules):
        if ws.is_learned(rule):
            continue
        mean = wf.geometric_interval(case.curve[r])[0] if positive else wf.interval(case.curve[r])[0]
        mean = mean[:horizon]
        ax.plot(np.arange(len(mean)), mean, color=ws.rule_colour(rule), lw=0.9, alpha=0.9, zorder=2)
        if len(mean) and np.isfinite(mean[-1]):
            ends.append((len(mean) - 1, mean[-1], ws.rule_name(rule), ws.rule_colour(rule), False))
    return ends


def loss_height(source):
    source.trajectory
    return 2.75


def draw_loss(sheet, source):
    t = source.trajectory
    values = t.loss[np.isfinite(t.loss)]
    positive = values.size > 0 and values.min() > 0
    case = baseline_case(source, positive)
    horizon = int((t.t0 + t.steps).max())
    ax = sheet.axes(0.72, 0.42, 4.7, 1.9)
    curves = []
    for share, rows in stages_of(t.meta_step, STAGES):
        curve = mean_curve(t, rows, positive)
        curves.append(curve)
        ax.plot(np.arange(horizon), curve, color=ws.PROGRESS(share), lw=1.1 + 0.9 * share, zorder=3 + share)
    ends = draw_baselines(ax, case, positive, horizon) if case else []
    set_loss_view(ax, curves, positive, horizon)
    last = curves[-1][np.isfinite(curves[-1])]
    ends.append((horizon - 1, last[-1] if last.size else 1, "Learned, last", ws.PROGRESS(1.0), True))
    ws.label_ends(ax, ends, 7.2)
    ax.set(xlabel="inner step", ylabel="training loss")
    ax.xaxis.set_major_locator(plt.MaxNLocator(6, integer=True))
    sheet.title("Loss along an episode", f"{'geometric ' if positive else ''}mean of {len(t.meta_step):,} recorded windows, "
                                         f"in {len(curves)} stage{'s' if len(curves) > 1 else ''} of meta-training")
    stage_bar(sheet, 6.12, 0.56, int(t.meta_step.min()), int(t.meta_step.max()))


def set_loss_view(ax, curves, positive, horizon):
    values = np.concatenate([c[np.isfinite(c)] for c in curves])
    low, high = values.min(), values.max()
    ax.set_xlim(0, max(1, horizon - 1))
    if positive:
        start = next((c[np.isfinite(c)][0] for c in curves if np.isfinite(c).any()), high)
        high = min(high, 30 * start)
        ax.set_yscale("log")
        ax.set_ylim(low / 1.25, high * 1.25)
        ws.log_axis(ax.yaxis)
    else:
        ax.set_ylim(low - 0.06 * (high - low), high + 0.06 * (high - low))


def baseline_case(source, positive):
    """Returns the case of the evaluation that has the setting of the training. Returns None if the horizon or the scale
    of this case differs from that of the run."""
    try:
        evaluation = source.run.evaluation()
    except wf.ToolError as error:
        print(f"the picture has no hand-designed rules: {error}", file=sys.stderr)
        return None
    if evaluation is None:
        return None
    case = next((c for c in evaluation.cases if c.name == "trained"), evaluation.cases[0])
    return case if not positive or (case.curve[np.isfinite(case.curve)] > 0).all() else None


# ---- the rule: update against gradient -----------------------------------------------------

def sampled(source):
    t = source.trajectory
    if t.gradient is None or t.update is None:
        raise Absent("update against gradient: no coordinates were sampled; set the key trajectory.coordinates")
    return t


def rule_height(source):
    sampled(source)
    return 2.85


def pairs(t, rows):
    """Returns gradients, updates and inner steps of the sampled coordinates in the given records."""
    g, u = t.gradient[rows].astype(float), t.update[rows].astype(float)
    steps = np.broadcast_to((t.t0[rows][:, None] + np.arange(g.shape[1]))[:, :, None], g.shape)
    good = np.isfinite(g) & np.isfinite(u)
    return g[good], u[good], steps[good]


def thin(count, most=2000):
    """Returns evenly spaced indices, so that equal data always result in the same picture."""
    return np.arange(count) if count <= most else np.linspace(0, count - 1, most).astype(int)


def medians(g, u, bins=24):
    """Divides the gradients into bins that contain equally many gradients. Returns the median gradient and the
    quartiles of the updates in each bin."""
    edges = np.unique(np.quantile(g, np.linspace(0, 1, bins + 1)))
    which = np.clip(np.searchsorted(edges, g, side="right") - 1, 0, len(edges) - 2)
    rows = [u[which == k] for k in range(len(edges) - 1)]
    x = [np.median(g[which == k]) for k in range(len(edges) - 1) if len(rows[k]) > 4]
    quartiles = [np.quantile(r, [0.25, 0.5, 0.75]) for r in rows if len(r) > 4]
    return np.array(x), np.array(quartiles).reshape(-1, 3).T


def symmetric_scale(ax, axis, values):
    """Sets axes that are linear around zero and logarithmic for larger values, because gradients span many orders of
    magnitude and have a sign."""
    size = np.abs(values[values != 0])
    if not size.size:
        return
    top, inner = np.quantile(size, 0.995), np.quantile(size, 0.1)
    inner = max(inner, top / 1e4)
    limit = 1.4 * top
    setter, scale = (ax.set_xlim, ax.set_xscale) if axis is ax.xaxis else (ax.set_ylim, ax.set_yscale)
    if top / inner > 30:
        scale("symlog", linthresh=inner, linscale=0.6)
        decades = np.arange(np.ceil(np.log10(inner)), np.floor(np.log10(limit)) + 1)
        decades = decades[[len(decades) // 2, -1]] if len(decades) > 3 else decades[-1:]
        axis.set_major_locator(ticker.FixedLocator(sorted([0, *10.0**decades, *-(10.0**decades)])))
        axis.set_minor_locator(ticker.NullLocator())
        axis.set_major_formatter(ticker.FuncFormatter(power_label))
    setter(-limit, limit)


def power_label(value, _):
    if value == 0:
        return "0"
    exponent = int(round(np.log10(abs(value))))
    sign = "−" if value < 0 else ""
    return f"{sign}{abs(value):g}" if -2 <= exponent <= 2 else f"${'-' if value < 0 else ''}10^{{{exponent}}}$"


def draw_cloud(ax, g, u, steps, horizon, shared):
    index = thin(len(g))
    order = index[np.argsort(steps[index], kind="stable")]
    cloud = ax.scatter(g[order], u[order], c=steps[order], cmap="viridis_r", vmin=0, vmax=max(1, horizon - 1), s=3.5,
                       lw=0, alpha=0.5, rasterized=True, zorder=2)
    if shared and len(g) > 100:
        x, (low, mid, high) = medians(g, u)
        ax.fill_between(x, low, high, color=ws.LEARNED, alpha=0.18, lw=0, zorder=3)
        ax.plot(x, mid, color=ws.LEARNED, lw=1.8, zorder=4)
    return cloud


def draw_rule(sheet, source):
    t = sampled(source)
    horizon = int((t.t0 + t.steps).max())
    parts = stages_of(t.meta_step, 8)
    chosen = [parts[0], parts[len(parts) // 2], parts[-1]] if len(parts) > 2 else parts
    everything = [pairs(t, rows) for _, rows in chosen]
    all_g, all_u = (np.concatenate([p[i] for p in everything]) for i in (0, 1))
    slope = np.median(np.abs(everything[-1][1])) / max(np.median(np.abs(everything[-1][0])), 1e-300)
    shared = source.run.configuration.get("precondition.name", "none") in ("none", "scalar")
    cloud = None
    for k, ((_, rows), (g, u, steps)) in enumerate(zip(chosen, everything)):
        ax = sheet.axes(0.72 + k * 2.05, 0.62, 1.68, 1.68)
        cloud = draw_cloud(ax, g, u, steps, horizon, shared)
        symmetric_scale(ax, ax.xaxis, all_g)
        symmetric_scale(ax, ax.yaxis, all_u)
        line = np.array(sorted([*np.geomspace(1e-12, 1e6, 200), *-np.geomspace(1e-12, 1e6, 200)]))
        ax.plot(line, -slope * line, color="#555555", lw=0.8, ls="--", zorder=1)
        ax.axhline(0, color="#BBBBBB", lw=0.6, zorder=0)
        ax.axvline(0, color="#BBBBBB", lw=0.6, zorder=0)
        first, last = int(t.meta_step[rows].min()), int(t.meta_step[rows].max())
        ax.set_title(f"meta-steps {first:,}–{last:,}" if last > first else f"meta-step {first:,}", fontsize=8, pad=4)
        ax.set_xlabel("gradient")
        if k == 0:
            ax.set_ylabel("update")
    note = f"{t.gradient.shape[-1]} coordinates" + ("" if shared else ", each with its own factor")
    sheet.title("The rule: update against gradient", f"{note}; dashed: gradient descent, rate {ws.plain(slope, 2)}")
    bar = sheet.axes(6.87, 0.75, 0.07, 1.4)
    handle = plt.colorbar(cloud, cax=bar)
    handle.solids.set(alpha=1)
    handle.outline.set_visible(False)
    bar.set_title("inner\nstep", fontsize=7, fontweight="normal", loc="center", pad=4)
    bar.tick_params(length=2, labelsize=6.8)
    bar.yaxis.set_major_locator(plt.MaxNLocator(6, integer=True))


# ---- phase portrait ------------------------------------------------------------------------

def planar(source):
    t = source.trajectory
    c = source.run.configuration
    if t.theta is None:
        raise Absent("phase portrait: no parameters were recorded; set the key trajectory.snapshot_stride, "
                     "to 1 for tasks with two parameters")
    if t.theta.shape[-1] != 2:
        raise Absent(f"phase portrait: the task {c.get('task.family', '')} has {t.theta.shape[-1]} parameters, not two")
    return t


def phase_height(source):
    planar(source)
    return 3.45


def path_of(t, rows):
    """Returns the recorded parameters of an episode in order: (inner step, (point, 2))."""
    steps = np.concatenate([t.snapshot_step[i] for i in rows])
    points = np.concatenate([t.theta[i] for i in rows]).astype(float)
    kept = (steps >= 0) & np.isfinite(points).all(axis=1)
    order = np.argsort(steps[kept], kind="stable")
    return steps[kept][order], points[kept][order]


def rosenbrock(c):
    curvature = c.get("task.curvature", 100.0)
    return lambda x, y: curvature * (y - x**2) ** 2 + (1 - x) ** 2


def draw_surface(ax, c, box):
    """Draws the contours of the loss if the loss is the same function for all episodes."""
    if c.get("task.family") != "rosenbrock":
        return False
    x, y = np.meshgrid(np.linspace(*box[0], 240), np.linspace(*box[1], 240))
    value = np.log10(rosenbrock(c)(x, y) + 1e-4)
    levels = np.linspace(-3, value.max(), 15)
    ax.contourf(x, y, value, levels=levels, cmap="Greys", alpha=0.26, extend="min", zorder=0)
    ax.contour(x, y, value, levels=levels, colors="#9A9A9A", linewidths=0.4, zorder=1)
    ax.plot(1, 1, "*", color="white", mec=ws.INK, mew=0.8, ms=11, zorder=6)
    return True


def view_of(paths):
    """Returns limits of the two axes that contain the paths and have equal scales. Paths that diverge are left out."""
    points = np.concatenate([p for _, p in paths])
    low, high = np.quantile(points, 0.01, axis=0), np.quantile(points, 0.99, axis=0)
    middle, half = (low + high) / 2, max(0.6 * (high - low).max(), 0.5)
    return [(m - half, m + half) for m in middle]


def draw_path(ax, steps, points, horizon):
    colour = plt.get_cmap("viridis_r")(np.clip(steps / max(1, horizon), 0, 1))
    pieces = np.stack([points[:-1], points[1:]], axis=1)
    ax.add_collection(LineCollection(pieces, colors=colour[:-1], linewidths=1.3, capstyle="round", zorder=4))
    ax.plot(*points[0], "o", ms=3.6, color="white", mec=ws.INK, mew=0.8, zorder=5)
    ax.plot(*points[-1], "o", ms=3.6, color=colour[-1], mec=ws.INK, mew=0.5, zorder=5)


def draw_phase(sheet, source, most=8):
    t = planar(source)
    episodes = [(m, rows) for m, _, rows in t.episodes()]
    episodes = [(m, path_of(t, rows)) for m, rows in episodes]
    episodes = [(m, path) for m, path in episodes if len(path[0]) > 1]
    if not episodes:
        raise Absent("phase portrait: fewer than two points of each episode were recorded; set trajectory.snapshot_stride to 1")
    few = min(most, len(episodes) // 2)
    chosen = [episodes[:few], episodes[-few:]] if len(episodes) > most else [episodes]
    box = view_of([p for part in chosen for _, p in part])
    horizon = int((t.t0 + t.steps).max())
    surface = False
    for k, part in enumerate(chosen):
        ax = sheet.axes(0.72 + 3.35 * k, 0.62, 2.4, 2.4)
        surface = draw_surface(ax, source.run.configuration, box)
        for _, (steps, points) in part:
            draw_path(ax, steps, points, horizon)
        ax.set_xlim(*box[0])
        ax.set_ylim(*box[1])
        ax.grid(not surface)
        ax.set(xlabel="x₁", ylabel="x₂")
        ax.set_title(f"meta-steps {part[0][0]:,}–{part[-1][0]:,}", fontsize=8, pad=4)
    sheet.title("Paths through the plane", "ring: start, dot: end; pale to dark: inner steps"
                + ("; star: minimum" if surface else "; each run on a separate surface"))


# ---- learned parameters --------------------------------------------------------------------

def read_parameters(source):
    """Returns the values of phi in all checkpoints as {name: array (checkpoint, value)}, and the meta-steps of the
    checkpoints."""
    steps, values = [], {}
    for step, path in source.run.checkpoints():
        try:
            with wf.File(path, "checkpoint") as file:
                for name in [n for n in file.datasets() if n.startswith("phi/")]:
                    values.setdefault(name[4:], []).append(np.atleast_1d(file[name]))
            steps.append(step)
        except wf.ToolError as error:
            print(f"left out: {error}", file=sys.stderr)
    if len(steps) < 3:
        raise Absent(f"learned parameters: {len(steps)} checkpoints exist, and three are needed; set the keys "
                     "checkpoint.every and checkpoint.keep")
    return np.array(steps), {k: np.stack(v) for k, v in values.items() if len(v) == len(steps)}


KINDS = ("precondition", "warp", "theta0")  # prefixes of the names of blocks that have a panel


def interesting(values):
    """Returns the names of the blocks that have a separate panel. These blocks belong to the preconditioner, the warp
    layers or the initialisation. For each of these parts, the largest block is first."""
    names = [n for n in values if n.startswith(KINDS)]
    return sorted(names, key=lambda n: ([n.startswith(k) for k in KINDS].index(True), -values[n][0].size))


def short(name):
    """Returns the label of a block. P is the preconditioner, as in docs/mathematics.md."""
    return name.replace("precondition.", "P ")


def cells_of(names):
    """Returns (row, column) of each panel in a grid of three columns. The panel of a block has one cell, and the panel
    of the distances has two cells."""
    cells = [divmod(k, 3) for k in range(len(names))]
    row, column = divmod(len(names), 3)
    return cells, (row, column) if column < 2 else (row + 1, 0)


def parameters_height(source):
    _, values = read_parameters(source)
    _, last = cells_of(interesting(values)[:4])
    return 0.62 + 2.1 * (last[0] + 1)


def draw_fan(ax, steps, block):
    """Draws the 0, 10, 25, 50, 75, 90 and 100 % quantiles of a block's values."""
    flat = block.reshape(len(steps), -1)
    if flat.shape[1] <= 6:
        for k in range(flat.shape[1]):
            ax.plot(steps, flat[:, k], color=ws.SERIES[k % len(ws.SERIES)], lw=1.4)
        return
    q = np.quantile(flat, [0, 0.1, 0.25, 0.5, 0.75, 0.9, 1], axis=1)
    for low, high, alpha in ((0, 6, 0.12), (1, 5, 0.2), (2, 4, 0.3)):
        ax.fill_between(steps, q[low], q[high], color=ws.SERIES[0], alpha=alpha, lw=0)
    ax.plot(steps, q[3], color=ws.SERIES[0], lw=1.6)


def draw_matrix(ax, steps, block):
    """Draws a square factor of a preconditioner. The quantiles of the diagonal are lines. The root mean square of the
    elements outside of the diagonal is a dotted line."""
    n = block.shape[1]
    rest = block - np.einsum("kii->ki", block)[:, :, None] * np.eye(n)
    draw_fan(ax, steps, np.einsum("kii->ki", block))
    size = np.sqrt((rest**2).sum(axis=(1, 2)) / max(1, n * (n - 1)))
    ax.plot(steps, size, color=ws.LEARNED, lw=1.3, ls=(0, (1, 1.2)))
    ax.text(0.98, 0.5, "solid: diagonal\ndotted: r.m.s. of the rest", transform=ax.transAxes, fontsize=6.3, ha="right",
            va="center", color="#555555")


def draw_change(ax, steps, values):
    """Draws the Euclidean distance of each block from its value in the first checkpoint."""
    ends = []
    sizes = {n: np.sqrt(((v - v[0]) ** 2).reshape(len(steps), -1).sum(1)) for n, v in values.items()}
    largest = sorted(sizes, key=lambda n: -sizes[n][-1])[:6]
    for k, name in enumerate(largest):
        ax.plot(steps, sizes[name], color=ws.SERIES[k], lw=1.3)
        ends.append((steps[-1], sizes[name][-1], short(name), ws.SERIES[k], False))
    ax.set_ylim(bottom=0)
    ax.set_title("Distance of each block from its first value", fontsize=8, pad=4)
    ws.label_ends(ax, ends, 6.3)


def draw_parameters(sheet, source):
    steps, values = read_parameters(source)
    names = interesting(values)
    cells, last = cells_of(names[:4])
    for name, (row, column) in zip(names, cells):
        ax = sheet.axes(0.72 + 2.3 * column, 0.6 + 2.1 * row, 1.7, 1.3)
        block = values[name]
        square = ".axis" in name and block.ndim == 3 and block.shape[1] == block.shape[2] > 1
        draw_matrix(ax, steps, block) if square else draw_fan(ax, steps, block)
        ax.set_title(short(name), fontsize=8, pad=4)
        finish_axis(ax, steps)
    ax = sheet.axes(0.72 + 2.3 * last[1], 0.6 + 2.1 * last[0], 2.6 if names else 4.0, 1.3)
    draw_change(ax, steps, values)
    finish_axis(ax, steps)
    more = f"; {len(names) - 4} more blocks" if len(names) > 4 else ""
    note = f"{len(steps)} checkpoints" + ("; bands: middle 50, 80, 100 % of the values" + more if names else "")
    sheet.title("Learned parameters over meta-training", note)


def finish_axis(ax, steps):
    ax.set_xlim(steps[0], steps[-1])
    ax.xaxis.set_major_locator(plt.MaxNLocator(3, integer=True, steps=[1, 2, 5, 10]))
    ax.set_xlabel("meta-step")


# ---- the complete figure -----------------------------------------------------------------------------

PARTS = {"loss": (loss_height, draw_loss), "rule": (rule_height, draw_rule), "phase": (phase_height, draw_phase),
         "parameters": (parameters_height, draw_parameters)}


@ws.styled
def draw(run, wanted=None):
    """Returns the figure and the reasons for parts that could not be drawn: (figure or None, [reason, ...])."""
    source, heights, reasons = Source(run), {}, []
    for name in wanted or PARTS:
        try:
            heights[name] = PARTS[name][0](source)
        except Absent as reason:
            reasons.append(str(reason))
    reasons = list(dict.fromkeys(reasons))
    if not heights:
        return None, reasons
    sheet = Sheet(heights.values())
    for name, height in heights.items():
        PARTS[name][1](sheet, source)
        sheet.at += height
    ws.headline(sheet.figure, run.heading)
    return sheet.figure, reasons
