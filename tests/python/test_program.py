"""Checks that the functions warploom.train, evaluate and check run the program. Checks that open_run
reads the files of a run, and that the returned variables have names and units."""
import json
import os
import sys

from fixture import PROGRAM, expect

os.environ["WARPLOOM"] = PROGRAM
try:
    import h5py
    import numpy as np
except ImportError as missing:
    print(f"skipped: {missing}; the package needs Debian's python3-h5py")
    sys.exit(77)

import warploom
from warploom.files import Variable
from warploom.trained import open_trained, read_phi

CONFIG = {"seed": 1, "threads": 1, "task": {"family": "quadratic", "dimension": 4, "batch": 4},
          "rule": {"name": "lstm", "hidden": [3], "momentum": 0, "preprocessing": "none"}, "episode": {"steps": [12]},
          "window": {"steps": 4, "order": "first"}, "outer": {"steps": 6, "units": 2, "learning_rate": 1e-05},
          "trajectory": {"every": 1, "coordinates": 3}}
LAUNCHER = (os.environ["WL_MPIEXEC"], "-n")


def expect_error(code, words, action):
    try:
        action()
    except warploom.ToolError as error:
        expect(error.code == code and words in str(error), f"error {error.code} '{error}', expected {code} '{words}'")
        return
    expect(False, f"no error; expected '{words}'")


def test_train():
    """An output name that contains special characters of the shell must be used unchanged. The digest must not depend
    on the number of ranks, and it must be the same for a configuration in a file and in a dictionary."""
    odd = "a run; touch hacked $(touch hacked)"
    one = warploom.train(CONFIG, odd, quiet=True, settings={"outer.steps": 4, "episode.steps": [8, 12]})
    expect(not os.path.exists("hacked") and one.path.name == odd, "a shell has interpreted a value")
    expect(one.configuration["outer.steps"] == 4 and one.configuration["episode.steps"] == [8, 12], "the configuration of the run does not have the given settings")
    with open("config.yaml", "w", encoding="utf-8") as file:
        json.dump(CONFIG, file)
    two = warploom.train("config.yaml", "two", ranks=2, quiet=True, launcher=LAUNCHER)
    expect_error(75, "", lambda: warploom.train(CONFIG, "three", quiet=True, stop_after=3))
    three = warploom.train(CONFIG, "three", quiet=True, resume=True)
    digests = [run.newest().attributes["digest"] for run in (two, three)]
    expect(digests[0] == digests[1], f"a dictionary, a stop and a resume give other bits: {digests}")
    expect([step for step, _ in three.checkpoints()] == [3, 6], "a resumed run does not have the checkpoints 3 and 6")
    return two


def test_errors():
    expect_error(78, "outer.stepz", lambda: warploom.train({**CONFIG, "outer": {"stepz": 1}}, "bad", quiet=True))
    expect_error(64, "ranks is 0", lambda: warploom.train(CONFIG, "bad", ranks=0))
    expect_error(66, "cannot be started", lambda: warploom.check(CONFIG, program="./nowhere"))
    expect_error(64, "speedup", lambda: warploom.evaluate("two", "e.h5", speedup="suite.yaml"))
    expect_error(66, "nowhere", lambda: warploom.open_run("nowhere"))


def test_check():
    table = warploom.check(CONFIG, quiet=True, directions=2)
    expect(table["passed"] and table["tasks"][0]["blocks"], "a right gradient does not pass")
    expect(not warploom.check(CONFIG, quiet=True, tolerance=1e-30)["passed"], "the check passes with the tolerance 1e-30")


def test_evaluate(run):
    evaluation = warploom.evaluate(run.path, "evaluation.h5", quiet=True, seeds=2, vary=["horizon"])
    expect(evaluation.cases[0].curve.shape[1] == 2 and len(evaluation.cases) > 1, "the options seeds and vary have no effect")


def test_export(run):
    warploom.export_npz(run.path / "optimizer.h5", "phi.npz")
    with np.load("phi.npz") as archive, h5py.File(run.path / "optimizer.h5") as file:
        blocks = {name for name in file["phi"] if not name.startswith("dim_")}
        expect(set(archive) == blocks | {"configuration"}, f"blocks {set(archive)}")
        expect(all(np.array_equal(archive[name], file["phi"][name][()]) for name in blocks), "the exported tensors differ from optimizer.h5")
        expect(str(archive["configuration"]) == file.attrs["configuration"].decode(), "the exported configuration differs from optimizer.h5")


