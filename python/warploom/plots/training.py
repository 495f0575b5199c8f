"""Draws the metrics of one or several trainings.

The picture has six panels: the meta-loss, the losses inside the window, the norm of the meta-gradient, the learning
rate, the units that were left out as non-finite, and the time of the phases of a meta-step. Runs whose configurations
differ only in the seed are one group. A group is drawn as a mean with a 95 % band. Runs whose configurations differ in
other keys are in separate groups. Each group has a colour, and its name lists the differences.

The meta-loss depends on the position of the window in the episode. Lines are therefore running means over complete
episodes. --smooth 1 shows each meta-step."""

import matplotlib.pyplot as plt
import numpy as np

from .. import files as wf
from . import style as ws

PHASES = [("compute", "#0072B2", "computing"), ("wait", "#E69F00", "waiting for the slowest rank"),
          ("reduce", "#CC79A7", "summing"), ("io", "#7A7A7A", "files")]


class Group:
    """A group of runs whose configurations differ only in the seed. The group contains the meta-steps that all of its
    runs have reached."""

    def __init__(self, label, runs, colour):
        self.label, self.runs, self.colour = label, runs, colour
        steps = set.intersection(*(set(run.metrics["meta_step"]) for run in runs))
        self.steps = np.array(sorted(steps))
        self.rows = [np.isin(run.metrics["meta_step"], self.steps) for run in runs]
        if not steps:
            raise wf.ToolError(wf.DATA, "no meta-step is in all of the runs " + ", ".join(str(r.path) for r in runs))

    def column(self, name):
        """Returns the values of a metric as an array (run, meta-step)."""
        return np.stack([run.metrics[name][rows] for run, rows in zip(self.runs, self.rows)])

    def phases(self):
        """Returns the seconds of each phase, averaged over runs, as an array (phase, meta-step)."""
        parts = [wf.step_phases(run.metrics)[:, rows] for run, rows in zip(self.runs, self.rows)]
        return np.mean(parts, axis=0)


def group_runs(runs):
    def identity(run):
        return tuple((k, str(v)) for k, v in run.configuration.items() if k != "seed" and not wf.is_bookkeeping(k))
    groups = {}
    for run in runs:
        groups.setdefault(identity(run), []).append(run)
    different = wf.differences([dict(key) for key in groups])
    out = []
    for i, (key, members) in enumerate(groups.items()):
        values = dict(key)
        words = [f"{k.split('.')[-1]} {values[k]}" for k in different if k in values]
        label = ", ".join(words[:3])
        label += f"  ({len(members)} seeds)" if len(members) > 1 else ""
        out.append(Group(label, members, ws.SERIES[i % len(ws.SERIES)]))
    return out


def default_width(group):
    """Returns the default width of the running mean in meta-steps. The width is about a fiftieth of the run, rounded to
    complete episodes."""
    period = group.runs[0].windows
    return period * max(1, round(len(group.steps) / 50 / period))


# ---- panels --------------------------------------------------------------------------------

def draw_series(ax, group, name, width, log, line="-", label=None):
    """Draws the smoothed mean over runs and the band of its 95 % interval. For one run, the values of all meta-steps
    are also drawn, in a pale colour."""
    values = group.column(name)
    smoothed = np.stack([ws.smooth(v, width, log) for v in values])
    mean, low, high = (smoothed[0],) * 3 if len(values) == 1 else band(smoothed, log)
    if len(values) == 1 and width > 1:
        ax.plot(group.steps, values[0], color=group.colour, lw=0.5, alpha=0.25, zorder=2, rasterized=len(mean) > 5000)
    elif len(values) > 1:
        ax.fill_between(group.steps, low, high, color=group.colour, alpha=0.2, lw=0, zorder=2)
    ax.plot(group.steps, mean, color=group.colour, lw=1.5, ls=line, label=label, zorder=3, marker=dot(group))


def dot(group):
    """Returns a marker for a single meta-step, for which no line can be drawn."""
    return "o" if len(group.steps) == 1 else None


def band(smoothed, log):
    if log:
        return wf.geometric_interval(smoothed)
    mean, half = wf.interval(smoothed)
    return mean, mean - half, mean + half


def is_log(groups, *names):
    values = np.concatenate([g.column(n).ravel() for g in groups for n in names])
    return ws.spans_decades(values)


