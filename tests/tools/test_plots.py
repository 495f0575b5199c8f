"""Checks the pictures that the tools draw. The picture of each kind of file must have the expected colours. Drawing a
picture again must result in the same bytes. The test compares the drawn lines with values that it computes directly
from the files."""
import json
import xml.etree.ElementTree as xml

from fixture import ROSENBROCK, QUADRATIC, evaluate, expect, expect_equal, tool, tool_inside, train

import h5py
import matplotlib.colors
import matplotlib.image
import numpy as np

import warploom_files as wf
import warploom_style as ws
from warploom.plots import evaluation as plot_evaluation
from warploom.plots import training as plot_training
from warploom.plots import trajectories as plot_trajectories


def pixels_near(image, colour, tolerance=0.06):
    return int((np.abs(image[:, :, :3] - matplotlib.colors.to_rgb(colour)).max(axis=2) < tolerance).sum())


def check_png(path, colours, least=60):
    image = matplotlib.image.imread(path)
    expect(image.shape[0] > 400 and image.shape[1] > 1000, f"{path}: only {image.shape}")
    ink = (image[:, :, :3].min(axis=2) < 0.95).mean()
    expect(0.01 < ink < 0.6, f"{path}: the share of coloured pixels is {ink:.3f}")
    for colour in colours:
        found = pixels_near(image, colour)
        expect(found >= least, f"{path}: {found} pixels of {colour}, fewer than {least}")


def check_formats(name, source, stem):
    """SVG and PDF files must be complete. Drawing an SVG file again must result in the same bytes."""
    for ending, begin, copies in (("svg", b"<?xml", "ab"), ("pdf", b"%PDF", "a")):
        contents = []
        for again in copies:
            path = f"{stem}-{again}.{ending}"
            expect_equal("printed name", path, tool_inside(name, source, "--output", path).strip())
            with open(path, "rb") as file:
                contents.append(file.read())
        expect(contents[0].startswith(begin) and len(contents[0]) > 10000, f"{path}: no {ending}")
        expect(contents[0] == contents[-1], f"{path}: other bytes when drawn again")
    root = xml.parse(f"{stem}-a.svg").getroot()
    expect(root.tag.endswith("svg"), f"{stem}-a.svg: root {root.tag}")


def line_of(ax, colour, steps):
    """Returns the values of a line in the picture. The arguments are the colour of the line and its number of
    points."""
    found = [l for l in ax.get_lines() if matplotlib.colors.same_color(l.get_color(), colour) and len(l.get_xdata()) == steps]
    expect(found, f"no line of colour {colour} over {steps} steps")
    return np.asarray(found[0].get_ydata(), dtype=float)


def check_evaluation_content(path):
    """The line of the learned rule must be the geometric mean over the seeds, which the test computes from the
    dataset."""
    figure = plot_evaluation.draw(wf.Evaluation(path), only="trained")
    with h5py.File(path) as file:
        curve = file["case-00/curve"][0]
        final = file["case-00/final_loss"][0]
    drawn = line_of(figure.axes[0], ws.LEARNED, curve.shape[1])
    expect(np.allclose(drawn, np.exp(np.log(curve).mean(axis=0)), rtol=1e-9), "learned curve is not the geometric mean")
    band = figure.axes[0].collections[0].get_paths()[0].vertices[:, 1]
    # 97.5 % quantile of Student's t distribution for the mean of 4 seeds
    half = 3.182 * np.log10(curve).std(axis=0, ddof=1) / 2
    expect(np.isclose(band.max(), (10 ** (np.log10(curve).mean(axis=0) + half)).max(), rtol=1e-3), "the drawn band differs from the 95 % interval")
    points = [l.get_xdata() for l in figure.axes[1].get_lines() if len(np.atleast_1d(l.get_xdata())) == 4]
    expect(any(np.allclose(sorted(p), sorted(final)) for p in points), "final losses of the seeds are not drawn")


def check_interval(json_path, path):
    """The half widths of the drawn intervals must agree with those that the program prints."""
    with open(json_path) as file:
        rules = json.load(file)["cases"][0]["rules"]
    case = wf.Evaluation(path).cases[0]
    mean, half = wf.interval(case.final, axis=1)
    for r, rule in enumerate(rules):
        expect_equal("rule", rule["rule"], case.rules[r])
        if rule["final_loss"] is not None:
            expect(abs(mean[r] - rule["final_loss"]) <= 1e-9 * abs(mean[r]), f"mean of {rule['rule']}")
            expect(abs(half[r] - rule["final_loss_half_width"]) <= 1e-5 * abs(half[r]), f"half width of {rule['rule']}")


