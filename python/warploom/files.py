"""Reads the files that Warploom writes: run directories, checkpoints, evaluations, trajectories.

The module uses only the groups and datasets that docs/hdf5-schema.md documents. The tools of the source tree use this
module, too.

    import warploom
    run = warploom.open_run("runs/quickstart")
    run.metrics["meta_loss"]                                         # one value for each meta-step
    run.trajectory().variables("metrics")["wait_seconds"].units      # "s"
    run.trajectory().to_xarray().loss.plot(x="step", hue="record")   # needs xarray
    run.evaluation().cases[0].curve                                  # (rule, seed, inner_step)
"""
import argparse
import contextlib
import dataclasses
import json
import os
import re
import sys
from pathlib import Path

# The program renames a file only when it is complete and never changes it afterwards, so no lock is needed. Many file
# systems of clusters have no locks.
os.environ.setdefault("HDF5_USE_FILE_LOCKING", "FALSE")

import h5py
import numpy as np

from . import footer
from .errors import CANNOT_CREATE, DATA, IO, NO_INPUT, NO_PERMISSION, USAGE, ToolError

SCHEMA_VERSION = 3
# Keys that control the output and the execution of a run. These keys have no effect on the result of the run.
# tests/cli/test_json_schema.py compares them with the program's keys.
BOOKKEEPING = ("output", "threads", "checkpoint.", "trajectory.", "outer.patience", "outer.validate", "window.memory",
               "window.storage", "replay.spill", "task.module", "task.python", "task.timeout")


# ---- command lines -------------------------------------------------------------------------

class Parser(argparse.ArgumentParser):
    """Parses the command line of a tool. The help starts with the first paragraph of the tool's docstring. The help
    prints the other paragraphs after the options."""

    def __init__(self, doc):
        summary, _, rest = doc.strip().partition("\n\n")
        super().__init__(description=summary, epilog=rest,
                         formatter_class=argparse.RawDescriptionHelpFormatter)

    def error(self, message):
        self.exit(USAGE, f"{self.prog}: error: {message}; see {self.prog} --help\n")

    def parse_args(self, *given, **settings):
        arguments = super().parse_args(*given, **settings)
        values = dict(vars(arguments))
        outputs = [values.pop(name, None) for name in ("output", "json")]
        inputs = [item for value in values.values() for item in (value if isinstance(value, list) else [value])
                  if isinstance(item, (str, os.PathLike)) and os.path.exists(item)]
        for output in outputs:
            if output and output != "-":
                check_output(str(output), inputs)
        return arguments


# ---- outputs -------------------------------------------------------------------------------

RUN_PARTS = re.compile(r"checkpoints|trajectory(\.h5)?|metrics\.jsonl|lock|config\.yaml|optimizer\.h5|evaluation\.h5"
                       r"|latest|(step|part)-\d*\.h5")


def find_run(path):
    """Returns the run directory that is `path` or contains `path`, or None if there is none."""
    path = Path(os.path.abspath(path))
    for folder in (path, *path.parents):
        if (folder / "lock").is_file() and ((folder / "config.yaml").exists() or (folder / "checkpoints").exists()):
            return folder
    return None


def check_output(output, inputs):
    """Raises a ToolError if the output is an input, if the output has the name of a file of a run, or if the output is
    in a run directory that the tool does not read."""
    for path in inputs:
        if os.path.exists(output) and os.path.samefile(output, path):
            raise ToolError(CANNOT_CREATE, f"{output}: is the input {path}: choose another name")
    run = find_run(output)
    if run is None:
        return
    if run not in [find_run(path) for path in inputs]:
        raise ToolError(CANNOT_CREATE, f"{output}: is in the run directory {run}, which is not an input of this tool: "
                                       "choose a name outside of it")
    if RUN_PARTS.fullmatch(os.path.basename(output)):
        raise ToolError(CANNOT_CREATE, f"{output}: would replace a file of the run {run}: choose another name")


