#!/usr/bin/env python3
"""Writes one HTML page about a run, with its pictures, tables, configuration and provenance.

The page contains all data and pictures and loads no other file, so you can mail, archive or print it. Sections without
data are left out, for example if there is no evaluation. A note then names the command or key that provides the data.
The run may be in progress.

Examples:
  report.py runs/quickstart                         -> runs/quickstart/report.html
  report.py runs/quickstart --output quickstart.html --title "Quickstart on synthetic images"
  report.py runs/quickstart --pictures png          a smaller page
"""
import base64
import datetime
import html
import io
import math
import os
import shlex

import warploom_needs  # imported first, because this module reports missing packages

import matplotlib.pyplot as plt
import numpy as np

import compare_runs
import warploom_files as wf
import warploom_style as ws
from warploom.plots import evaluation as plot_evaluation, training as plot_training, trajectories as plot_trajectories

STYLE = """
:root { --ink: #222; --soft: #5c5c5c; --line: #dcdcdc; --tint: #f6f5f2; --accent: #b84a00; }
* { box-sizing: border-box; }
body { margin: 0; color: var(--ink); background: #fff; line-height: 1.55; font-size: 16px;
  font-family: system-ui, -apple-system, "Segoe UI", "Noto Sans", "DejaVu Sans", Helvetica, Arial, sans-serif; }
main { max-width: 56rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .35rem; letter-spacing: -.01em; }
h2 { font-size: 1.25rem; margin: 3rem 0 .6rem; padding-top: .9rem; border-top: 2px solid var(--ink); }
h3 { font-size: 1rem; margin: 1.6rem 0 .4rem; }
p { margin: .5rem 0; max-width: 44rem; }
.lead { font-size: 1.06rem; color: var(--soft); }
.note { color: var(--soft); font-size: .92rem; }
nav { margin: 1.1rem 0 0; font-size: .92rem; }
nav a { margin-right: 1.1rem; }
a { color: var(--accent); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .75rem; margin: 1.6rem 0 0; padding: 0; }
.tile { background: var(--tint); border-radius: 6px; padding: .7rem .9rem; }
.tile dt { font-size: .8rem; color: var(--soft); }
.tile dd { margin: 0; font-size: 1.3rem; font-weight: 600; font-variant-numeric: tabular-nums; }
.tile dd small { display: block; font-size: .78rem; font-weight: 400; color: var(--soft); }
figure { margin: 1rem 0 0; }
figure img { width: 100%; height: auto; display: block; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; margin: .8rem 0; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--soft); padding-bottom: .35rem; }
th, td { padding: .28rem 1.3rem .28rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
tbody th { font-weight: 400; }
thead th { border-bottom: 1px solid var(--ink); font-weight: 600; }
td.number, th.number { text-align: right; white-space: nowrap; }
tr.learned td, tr.learned th { font-weight: 700; color: var(--accent); }
code, pre { font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; font-size: .86em; }
pre { background: var(--tint); padding: .9rem 1.1rem; border-radius: 6px; overflow-x: auto; line-height: 1.45; }
.columns { columns: 2 21rem; column-gap: 2.5rem; }
.columns table { width: 100%; margin-top: 0; table-layout: fixed; }
.columns h3 { margin-top: 0; }
.group { break-inside: avoid; padding-bottom: .6rem; }
summary { cursor: pointer; }
footer { margin-top: 3.5rem; color: var(--soft); font-size: .85rem; border-top: 1px solid var(--line); padding-top: .8rem; }
@media print { main { max-width: none; padding: 0; } h2 { break-after: avoid; } figure, tr { break-inside: avoid; } nav { display: none; } }
"""


# ---- pieces of HTML ------------------------------------------------------------------------

def esc(value):
    return html.escape(str(value))


PIXELS_PER_INCH = 144  # resolution of PNG pictures in dots per inch


def picture(figure, kind, alt):
    """Converts a figure to HTML code for the page. SVG is sharp at any size, and PNG makes the page smaller."""
    buffer = io.BytesIO()
    if kind == "svg":
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    else:
        ws.save_png(figure, buffer, PIXELS_PER_INCH)
    plt.close(figure)
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    mime = {"svg": "image/svg+xml", "png": "image/png"}[kind]
    return f'<figure><img alt="{esc(alt)}" src="data:{mime};base64,{data}"></figure>'


