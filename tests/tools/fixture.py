"""Trains small runs and runs the tools as commands. A failed check ends the test.

wl_add_script_test sets WL_BIN, WL_MPIEXEC and WL_SOURCE, and the working directory is the scratch folder."""
import contextlib
import io
import os
import runpy
import subprocess
import sys
from pathlib import Path

sys.dont_write_bytecode = True
SOURCE, PROGRAM = Path(os.environ["WL_SOURCE"]), os.environ["WL_BIN"]
TOOLS = SOURCE / "tools"
sys.path.insert(0, str(TOOLS))
os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
# all tests of the tools share this font cache of matplotlib
os.environ["MPLCONFIGDIR"] = os.path.join(os.path.dirname(os.getcwd()), "matplotlib")

try:
    import h5py  # noqa: F401
    import matplotlib  # noqa: F401
except ImportError as missing:
    print(f"skipped: {missing}; the tools need Debian's python3-h5py and python3-matplotlib")
    sys.exit(77)

QUADRATIC = """
seed: 1
threads: 1
task: {family: quadratic, dimension: 5, batch: 8}
rule: {name: lstm, hidden: [4], preprocessing: log, output_scale: 0.1}
episode: {steps: 12}
window: {steps: 4, weights: sum, loss: log}
outer: {steps: 60, units: 3, learning_rate: 1e-2, clip_norm: 5}
checkpoint: {every: 10, keep: 10}
trajectory: {every: 1, units: 2, coordinates: 5}
"""
ROSENBROCK = """
seed: 1
threads: 1
task: {family: rosenbrock, dimension: 2}
rule: {name: sgd, rate: 0.001}
precondition: {name: diagonal}
initialisation: {name: maml}
episode: {steps: 12}
window: {steps: 4, loss: log}
outer: {steps: 60, units: 2, learning_rate: 1e-3}
checkpoint: {every: 15, keep: 10}
trajectory: {every: 1, units: 1, coordinates: 2, snapshot_stride: 1}
"""


def fail(message):
    print(f"FAILED: {message}", file=sys.stderr)
    sys.exit(1)


def expect(condition, message):
    if not condition:
        fail(message)


def expect_equal(what, expected, got):
    if not expected == got:
        fail(f"{what}: expected {expected!r}, got {got!r}")


def program(*arguments, ranks=1, code=0):
    """Runs warploom with the given arguments and returns its standard output."""
    command = [os.environ["WL_MPIEXEC"], "-n", str(ranks), PROGRAM] if ranks > 1 else [PROGRAM]
    done = subprocess.run([*command, *map(str, arguments)], capture_output=True, text=True, timeout=120)
    if done.returncode != code:
        fail(f"warploom {' '.join(map(str, arguments))}: exit {done.returncode}, expected {code}\n{done.stderr}")
    return done.stdout


def train(text, name, *sets, ranks=1, code=0, options=()):
    """Trains a run with the configuration `text` and the output folder `name`."""
    Path(f"{name}.yaml").write_text(text)
    program("train", f"{name}.yaml", "--quiet", "--set", f"output={name}", *[x for s in sets for x in ("--set", s)],
            *options, ranks=ranks, code=code)
    return name


def evaluate(run, *options):
    program("eval", run, "--seeds", "4", "--tune-units", "2", "--no-picture", "--quiet", *options)
    return f"{run}/evaluation.h5"


def run_tool(name, *arguments, **options):
    return subprocess.run([sys.executable, TOOLS / name, *map(str, arguments)], capture_output=True, text=True, timeout=120,
                          **options)


def tool(name, *arguments):
    """Runs a tool, which must succeed, and returns its standard output."""
    done = run_tool(name, *arguments)
    if done.returncode != 0:
        fail(f"{name} {' '.join(map(str, arguments))}: exit {done.returncode}\n{done.stderr}")
    return done.stdout


def run_inside(name, arguments):
    """Runs a tool in this Python process, in which matplotlib is already loaded. Returns the exit code, standard
    output and standard error of the tool."""
    before, sys.argv = sys.argv, [str(TOOLS / name), *map(str, arguments)]
    try:
        with contextlib.redirect_stderr(io.StringIO()) as errors, contextlib.redirect_stdout(io.StringIO()) as out:
            runpy.run_path(sys.argv[0], run_name="__main__")
    except SystemExit as end:
        return end.code or 0, out.getvalue(), errors.getvalue()
    finally:
        sys.argv = before
    return 0, out.getvalue(), errors.getvalue()


def tool_inside(name, *arguments):
    """Runs a tool in this Python process. The tool must succeed. Returns the standard output of the tool."""
    code, out, errors = run_inside(name, arguments)
    expect_equal(f"exit code of {name} {' '.join(map(str, arguments))}; it says: {errors}; code", 0, code)
    return out


def tool_fails(code, words, name, *arguments):
    """Runs a tool and checks that it ends with the exit code `code`. Standard error must contain exactly one line,
    with every word of `words`."""
    got, _, errors = run_inside(name, arguments)
    call = f"{name} {' '.join(map(str, arguments))}"
    expect_equal(f"exit code of {call}; it says: {errors}; code", code, got)
    lines = errors.strip().splitlines()
    expect_equal(f"lines of the message of {call}\n{errors}", 1, len(lines))
    expect(lines[0].startswith(f"{name}: error: "), f"{call} does not begin with its name: {lines[0]}")
    for word in words:
        expect(word in lines[0], f"{call} does not say '{word}': {lines[0]}")