def run_tool(main):
    """Ends the process with the exit code of `main`, or with an error message of one line."""
    name = os.path.basename(sys.argv[0])
    try:
        code = main() or 0
        sys.stdout.flush()
    except ToolError as error:
        print(f"{name}: error: {error}", file=sys.stderr)
        code = error.code
    except BrokenPipeError:  # the reader of the pipe, for example `head`, has ended
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except OSError as error:
        print(f"{name}: error: {error.filename or 'a file'}: {error.strerror or error}", file=sys.stderr)
        code = NO_PERMISSION if isinstance(error, PermissionError) else IO
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)


def require_path(path):
    if not os.path.exists(path):
        raise ToolError(NO_INPUT, f"{path}: no such file or directory")
    return Path(path)


def open_output(path):
    """Opens a file for writing text. The path "-" is standard output."""
    if path == "-":
        return contextlib.nullcontext(sys.stdout)
    try:
        return open(path, "w", encoding="utf-8", newline="")
    except OSError as error:
        raise ToolError(CANNOT_CREATE, f"{path}: cannot be written: {error.strerror}") from error


# ---- statistics ----------------------------------------------------------------------------

_T975 = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228]


def student(degrees):
    """Returns the 97.5 % quantile of Student's t. Above ten degrees of freedom, the quantile is computed by formula
    26.7.5 of Abramowitz and Stegun."""
    if degrees < 1:
        return float("nan")
    if degrees <= len(_T975):
        return _T975[degrees - 1]
    z, v = 1.959964, float(degrees)
    return z + (z**3 + z) / (4 * v) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * v * v)


def interval(values, axis=0):
    """Returns the mean along an axis and the half width of the 95 % interval of the mean. Non-finite values are left
    out."""
    values = np.asarray(values, dtype=float)
    finite = np.isfinite(values)
    count = finite.sum(axis)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(finite, values, 0).sum(axis) / count
        spread = np.where(finite, values - np.expand_dims(mean, axis), 0) ** 2
        deviation = np.sqrt(spread.sum(axis) / (count - 1))
        factors = np.array([student(n - 1) for n in range(values.shape[axis] + 1)])
        half = factors[count] * deviation / np.sqrt(count)
    return mean, np.where(count > 1, half, np.nan)


def geometric_interval(values, axis=0):
    """Returns the geometric mean along an axis and the ends of its 95 % interval. The scale is logarithmic because
    losses span many orders of magnitude."""
    with np.errstate(invalid="ignore", divide="ignore"):
        mean, half = interval(np.log10(values), axis)
    return 10**mean, 10 ** (mean - half), 10 ** (mean + half)


# ---- configurations ------------------------------------------------------------------------

def _scalar(text):
    """Parses a value of the resolved YAML. The value is a number, a boolean, a string with or without quotes, or a list
    of such values."""
    text = text.strip()
    if text.startswith("[") and text.endswith("]"):
        inner = text[1:-1].strip()
        return [_scalar(part) for part in re.split(r",\s*(?=(?:[^\"]*\"[^\"]*\")*[^\"]*$)", inner)] if inner else []
    if text.startswith('"') and text.endswith('"') and len(text) >= 2:
        return json.loads(text)
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


def parse_configuration(text):
    """Returns the resolved configuration as {"outer.steps": 600, ...}. For a mixture, the keys of the tasks start with
    task[0], task[1] and so on.

    The program writes resolved files in a fixed form: sections of `key: value` lines, lists in brackets, and `-` before
    each task of a mixture.
    """
    flat, section, number = {}, "", 0
    for line in text.splitlines():
        match = re.match(r"^(\s*)(- )?([A-Za-z_0-9]+):(?:\s+(.*))?$", line)
        if not match:
            continue
        indent, item, key, value = match.groups()
        if not indent and not item and not value:
            section, number = key, -1
            continue
        if not indent and not item:
            section = ""
        number += item is not None
        prefix = f"{section}[{number}]." if section and number >= 0 else f"{section}." if section else ""
        flat[prefix + key] = _scalar(value or "")
    return flat