def test_plots(run):
    """Checks the functions that draw figures. These functions must not leave figures open in pyplot, and they must
    not change the caller's style."""
    try:
        import matplotlib
    except ImportError:
        print("matplotlib is not installed: pictures are not tested")
        return
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    grid = plt.rcParams["axes.grid"]
    expect_error(66, "not evaluated yet", run.plot_evaluation)
    warploom.evaluate(run.path, run.path / "evaluation.h5", quiet=True, seeds=2)
    expect_error(64, "unknown part 'nothing'", lambda: run.plot_trajectories(["nothing"]))
    losses = run.plot_training(smooth=1).axes[0].get_lines()
    expect(any(np.allclose(line.get_ydata(), run.metrics["meta_loss"]) for line in losses), "no line of the picture shows the meta-loss")
    for figure in (run.plot_evaluation(), run.plot_trajectories(["loss"])):
        figure.savefig("figure.png")
        expect(len(figure.axes) >= 1 and os.path.getsize("figure.png") > 10000, "a picture is empty")
    expect(not plt.get_fignums() and plt.rcParams["axes.grid"] == grid, "figures stay open, or the style stays")


def test_average():
    """If outer.average is set, reading a checkpoint must return the average of phi, which optimizer.h5 also
    contains."""
    run = warploom.train({**CONFIG, "outer": {**CONFIG["outer"], "learning_rate": 0.1, "average": 0.9}}, "mean", quiet=True)
    blocks = []
    for path in (run.path, run.path / "optimizer.h5"):
        with open_trained(path) as file:
            blocks.append(read_phi(file)["lstm1.weight"])
    with run.newest() as checkpoint:
        last = checkpoint["phi/lstm1.weight"]
    expect(np.array_equal(*blocks) and not np.allclose(blocks[0], last), "the last meta-parameters, not the average")


def same(variable, dataset, name):
    """Checks that a variable has the values, dimensions and units that h5py reads from the file."""
    expect(isinstance(variable, Variable) and np.array_equal(variable.values, dataset[()], equal_nan=True), f"{name}: values")
    expect(variable.units == dataset.attrs["units"].decode() and variable.long_name, f"{name}: units or long name")
    expect(len(variable.dimensions) == dataset.ndim, f"{name}: dimensions {variable.dimensions}")


def test_files(run):
    with run.trajectory() as trajectory, h5py.File(run.path / "trajectory.h5") as direct:
        rows, metrics = trajectory.variables(), trajectory.variables("metrics")
        for name, variable in rows.items():
            same(variable, direct[name], name)
        expect(rows["gradient"].dimensions == ("record", "step", "coordinate"), rows["gradient"].dimensions)
        expect(metrics["wait_seconds"].units == "s" and metrics["meta_loss"].dimensions == ("meta_step",), "metrics")
        expect(np.allclose(metrics["meta_loss"].values, run.metrics["meta_loss"]), "metrics of both files differ")
        expect_error(65, "no group", lambda: trajectory.variables("nothing"))
        test_xarray(run, trajectory)
    with run.newest() as checkpoint:
        expect(checkpoint.variables("phi")["lstm1.weight"].values.shape == (12, 4), "phi")


def test_xarray(run, trajectory):
    try:
        import xarray
    except ImportError:
        print("xarray is not installed: not tested")
        return
    for group in ("/", "metrics"):
        with xarray.open_dataset(run.path / "trajectory.h5", engine="h5netcdf", group=group) as direct:
            ours = trajectory.to_xarray(group)
            expect(set(ours.variables) == set(direct.variables), f"{group}: {set(ours.variables) ^ set(direct.variables)}")
            expect(set(ours.coords) == set(direct.coords), f"{group}: coordinates {set(ours.coords)}")
            for name, variable in ours.variables.items():
                theirs = direct.variables[name]
                expect(variable.dims == theirs.dims and np.array_equal(variable.values, theirs.values, equal_nan=True) and
                       variable.attrs["units"] == theirs.attrs["units"], f"{group}: {name} differs from xarray's reading")


def test_more_xarray(run):
    """Checks the metrics of a run and one case of an evaluation. The units of the metrics must be the units that the
    files contain."""
    try:
        import xarray  # noqa: F401
    except ImportError:
        print("xarray is not installed: not tested")
        return
    metrics = run.metrics_to_xarray()
    with run.trajectory() as trajectory, run.evaluation() as evaluation:
        for name, variable in trajectory.variables("metrics").items():
            if name in metrics and name != "meta_step":
                expect(metrics[name].attrs["units"] == variable.units, f"{name}: {metrics[name].attrs} not {variable.units}")
        case = evaluation.cases[0]
        table = evaluation.case_to_xarray(case.name)
        expect(np.array_equal(table.curve.sel(rule=case.rules[1]).values, case.curve[1]), "the table has the curve of another rule")
        expect_error(64, "no case 'other'", lambda: evaluation.case_to_xarray("other"))
    expect(metrics.sizes["meta_step"] == len(run.metrics["meta_loss"]) and float(metrics.meta_loss[0]) == run.metrics["meta_loss"][0],
           "metrics are lost")


def main():
    run = test_train()
    test_errors()
    test_check()
    test_evaluate(run)
    test_files(run)
    test_export(run)
    test_average()
    test_plots(run)
    test_more_xarray(run)
    print("ok")


main()