def fit_view(ax, groups, names, log):
    """Sets limits around the 0.5 and 99.5 percentiles, so a single outlier does not compress the other values."""
    values = np.concatenate([g.column(n).ravel() for g in groups for n in names])
    values = values[np.isfinite(values)]
    if not values.size:
        return
    low, high = np.percentile(values, [0.5, 99.5])
    if log:
        margin = max(1.1, (high / low) ** 0.08)
        ax.set_yscale("log")
        ax.set_ylim(low / margin, high * margin)
        ws.log_axis(ax.yaxis)
    else:
        margin = 0.08 * (high - low) or abs(high) * 0.05 or 1
        ax.set_ylim(low - margin, high + margin)


def panel_loss(ax, groups, width):
    log = is_log(groups, "meta_loss")
    for g in groups:
        draw_series(ax, g, "meta_loss", width or default_width(g), log)
    fit_view(ax, groups, ["meta_loss"], log)
    c = groups[0].runs[0].configuration
    kinds = {"plain": "loss", "log": "log loss", "log_ratio": "log (loss / first loss)", "clipped": "clipped loss"}
    ax.set(title="Meta-loss", ylabel=f"{c.get('window.weights', 'sum')} of {kinds.get(c.get('window.loss'), 'loss')}"
           if isinstance(c.get("window.weights"), str) else "weighted loss")


def panel_window(ax, groups, width):
    log = is_log(groups, "first_loss", "last_loss")
    for g in groups:
        draw_series(ax, g, "first_loss", width or default_width(g), log, line=(0, (1, 1.3)))
        draw_series(ax, g, "last_loss", width or default_width(g), log)
    fit_view(ax, groups, ["first_loss", "last_loss"], log)
    ax.set(title="Loss in the window")
    ax.set_ylabel("dotted: first, solid: last", fontsize=7.5)


def panel_gradient(ax, groups, width):
    log = is_log(groups, "gradient_norm")
    for g in groups:
        draw_series(ax, g, "gradient_norm", width or default_width(g), log)
    fit_view(ax, groups, ["gradient_norm"], log)
    clips = {g.runs[0].configuration.get("outer.clip_norm", 0) for g in groups} - {0}
    low, high = ax.get_ylim()
    for clip in clips:
        if not low < clip < high:
            continue
        ax.axhline(clip, color="#555555", lw=0.8, ls="--", zorder=1)
        if len(clips) == 1:
            high_up = ax.transLimits.transform(ax.transScale.transform((0, clip)))[1] > 0.5
            ax.text(0.99, clip, "clipped above", transform=ax.get_yaxis_transform(), fontsize=6.5, ha="right", va="top" if high_up else "bottom",
                    color="#555555", zorder=6, bbox={"facecolor": "white", "alpha": 0.7, "lw": 0, "pad": 0.8})
    ax.set(title="Meta-gradient", ylabel="Euclidean norm")


def panel_rate(ax, groups, _):
    for g in groups:
        ax.plot(g.steps, g.column("learning_rate").mean(axis=0), color=g.colour, lw=1.5, marker=dot(g))
    values = np.concatenate([g.column("learning_rate").ravel() for g in groups])
    if values.max() / max(values.min(), 1e-300) > 30:
        ax.set_yscale("log")
        ws.log_axis(ax.yaxis)
    else:
        ax.set_ylim(0, 1.08 * values.max() or 1)
    ax.set(title="Outer learning rate")


def panel_skipped(ax, groups, _):
    total = 0
    for g in groups:
        share = np.cumsum(g.column("skipped_units"), axis=1)
        total += share[:, -1].sum()
        for row in share:
            ax.plot(g.steps, row, color=g.colour, lw=1.2, drawstyle="steps-post")
    units = sum(g.column("units").sum() for g in groups)
    ax.set(title="Skipped units", ylabel="so far")
    ax.yaxis.set_major_locator(plt.MaxNLocator(integer=True, nbins=5))
    if total == 0:
        ax.set_ylim(-0.05, 1)
        ax.set_yticks([0])
        ax.text(0.5, 0.5, f"none of {units:,.0f}", transform=ax.transAxes, ha="center", color=ws.FAINT)
    else:
        ax.text(0.03, 0.92, f"{total:,.0f} of {units:,.0f} ({100 * total / units:.2g} %)", transform=ax.transAxes,
                color="#555555", fontsize=7.5)


def unit_of_time(seconds):
    return (1e3, "ms") if seconds < 1 else (1, "s")


