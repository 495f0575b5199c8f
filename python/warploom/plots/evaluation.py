"""Draws the losses of the learned rule and of tuned hand-designed rules in an evaluation.

The picture has loss curves and the final losses with their intervals. With several settings (`warploom eval RUN --vary
...`), the picture also has a ratio for each setting: the final loss of the learned rule divided by the final loss of
the best hand-designed rule.

Lines are geometric means over sets of fresh tasks. Bands are the 95 % intervals of these means (Student's t on log10).
For few-shot tasks, and for cases with a loss that is not positive, the means are arithmetic. After the first run of a
rule has diverged, the line of this rule is dashed and shows the mean of the other runs."""

import matplotlib.pyplot as plt
import numpy as np

from .. import files as wf
from . import style as ws


def middle(case, values, axis):
    """Returns the mean and the ends of its 95 % interval. These values are computed on a logarithmic scale if all
    losses of the case are positive and its tasks are not few-shot tasks."""
    if case.positive and not case.few_shot:
        return wf.geometric_interval(values, axis)
    mean, half = wf.interval(values, axis)
    return mean, mean - half, mean + half


def prepare(case):
    """Returns True if a case can be drawn on a logarithmic axis."""
    values = np.concatenate([case.curve[np.isfinite(case.curve)], case.final[np.isfinite(case.final)]])
    case.positive = values.size > 0 and values.min() > 0
    case.few_shot = bool(case.positive and not np.isfinite(case.difference) and np.isfinite(case.gap))
    return case


def order(case):
    """Returns the rules sorted by final loss. Rules that diverged are last."""
    centre = middle(case, case.final, 1)[0]
    broken = ~np.isfinite(case.final).all(axis=1)
    return np.lexsort((np.where(np.isfinite(centre), centre, np.inf), broken))


# ---- curves --------------------------------------------------------------------------------

def draw_curve(ax, case, r, width, weight):
    rule = case.rules[r]
    colour, learned = ws.rule_colour(rule), ws.is_learned(rule)
    centre, low, high = (ws.smooth(v, width, case.positive) for v in middle(case, case.curve[r], 0))
    steps = np.arange(case.steps)
    order_z = 5 if learned else 3
    ax.fill_between(steps, low, high, color=colour, alpha=0.24 if learned else 0.1, lw=0, zorder=order_z - 1)
    whole = np.isfinite(case.curve[r]).all(axis=0)
    first_gap = int(np.argmin(whole)) if not whole.all() else case.steps
    style = {"color": colour, "lw": weight * (2.1 if learned else 1.0), "zorder": order_z}
    ax.plot(steps[:first_gap], centre[:first_gap], **style)
    if first_gap < case.steps:
        ax.plot(steps[max(0, first_gap - 1):], centre[max(0, first_gap - 1):], ls=(0, (3, 2)), **style)
    return centre


def set_limits(ax, case, curves):
    """Sets limits that show all curves, except the upper end of a curve that diverges."""
    values = np.concatenate([c[np.isfinite(c)] for c in curves])
    if not values.size:
        return
    low, high = values.min(), values.max()
    if case.positive:
        high = min(high, 10 * max(case.start, values.min()))
        ax.set_yscale("log")
        margin = max(high / low, 1.1) ** 0.05
        ax.set_ylim(low / margin, high * margin)
        ws.log_axis(ax.yaxis)
    else:
        margin = 0.05 * (high - low or 1)
        ax.set_ylim(low - margin, high + margin)
    ax.set_xlim(0, max(1, case.steps - 1))


def draw_curves(ax, case, width, labels=False):
    curves = [draw_curve(ax, case, r, width, 1.1 if labels else 0.8) for r in range(len(case.rules))]
    set_limits(ax, case, curves)
    if labels:
        ends = [(case.steps - 1, c[-1], ws.rule_name(case.rules[r]), ws.rule_colour(case.rules[r]), r == 0)
                for r, c in enumerate(curves) if np.isfinite(c[-1])]
        ws.label_ends(ax, ends)


# ---- final losses --------------------------------------------------------------------------

def columns_of(case):
    """Returns the columns of text for the rules: [(head, [text of each rule])]."""
    centre = middle(case, case.final, 1)[0]
    columns = [("loss", [ws.plain(v) for v in centre]),
               ("rate", [ws.plain(v, 2) for v in case.rate])]
    if np.isfinite(case.accuracy).any():
        mean = wf.interval(case.accuracy, 1)[0]
        columns.append(("held-out\naccuracy", [f"{100 * v:.1f} %" if np.isfinite(v) else "–" for v in mean]))
    return columns