def table(head, rows, caption="", learned=None):
    """Formats a table with text in the first column and numbers in the others. `learned` is the index of the row that
    is emphasised."""
    out = ['<div class="scroll"><table>']
    out.append(f"<caption>{esc(caption)}</caption>" if caption else "")
    cells = "".join(f'<th scope="col"{"" if i == 0 else " class=number"}>{esc(h)}</th>' for i, h in enumerate(head))
    out.append(f"<thead><tr>{cells}</tr></thead><tbody>")
    for k, row in enumerate(rows):
        cells = f'<th scope="row">{esc(row[0])}</th>' + "".join(f'<td class="number">{esc(c)}</td>' for c in row[1:])
        out.append(f'<tr class="learned">{cells}</tr>' if k == learned else f"<tr>{cells}</tr>")
    return "".join(out) + "</tbody></table></div>"


def pairs(rows):
    """Formats a table of names and values."""
    cells = "".join(f'<tr><th scope="row">{esc(k)}</th><td>{v}</td></tr>' for k, v in rows)
    return f"<table><tbody>{cells}</tbody></table>"


def section(name, title, *parts):
    return f'<section id="{name}"><h2>{esc(title)}</h2>{"".join(p for p in parts if p)}</section>'


def with_interval(mean, half, digits=3):
    if not math.isfinite(mean):
        return "–"
    return ws.plain(mean, digits) + (f" ± {ws.plain(half, 2)}" if math.isfinite(half) else "")


# ---- sections ------------------------------------------------------------------------------

def tile(name, value, small=""):
    return f'<div class="tile"><dt>{esc(name)}</dt><dd>{esc(value)}{f"<small>{esc(small)}</small>" if small else ""}</dd></div>'


def duration(seconds):
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def glance(run, figures, origin, evaluation):
    total = run.configuration.get("outer.steps", figures["meta-steps"])
    done = "finished" if figures["meta-steps"] >= total else f"of {total:,}"
    tiles = [tile("meta-steps", f"{figures['meta-steps']:,}", done),
             tile("meta-loss", ws.plain(figures["meta-loss, last tenth"]),
                  f"from {ws.plain(figures['meta-loss, first tenth'])}: means of last and first tenth"),
             tile("time of training", duration(figures["seconds"]), f"{ws.plain(figures['ms a meta-step'])} ms a meta-step"),
             tile("skipped units", f"{figures['skipped units']:,}", f"of {figures['units']:,}")]
    if evaluation:
        case = plot_evaluation.prepare(evaluation.cases[0])
        figure = f"{ws.plain(case.gap)} less" if not math.isfinite(case.difference) else f"{ws.plain(10**case.difference)} ×"
        tiles.append(tile("learned rule", case.verdict, f"{figure} {ws.rule_name(case.rules[case.best])}'s final loss"))
    digest = f'<p>Digest <code>{esc(origin["digest"])}</code> after {esc(origin["meta_steps"])} meta-steps.</p>' if origin.get("digest") else ""
    return f'<dl class="tiles">{"".join(tiles)}</dl>{digest}'


def case_table(case):
    head = ["rule", "tuned rate", "final loss", "held-out loss", "runs diverged"]
    accuracy = np.isfinite(case.accuracy).any()
    if accuracy:
        head.insert(4, "held-out accuracy")
    rows = []
    for r, rule in enumerate(case.rules):
        def cell(values, broken=case.diverged[r] > 0):
            mean, half = wf.interval(values[r])
            return "–" if broken else with_interval(float(mean), float(half))
        row = [ws.rule_name(rule), ws.plain(case.rate[r]), cell(case.final), cell(case.heldout), str(case.diverged[r])]
        if accuracy:
            row.insert(4, cell(case.accuracy))
        rows.append(row)
    caption = f"{case.name}: {case.steps} steps, {case.seeds} sets of fresh tasks; mean ± half width of the 95 % interval"
    return table(head, rows, caption, learned=0)


def evaluation_section(run, evaluation, kind):
    if evaluation is None:
        command = f"warploom eval {shlex.quote(str(run.path))}"
        return section("evaluation", "Against hand-designed rules",
                       f'<p class="note">Not evaluated yet: <code>{esc(command)}</code>, then this report again.</p>')
    figure = picture(plot_evaluation.draw(evaluation), kind, "Loss curves of the learned rule and of tuned hand-designed rules")
    words = "".join(f"<p><b>{esc(c.name)}</b>: {esc(plot_evaluation.verdict_text(c))}</p>" for c in evaluation.cases[1:])
    words = f"<p>{esc(plot_evaluation.verdict_text(evaluation.cases[0]))}</p>" + words
    tables = case_table(evaluation.cases[0])
    if len(evaluation.cases) > 1:
        rest = "".join(case_table(c) for c in evaluation.cases[1:])
        tables += f"<details><summary>Tables of the other settings</summary>{rest}</details>"
    return section("evaluation", "Against hand-designed rules", words, figure, tables)