def differences(configurations):
    """Returns the keys whose values differ between the configurations, in order of appearance: {key: [value, ...]}."""
    keys = dict.fromkeys(key for c in configurations for key in c)
    rows = {key: [c.get(key) for c in configurations] for key in keys}
    return {key: row for key, row in rows.items() if any(value != row[0] for value in row)}


def is_bookkeeping(key):
    """Returns True if a key has no effect on the result of a run. `key` has the form that parse_configuration returns,
    such as task.python or task[1].python."""
    key = re.sub(r"\[\d+\]", "", key)
    return any(key == k or (k.endswith(".") and key.startswith(k)) for k in BOOKKEEPING)


def show(value):
    """Returns a configuration value as a readable string."""
    if value is None:
        return "(absent)"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "[" + ", ".join(show(v) for v in value) + "]"
    return f"{value:g}" if isinstance(value, float) else str(value) if value != "" else '""'


# ---- HDF5 files ----------------------------------------------------------------------------

def text_of(value):
    """Converts an attribute or a zero-padded array of bytes to a string."""
    if isinstance(value, np.ndarray):
        value = value.astype(np.uint8).tobytes()
    if isinstance(value, bytes):
        value = value.split(b"\0")[0].decode("utf-8", "replace")
    return str(value)


@dataclasses.dataclass
class Variable:
    """A dataset with its dimensions, units and long name."""
    values: np.ndarray
    dimensions: tuple
    units: str
    long_name: str


class File:
    """An open, complete file of Warploom. Before the file is opened, its bytes are compared with the hashes in its
    footer. `kind` is the required kind of file, or None for any kind."""

    def __init__(self, path, kind=None):
        self.path = require_path(path)
        if self.path.is_dir():
            raise ToolError(DATA, f"{path}: is a folder, but a file is expected")
        footer.check(self.path)
        try:
            self.h5 = h5py.File(self.path, "r")
        except OSError as error:
            raise ToolError(DATA, f"{path}: is not a readable HDF5 file") from error
        self.attributes = {key: text_of(value) for key, value in self.h5.attrs.items()}
        self._check(kind)

    def _check(self, kind):
        if self.attributes.get("format") != "warploom" or "complete" not in self.attributes:
            raise ToolError(DATA, f"{self.path}: is an HDF5 file that Warploom did not write")
        if int(self.attributes.get("schema_version", 0)) > SCHEMA_VERSION:
            raise ToolError(DATA, f"{self.path}: schema version {self.attributes['schema_version']}, but these tools "
                                  f"read versions up to {SCHEMA_VERSION}; use the tools of the program that wrote the "
                                  "file")
        if kind and self.kind != kind:
            raise ToolError(DATA, f"{self.path}: has the kind '{self.kind}', but a file of the kind '{kind}' is needed")

    @property
    def kind(self):
        return self.attributes.get("kind", "")

    @property
    def configuration(self):
        return parse_configuration(self.attributes.get("configuration", ""))

    def __contains__(self, name):
        return name in self.h5

    def __getitem__(self, name):
        return self.h5[name][()]

    def variables(self, group="/"):
        """Returns {name: Variable} of the datasets of a group, without its subgroups."""
        if not isinstance(self.h5.get(group), h5py.Group):
            raise ToolError(DATA, f"{self.path}: contains no group '{group}'")
        return {name: Variable(item[()], tuple(dimension_names(item)), text_of(item.attrs.get("units", "1")),
                               text_of(item.attrs.get("long_name", "")))
                for name, item in self.h5[group].items() if isinstance(item, h5py.Dataset) and not is_bare_scale(item)}

    def to_xarray(self, group="/"):
        """Returns the datasets of a group as an xarray.Dataset with the attributes of the file."""
        import xarray
        return xarray.Dataset({name: (v.dimensions, v.values, {"units": v.units, "long_name": v.long_name})
                               for name, v in self.variables(group).items()}, attrs=self.attributes)

    def datasets(self):
        """Returns the names of all datasets, without dimension scales that contain no coordinates."""
        found = []

        def visit(name, item):
            if isinstance(item, h5py.Dataset) and not is_bare_scale(item):
                found.append(name)
        self.h5.visititems(visit)
        return found

    def close(self):
        self.h5.close()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()