def draw_final(ax, case):
    """Draws the final losses of the rules from best to worst. Each rule has its mean, its interval, a point for each
    set, and columns of numbers."""
    rows = order(case)
    centre, low, high = middle(case, case.final, 1)
    for y, r in enumerate(rows):
        colour, learned = ws.rule_colour(case.rules[r]), ws.is_learned(case.rules[r])
        ax.plot(case.final[r], np.full(case.seeds, y), "o", ms=2.4, color=colour, alpha=0.35, mew=0, zorder=2)
        if np.isfinite(centre[r]):
            ax.plot([low[r], high[r]], [y, y], color=colour, lw=2.8 if learned else 1.6, zorder=3)
            ax.plot(centre[r], y, "D" if learned else "o", ms=6 if learned else 4.6, color=colour, mec="white",
                    mew=0.7, zorder=4)
    if case.positive and np.isfinite(centre).any():
        ax.set_xscale("log")
        ax.margins(x=0.12)
        ws.log_axis(ax.xaxis, most=4)
    ax.set_ylim(len(rows) - 0.45, -0.6)
    ax.set_yticks(range(len(rows)), [ws.rule_name(case.rules[r]) for r in rows])
    for tick, r in zip(ax.get_yticklabels(), rows):
        tick.set_color(ws.rule_colour(case.rules[r]))
        tick.set_fontweight("bold" if ws.is_learned(case.rules[r]) else "normal")
    ax.tick_params(axis="y", length=0, labelsize=8)
    ax.grid(axis="y", visible=False)
    ax.spines["left"].set_visible(False)
    write_columns(ax, case, rows)


def write_columns(ax, case, rows):
    inches = ax.get_position().width * ax.figure.get_size_inches()[0]
    x = 1 + 0.5 / inches
    for head, texts in columns_of(case):
        ax.text(x, -0.62, head, transform=ax.get_yaxis_transform(), ha="right", va="bottom", fontsize=7, color="#555555",
                clip_on=False, linespacing=1.1)
        for y, r in enumerate(rows):
            ax.text(x, y, texts[r], transform=ax.get_yaxis_transform(), ha="right", va="center", fontsize=7.5,
                    fontweight="bold" if r == 0 else "normal", clip_on=False)
        x += 0.58 / inches
    for y, r in enumerate(rows):
        if case.diverged[r] > 0:
            ax.text(0.5, y + 0.36, f"{case.diverged[r]} runs diverged", transform=ax.get_yaxis_transform(), ha="center",
                    va="center", fontsize=6.5, color=ws.FAINT, style="italic")


# ---- words ---------------------------------------------------------------------------------

def verdict_text(case):
    best = ws.rule_name(case.rules[case.best])
    if case.verdict == "fails":
        why = f"{case.diverged[0]} of its runs diverge" if case.diverged[0] else "its final loss is not below its first loss"
        return f"The learned rule fails: {why}."
    if not np.isfinite(case.difference):
        return f"The learned rule {gap_text(case, best)}."
    ratio, low, high = (10 ** (case.difference + d * case.half) for d in (0, -1, 1))
    sense = {"wins": "wins", "ties": "ties with the best hand-designed rule", "loses": "loses"}[case.verdict]
    return (f"The learned rule {sense}: its final loss is {ws.plain(ratio)} times that of tuned {best} "
            f"(95 %: {ws.plain(low)} to {ws.plain(high)}).")


def gap_text(case, best):
    """Returns the text for a case without a ratio of losses. Such cases have few-shot tasks, losses that are not
    positive, or diverged rules."""
    if not np.isfinite(case.gap):
        return "wins: every hand-designed rule diverges on one of these tasks"
    sense = {"wins": "wins against", "ties": "ties with", "loses": "loses to"}[case.verdict]
    return (f"{sense} tuned {best}: difference of final losses {ws.plain(case.gap)} "
            f"(95 %: {ws.plain(case.gap - case.gap_half)} to {ws.plain(case.gap + case.gap_half)})")


def band_note(cases):
    seeds = sorted({case.seeds for case in cases})
    sets = str(seeds[0]) if len(seeds) == 1 else f"{seeds[0]}–{seeds[-1]}"
    kind = "Geometric mean" if all(c.positive and not c.few_shot for c in cases) else "Mean"
    what = "fresh tasks" if all(c.few_shot for c in cases) else "sets of fresh tasks"
    return f"{kind} over {sets} {what}, bands: 95 % intervals; hand-designed rules have rates tuned for the horizon."


def source_note(evaluation):
    a = evaluation.attributes
    return f"Trained for {a.get('meta_steps', '?')} meta-steps, digest {a.get('digest', '?')}."


# ---- figures -------------------------------------------------------------------------------