def training_section(run, figures, kind):
    rows = [[k, compare_runs.number(v)] for k, v in figures.items()]
    return section("training", "The training", picture(plot_training.draw([run]), kind, "Meta-loss, gradient norm, time of meta-steps"),
                   table(["", ""], rows).replace("<thead><tr><th scope=\"col\"></th><th scope=\"col\" class=number></th></tr></thead>", ""))


def trajectory_section(run, kind):
    figure, reasons = plot_trajectories.draw(run)
    parts = [picture(figure, kind, "Losses of recorded inner runs; update against gradient; learned parameters")] if figure else []
    parts += [f'<p class="note">Left out: {esc(reason)}.</p>' for reason in reasons]
    return section("inner", "Inner runs and the learned rule", *parts)


def configuration_section(run):
    groups = {}
    for key, value in run.configuration.items():
        head, _, rest = key.rpartition(".")
        groups.setdefault(head or "run", []).append((rest or key, f"<code>{esc(wf.show(value))}</code>"))
    tables = "".join(f'<div class="group"><h3>{esc(name)}</h3>{pairs(rows)}</div>' for name, rows in groups.items())
    raw = f"<details><summary>As a file, to run it again</summary><pre>{esc(run.text)}</pre></details>"
    return section("configuration", "Configuration", '<p class="note">Every key, defaults included.</p>',
                   f'<div class="columns">{tables}</div>', raw)


def file_rows(run):
    rows = []
    for path in sorted(p for p in run.path.rglob("*") if p.is_file() and not p.name.startswith("report")):
        name = path.relative_to(run.path)
        if name.parts[0].startswith("previous-") or name.name == "lock":
            continue
        size = path.stat().st_size
        rows.append([str(name), f"{size:,} B" if size < 10000 else f"{size / 1e3:,.0f} kB" if size < 1e7 else f"{size / 1e6:,.0f} MB"])
    if len(rows) > 30:
        rows = rows[:29] + [[f"and {len(rows) - 29} more", ""]]
    return rows


def provenance_section(run, origin):
    names = {"digest": "digest of the meta-state", "meta_steps": "meta-steps done", "rank_layout": "ranks that wrote it",
             "version": "version", "revision": "revision", "compiler": "compiler", "precision": "precision", "processor": "processor", "blas": "BLAS",
             "date": "date"}
    rows = [(names[k], f"<code>{esc(v)}</code>") for k, v in origin.items() if v]
    steps = origin.get("meta_steps") or "N"
    again = (f"# the same digest after {steps} meta-steps, on any number of ranks\n"
             f"warploom train {shlex.quote(str(run.path / 'config.yaml'))} --set output=again\n"
             f"# reads every byte again\n"
             f"warploom info {shlex.quote(str(run.path))} --verify")
    return section("provenance", "Provenance", pairs(rows) if rows else '<p class="note">No checkpoint yet.</p>',
                   "<h3>To repeat it</h3>", f"<pre>{esc(again)}</pre>", f'<details><summary>Files of the run</summary>{table(["file", "size"], file_rows(run))}</details>')


def page(run, title, kind):
    figures = compare_runs.figures_of(run)
    origin = compare_runs.provenance(run)
    evaluation = run.evaluation()
    now = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
    links = [("evaluation", "Against hand-designed rules"), ("training", "Training"), ("inner", "Inner runs"),
             ("configuration", "Configuration"), ("provenance", "Provenance")]
    nav = "".join(f'<a href="#{name}">{text}</a>' for name, text in links)
    body = [f"<h1>{esc(title or run.name)}</h1>", f'<p class="lead">A learned optimizer, meta-trained on: {esc(run.title)}.</p>',
            f"<nav>{nav}</nav>", glance(run, figures, origin, evaluation), evaluation_section(run, evaluation, kind),
            training_section(run, figures, kind), trajectory_section(run, kind), configuration_section(run), provenance_section(run, origin),
            f"<footer>Made by Warploom's report.py from {esc(run.path)}, {now}.</footer>"]
    return ('<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{esc(title or run.name)} – Warploom</title><style>{STYLE}</style></head>\n"
            f"<body><main>{''.join(body)}</main></body></html>\n")


def main():
    parser = wf.Parser(__doc__)
    parser.add_argument("run", metavar="RUN", help="a run directory")
    parser.add_argument("-o", "--output", metavar="FILE", help="page to write (default: RUN/report.html)")
    parser.add_argument("--title", help="heading (default: the run's name)")
    parser.add_argument("--pictures", choices=("svg", "png"), default="svg",
                        help="format of the pictures: svg is sharp at any size, png gives a smaller page (default: svg)")
    a = parser.parse_args()
    text = page(wf.Run(a.run), a.title, a.pictures)
    output = a.output or os.path.join(a.run, "report.html")
    with wf.open_output(output) as out:
        out.write(text)
    if output != "-":
        print(output)


if __name__ == "__main__":
    wf.run_tool(main)