def has_course(groups):
    return len(groups) == 1 and len(groups[0].steps) > 1


def panel_time(ax, groups, _):
    """Draws the times of the phases. For one configuration, the times are stacked layers over the meta-steps. For
    several configurations or a single meta-step, the times are stacked bars."""
    totals = [g.phases().mean(axis=1) for g in groups]
    factor, unit = unit_of_time(max(t.sum() for t in totals))
    shown = [i for i in range(len(PHASES)) if max(t[i] / t.sum() for t in totals) > 0.003]
    if has_course(groups):
        g = groups[0]
        layers = [ws.smooth(p, max(5, len(g.steps) // 60)) * factor for p in g.phases()[shown]]
        ax.stackplot(g.steps, layers, colors=[PHASES[i][1] for i in shown], alpha=0.85, lw=0)
        total = np.sum(layers, axis=0)
        top = np.percentile(total, 95)  # a meta-step that took very long must not compress the other values
    else:
        left = np.zeros(len(groups))
        for i in shown:
            ax.bar(range(len(groups)), [t[i] * factor for t in totals], bottom=left, color=PHASES[i][1], width=0.6)
            left += [t[i] * factor for t in totals]
        ax.set_xticks(range(len(groups)), [str(i + 1) for i in range(len(groups))])
        top = left.max()
        ax.grid(axis="x", visible=False)
    ax.set_ylim(0, (1.15 + 0.17 * len(shown)) * top)  # room for the legend
    handles = [plt.Rectangle((0, 0), 1, 1, color=PHASES[i][1], label=PHASES[i][2]) for i in shown]
    ax.legend(handles=handles, loc="upper right", fontsize=6.8, handlelength=0.9, handleheight=0.9, borderaxespad=0.1,
              labelspacing=0.25, frameon=True, facecolor="white", edgecolor="none", framealpha=0.85)
    ax.set(title="Time of a meta-step", ylabel=unit)


PANELS = [panel_loss, panel_window, panel_gradient, panel_rate, panel_skipped, panel_time]


# ---- figure --------------------------------------------------------------------------------

def note_of(groups, width):
    g = groups[0]
    runs = sum(len(x.runs) for x in groups)
    seconds = np.mean([wf.step_seconds(r.metrics).mean() for x in groups for r in x.runs])
    words = [f"{len(g.steps):,} meta-step{'s' if len(g.steps) > 1 else ''}" if len(groups) == 1 else f"{runs} runs", f"{1 / seconds:.3g} a second"]
    if len(groups) == 1 and runs > 1:
        words.insert(0, f"{runs} seeds")
    words.append(f"lines: running means over {width or default_width(g)} meta-steps")
    if any(len(x.runs) > 1 for x in groups):
        words.append("bands: 95 % intervals over seeds")
    return ", ".join(words) + "."


@ws.styled
def draw(runs, width=None):
    groups = group_runs(runs)
    figure = plt.figure(figsize=(ws.WIDTH, 4.5 if len(groups) == 1 else 4.8))
    height = figure.get_size_inches()[1]
    top = 0.92 if len(groups) == 1 else 1.2
    grid = figure.add_gridspec(2, 3, left=0.085, right=0.98, bottom=0.42 / height, top=1 - top / height, wspace=0.42,
                               hspace=0.55)
    for i, panel in enumerate(PANELS):
        ax = figure.add_subplot(grid[i // 3, i % 3])
        panel(ax, groups, width)
        if panel is not panel_time or has_course(groups):
            first, last = min(g.steps[0] for g in groups), max(g.steps[-1] for g in groups)
            ax.set_xlim(first - (first == last), last + (first == last))
            ax.xaxis.set_major_locator(plt.MaxNLocator(4, integer=True, steps=[1, 2, 5, 10]))
        if i >= 3:
            ax.set_xlabel("group" if panel is panel_time and len(groups) > 1 else "meta-step")
    ws.headline(figure, runs[0].heading if len(runs) == 1 else runs[0].title, note_of(groups, width))
    if len(groups) > 1:
        handles = [plt.Line2D([], [], color=g.colour, lw=2, label=f"{i + 1}  {g.label}") for i, g in enumerate(groups)]
        figure.legend(handles=handles, loc="upper left", bbox_to_anchor=(0, 1 - 0.55 / height), ncol=min(3, len(groups)),
                      handlelength=1.3)
    return figure