def figure_of_one(evaluation, case, width):
    figure = plt.figure(figsize=(ws.WIDTH, 3.9))
    extra = 0.08 * (len(columns_of(case)) - 2)
    left = figure.add_axes([0.075, 0.12, 0.385 - 0.4 * extra, 0.54])
    right = figure.add_axes([0.655 - 0.45 * extra, 0.12, 0.185 - 0.5 * extra, 0.54])
    if case.steps > 1:
        draw_curves(left, case, width, labels=True)
        left.set(xlabel="inner step", ylabel="training loss")
        left.set_title("Loss along an episode", pad=18)
    else:  # there is no curve to draw
        left.remove()
        right.set_position([0.18, 0.12, 0.5, 0.54])
    draw_final(right, case)
    right.set(xlabel=f"loss after {case.steps} step{'s' if case.steps > 1 else ''}")
    right.set_title("Final loss", pad=18)
    name = "" if case.name == "trained" else f", {case.name}"
    ws.headline(figure, evaluation.title + name, f"{verdict_text(case)}\n{band_note([case])}\n{source_note(evaluation)}")
    return figure


def draw_ratios(ax, cases):
    """Draws a ratio for each case: the final loss of the learned rule divided by the final loss of the best
    hand-designed rule. If the ratio is below 1, the learned rule is better."""
    for y, case in enumerate(cases):
        colour = ws.VERDICTS[case.verdict]
        if np.isfinite(case.difference):
            low, mid, high = (10 ** (case.difference + d * case.half) for d in (-1, 0, 1))
            ax.plot([low, high], [y, y], color=colour, lw=2)
            ax.plot(mid, y, "D", ms=5.5, color=colour, mec="white", mew=0.7)
            words = f"{ws.plain(mid)} × {ws.rule_name(case.rules[case.best])}"
        else:
            words = "diverges" if case.diverged[0] else "no ratio"
        ax.text(1.02, y, words, transform=ax.get_yaxis_transform(), va="center", fontsize=7.5)
        ax.text(1.33, y, case.verdict, transform=ax.get_yaxis_transform(), va="center", fontsize=7.5, color=colour,
                fontweight="bold")
    ax.set_xscale("log")
    low, high = ax.get_xlim()
    ax.set_xlim(min(low, 0.8), max(high, 1.25))
    ws.log_axis(ax.xaxis)
    ax.axvline(1, color="#555555", lw=0.9, zorder=1)
    ax.set_ylim(len(cases) - 0.5, -0.5)
    ax.set_yticks(range(len(cases)), [c.name for c in cases])
    ax.tick_params(axis="y", length=0, labelsize=8)
    ax.grid(axis="y", visible=False)
    ax.spines["left"].set_visible(False)
    ax.set_xlabel("final loss of the learned rule / best hand-designed rule  (below 1: the learned rule is better)")


def legend_row(figure, cases, y):
    rules = dict.fromkeys(rule for case in cases for rule in case.rules)
    handles = [plt.Line2D([], [], color=ws.rule_colour(r), lw=2.6 if ws.is_learned(r) else 1.4, label=ws.rule_name(r))
               for r in rules]
    figure.legend(handles=handles, loc="upper left", ncol=len(handles), bbox_to_anchor=(0.0, y), handlelength=1.5,
                  columnspacing=1.4, borderaxespad=0.2)


def figure_of_many(evaluation, cases, width):
    columns = min(3, len(cases))
    rows = -(-len(cases) // columns)
    ratios, panel, top, gap = 0.15 + 0.2 * len(cases), 1.75, 0.98, 0.72
    height = top + ratios + gap + rows * panel + 0.25
    figure = plt.figure(figsize=(ws.WIDTH, height))
    ax = figure.add_axes([0.21, 1 - (top + ratios) / height, 0.5, ratios / height])
    draw_ratios(ax, cases)
    ax.set_title("Settings in which the learned rule works", x=-0.4, pad=8)
    base = top + ratios + gap
    legend_row(figure, cases, 1 - (base - 0.12) / height)
    cell = 0.99 / columns
    for i, case in enumerate(cases):
        row, column = divmod(i, columns)
        at = figure.add_axes([0.065 + column * cell, 1 - (base + 0.4 + row * panel + 1.15) / height,
                              cell - 0.085, 1.15 / height])
        draw_curves(at, case, width)
        at.set_title(f"{case.name}", fontsize=8.5)
        at.text(1, 1.06, case.verdict, transform=at.transAxes, ha="right", fontsize=7.5, fontweight="bold",
                color=ws.VERDICTS[case.verdict])
        if column == 0:
            at.set_ylabel("training loss")
        if i + columns >= len(cases):
            at.set_xlabel("inner step")
    ws.headline(figure, evaluation.title, f"{band_note(cases)}\n{source_note(evaluation)}")
    return figure


@ws.styled
def draw(evaluation, only=None, width=1):
    """Returns the figure of an evaluation. `only` is the name of the only case to draw, or None for all cases."""
    cases = [prepare(c) for c in evaluation.cases if only in (None, c.name)]
    if not cases:
        names = ", ".join(f"'{c.name}'" for c in evaluation.cases)
        raise wf.ToolError(wf.USAGE, f"--case {only}: {evaluation.path} contains only the cases {names}")
    return figure_of_one(evaluation, cases[0], width) if len(cases) == 1 else figure_of_many(evaluation, cases, width)