def is_bare_scale(dataset):
    return text_of(dataset.attrs.get("NAME", "")).startswith("This is a netCDF dimension but not a netCDF variable")


def dimension_names(dataset):
    """Returns the names of a dataset's dimensions. These are the names of the dimension scales that are attached to the
    dataset."""
    names = []
    for d in range(dataset.ndim):
        scales = scales_of(dataset, d)
        names.append(scales[0].name.rsplit("/", 1)[-1] if scales else
                     dataset.name.rsplit("/", 1)[-1] if h5py.h5ds.is_scale(dataset.id) else f"dim_{d}")
    return names


def scales_of(dataset, d):
    """Returns the dimension scales of dimension d. The list is empty if the dataset is itself a scale."""
    return [] if h5py.h5ds.is_scale(dataset.id) else list(dataset.dims[d].values())


# ---- evaluations ---------------------------------------------------------------------------

VERDICTS = ("wins", "ties", "loses", "fails")


class Case:
    """The results of all rules under one setting of an evaluation. Rule 0 is the learned rule."""

    def __init__(self, group):
        self.name = text_of(group["name"][()])
        self.rules = [text_of(row) for row in group["rule_name"][()]]
        self.curve = group["curve"][()]                        # loss, an array (rule, seed, inner_step)
        self.final = group["final_loss"][()]                   # final loss, an array (rule, seed)
        self.heldout = group["heldout_loss"][()]
        self.accuracy = group["heldout_accuracy"][()]
        self.rate = group["learning_rate"][()]                 # learning rate of each rule; NaN for the learned rule
        self.diverged = group["diverged"][()]                  # number of diverged runs of each rule
        self.start, self.difference, self.half, verdict = group["summary"][()]
        self.gap, self.gap_half = group["difference"][()]      # final loss: learned rule minus best hand-designed rule
        self.verdict = VERDICTS[int(verdict)]

    @property
    def seeds(self):
        return self.curve.shape[1]

    @property
    def steps(self):
        return self.curve.shape[2]

    @property
    def best(self):
        """Returns the hand-designed rule with the lowest mean final loss. Rules that diverged are left out."""
        means = np.mean(self.final[1:], axis=1)
        return 1 + int(np.argmin(np.where(np.isfinite(means), means, np.inf)))


class Evaluation(File):
    """A file that `warploom eval` wrote. If the path is a run directory, the file evaluation.h5 in it is opened."""

    def __init__(self, path):
        path = require_path(path)
        if path.is_dir():
            folder, path = path, path / "evaluation.h5"
            if not path.exists():
                raise ToolError(NO_INPUT, f"{folder}: not evaluated yet: 'warploom eval {folder}' writes {path}")
        super().__init__(path, "evaluation")
        names = sorted(name for name in self.h5 if name.startswith("case-"))
        self.cases = [Case(self.h5[name]) for name in names]
        if not self.cases:
            raise ToolError(DATA, f"{path}: has no case that could be run")

    @property
    def title(self):
        return describe_task(self.configuration)

    def case_to_xarray(self, name):
        """Returns a case as an xarray.Dataset. The values of the coordinate `rule` are the names of the rules."""
        names = {case.name: f"case-{i:02d}" for i, case in enumerate(self.cases)}
        if name not in names:
            raise ToolError(USAGE, f"{self.path}: has no case '{name}'; it has {', '.join(names)}")
        case = self.cases[list(names).index(name)]
        return self.to_xarray(names[name]).drop_vars(["name", "rule_name"]).assign_coords(rule=list(case.rules))


# ---- trajectories --------------------------------------------------------------------------