def check_training_content(run):
    """With --smooth 1, the panel of the meta-loss must show exactly the values in metrics.jsonl."""
    with open(f"{run}/metrics.jsonl") as file:
        wanted = [json.loads(line)["meta_loss"] for line in file]
    figure = plot_training.draw([wf.Run(run)], width=1)
    expect(np.allclose(line_of(figure.axes[0], ws.SERIES[0], len(wanted)), wanted), "meta-loss panel differs from metrics.jsonl")


def check_rule_content(run):
    """The scatter plot must show exactly the recorded pairs (gradient, update)."""
    t = wf.Run(run).trajectory()
    g, u, steps = plot_trajectories.pairs(t, np.arange(len(t.meta_step)))
    with h5py.File(f"{run}/trajectory.h5") as file:
        raw_g, raw_u = file["gradient"][()], file["update"][()]
    expect_equal("pairs", int(np.isfinite(raw_g).sum()), len(g))
    expect(np.allclose(np.sort(g * u), np.sort((raw_g.astype(float) * raw_u)[np.isfinite(raw_g)])), "a gradient is drawn with the update of another coordinate or step")
    expect_equal("inner steps", (0, 11), (int(steps.min()), int(steps.max())))


def check_path_content(run):
    """The drawn path of an episode must follow theta, so the losses at its points must equal the recorded losses."""
    r = wf.Run(run)
    t = r.trajectory()
    _, _, rows = t.episodes(unit=0)[0]
    at, points = plot_trajectories.path_of(t, rows)
    steps, loss = t.joined(rows, "loss")
    here = dict(zip(at.tolist(), plot_trajectories.rosenbrock(r.configuration)(points[:, 0], points[:, 1])))
    both = [(here[s], l) for s, l in zip(steps.tolist(), loss) if s in here]
    expect(len(both) >= 10, f"only {len(both)} points of the path have a loss")
    expect(all(abs(a - b) <= 1e-3 * max(1, abs(b)) for a, b in both), f"path and losses disagree: {both[:3]}")


def check_fan_content(run):
    """The meta-parameters in the picture of the training must equal those in the checkpoints."""
    steps, values = plot_trajectories.read_parameters(plot_trajectories.Source(wf.Run(run)))
    expect_equal("checkpoints", [15, 30, 45, 60], steps.tolist())
    with h5py.File(f"{run}/checkpoints/step-00000030.h5") as file:
        for name, block in values.items():
            expect(np.array_equal(block[1], np.atleast_1d(file[f"phi/{name}"][()])), f"{name} differs from the checkpoint")
    expect(any(n.startswith("precondition") for n in values) and any(n.startswith("theta0") for n in values), f"{list(values)}")


def main():
    quadratic, plane = train(QUADRATIC, "quadratic"), train(ROSENBROCK, "plane")
    twin = train(QUADRATIC, "twin", "seed=2")
    path = evaluate(quadratic, "--vary", "horizon", "--json", "table.json")

    expect_equal("default name", f"{quadratic}/evaluation.png", tool("plot_evaluation.py", quadratic).strip())
    check_png(f"{quadratic}/evaluation.png", [ws.LEARNED, *ws.RULES.values()])
    tool_inside("plot_evaluation.py", path, "--case", "trained", "-o", "one.png")
    check_png("one.png", [ws.LEARNED, *ws.RULES.values()])
    check_formats("plot_evaluation.py", path, "evaluation")
    check_evaluation_content(path)
    check_interval("table.json", path)

    tool("plot_training.py", quadratic)
    check_png(f"{quadratic}/training.png", [ws.SERIES[0]])
    tool_inside("plot_training.py", quadratic, twin, plane, "-o", "groups.png")
    check_png("groups.png", ws.SERIES[:2])
    check_formats("plot_training.py", quadratic, "training")
    check_training_content(quadratic)

    tool("plot_trajectories.py", quadratic)
    check_png(f"{quadratic}/trajectories.png", [ws.LEARNED, *ws.RULES.values(), ws.PROGRESS(1.0)])
    tool_inside("plot_trajectories.py", plane, "--show", "phase,parameters,loss", "-o", "plane.png")
    check_png("plane.png", [ws.SERIES[0], ws.PROGRESS(1.0)])
    check_formats("plot_trajectories.py", plane, "plane")
    check_rule_content(quadratic)
    check_path_content(plane)
    check_fan_content(plane)
    print("ok")


main()