class Trajectory(File):
    """The recorded windows of a run. Each recorded quantity is an array, and each quantity that was not recorded is
    `None`."""

    COLUMNS = ("meta_step", "unit", "episode", "task", "t0", "steps", "loss", "outer_loss", "gradient_norm",
               "update_norm", "gradient", "update", "hidden", "snapshot_step", "theta")

    def __init__(self, path):
        super().__init__(path, "trajectory")
        if "meta_step" not in self or not len(self["meta_step"]):
            raise ToolError(DATA, f"{path}: no inner run is recorded yet: records are written with each checkpoint "
                                  "(key checkpoint.every) and at the end of the run")

    def __getattr__(self, name):
        if name not in self.COLUMNS:
            raise AttributeError(name)
        value = self[name] if name in self else None
        setattr(self, name, value)
        return value

    def episodes(self, unit=None):
        """Returns the completely recorded episodes: [(meta_step of the first window, unit, [record, ...])]."""
        groups = {}
        for i, key in enumerate(zip(self.episode, self.unit)):
            if unit is None or key[1] == unit:
                groups.setdefault(key, []).append(i)
        return [(int(self.meta_step[rows[0]]), int(key[1]), rows) for key, rows in groups.items()]

    def joined(self, rows, name):
        """Returns the inner steps of an episode and the values of one quantity at these steps."""
        steps = np.concatenate([self.t0[i] + np.arange(self.steps[i]) for i in rows])
        return steps, np.concatenate([getattr(self, name)[i][:self.steps[i]] for i in rows])


# ---- runs ----------------------------------------------------------------------------------

def describe_task(c):
    """Returns a short description of the tasks of a configuration."""
    def family(prefix):
        plugin = c.get(f"{prefix}.plugin")
        return os.path.basename(plugin) if plugin else str(c.get(f"{prefix}.family", "task"))

    if "task[0].proportion" in c:
        prefixes = [k.rpartition(".")[0] for k in c if re.match(r"task\[\d+\]\.proportion$", k)]
        return "mixture of " + ", ".join(map(family, prefixes))
    words = [family("task")]
    for key in ("data", "distribution", "widths", "dimension", "activation", "shots", "frequency"):
        value = c.get(f"task.{key}")
        if isinstance(value, list):
            words.append(f"{key} " + "-".join(map(str, value)))
        elif value is not None:
            words.append(f"{key} {value}" if isinstance(value, (int, float)) else str(value))
    return ", ".join(words)


class Run:
    """A run directory."""

    def __init__(self, path):
        self.path = require_path(path)
        if not self.path.is_dir():
            raise ToolError(DATA, f"{path}: is a file, but a run directory is expected")
        if not (self.path / "config.yaml").exists():
            raise ToolError(DATA, f"{path}: not a run directory: it has no config.yaml")
        self.text = (self.path / "config.yaml").read_text(encoding="utf-8")
        self.configuration = parse_configuration(self.text)
        self._metrics = None

    @property
    def name(self):
        return self.path.resolve().name

    @property
    def title(self):
        return describe_task(self.configuration)

    @property
    def heading(self):
        return self.title if self.title.startswith(self.name) else f"{self.name}: {self.title}"

    @property
    def metrics(self):
        """Returns {"meta_step": array, "meta_loss": array, ...}.
        The JSON value null becomes NaN. An incomplete last line is left out."""
        if self._metrics is None:
            self._metrics = read_metrics(self.path / "metrics.jsonl")
        if self._metrics is None:
            raise ToolError(NO_INPUT, f"{self.path}: no meta-step is complete yet (no metrics.jsonl)")
        return self._metrics

    def metrics_to_xarray(self):
        """Returns the metrics as an xarray.Dataset over meta_step.
        Metrics with _seconds in their names have the unit s, and all other metrics have the unit 1."""
        import xarray
        metrics = dict(self.metrics)
        steps = metrics.pop("meta_step")
        columns = {name: ("meta_step", values, {"units": "s" if "_seconds" in name else "1"})
                   for name, values in metrics.items()}
        return xarray.Dataset(columns, {"meta_step": steps}, {"run": self.name, "configuration": self.text})

    @property
    def inner_steps(self):
        """Returns T, the number of steps of the longest episode."""
        steps = self.configuration.get("episode.steps", [0])
        return steps[-1] if isinstance(steps, list) else steps

    @property
    def windows(self):
        """Returns the number of meta-steps of one episode.
        A metric that depends on the progress of the episode has this period."""
        if self.configuration.get("outer.every") == "episode":
            return 1
        return max(1, -(-self.inner_steps // max(1, self.configuration.get("window.steps", 1))))

    def checkpoints(self):
        """Returns [(meta-step, path)] of the checkpoints, from the oldest to the newest."""
        found = []
        for path in (self.path / "checkpoints").glob("step-*.h5"):
            match = re.fullmatch(r"step-(\d+)\.h5", path.name)
            if match:
                found.append((int(match.group(1)), path))
        return sorted(found)

    def newest(self):
        """Opens and returns the newest readable checkpoint, or returns None."""
        for _, path in reversed(self.checkpoints()):
            try:
                return File(path, "checkpoint")
            except ToolError as error:
                print(f"left out: {error}", file=sys.stderr)
        return None

    def trajectory(self):
        path = self.path / "trajectory.h5"
        if not path.exists():
            raise ToolError(NO_INPUT, f"{self.path}: no inner run was recorded: set the key trajectory.every, "
                                      "as in 'warploom train CONFIG --set trajectory.every=50'")
        return Trajectory(path)

    def evaluation(self):
        """Returns the evaluation of the run, or None if there is none."""
        return Evaluation(self.path) if (self.path / "evaluation.h5").exists() else None

    def plot_training(self, smooth=None):
        """Returns a matplotlib Figure of the losses, gradients and times of the training.
        `smooth` is the number of meta-steps of the running mean."""
        from .plots import training
        return _shown_once(training.draw([self], smooth))

    def plot_trajectories(self, show=None):
        """Returns a Figure of the recorded inner runs.
        `show` is the list of the parts to draw, such as ["loss", "rule"], or None for all recorded parts."""
        from .plots import trajectories
        unknown = [name for name in show or () if name not in trajectories.PARTS]
        if unknown:
            raise ToolError(USAGE, f"show: unknown part '{unknown[0]}'; accepted are {', '.join(trajectories.PARTS)}")
        with self.trajectory():  # opens the file, or raises an error with the reason
            figure, reasons = trajectories.draw(self, show)
        if figure is None or (show and reasons):
            raise ToolError(NO_INPUT, "; ".join(reasons))
        return _shown_once(figure)

    def plot_evaluation(self, case=None, smooth=1):
        """Returns a Figure of the learned rule and the hand-designed rules.
        `case` is the name of the setting to draw, or None for all settings."""
        from .plots import evaluation
        with Evaluation(self.path) as file:
            return _shown_once(evaluation.draw(file, case, smooth))


def _shown_once(figure):
    """Closes the figure and returns it. A notebook then shows the figure only once, as the result of the cell."""
    import matplotlib.pyplot as plt
    plt.close(figure)
    return figure


def read_metrics(path, offset=0):
    """Returns the columns of a metrics file, or None if the file does not exist or is empty."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return None
    rows = []
    for line in lines:
        try:
            rows.append(json.loads(line))
        except ValueError:
            continue  # the training has written only a part of this line
    rows = [row for row in rows[offset:] if isinstance(row, dict) and "meta_step" in row]
    if not rows:
        return None
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: np.array([np.nan if row.get(name) is None else row[name] for row in rows]) for name in names}


def step_phases(metrics):
    """Returns the seconds of each phase, averaged over ranks, as an array (phase, meta-step). The phases are the
    computation, the waiting, the sum over ranks, and the access to files."""
    waiting = metrics["wait_seconds"]
    return np.stack([metrics["compute_seconds"] - waiting, waiting, metrics["reduce_seconds"], metrics["io_seconds"]])


def step_seconds(metrics):
    """Returns the wall time of each meta-step, without the time of checkpoints."""
    return step_phases(metrics).sum(axis=0)
