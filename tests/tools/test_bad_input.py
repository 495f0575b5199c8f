"""Checks the error messages of the tools for wrong input. A tool must print one line that says how to correct the
input, must print no traceback, and must end with an exit code of sysexits.h. The test also checks --help."""
import os
import shutil
import subprocess
import sys

from fixture import QUADRATIC, TOOLS, evaluate, expect, expect_equal, tool, tool_fails, train

TOOL_NAMES = ["plot_evaluation.py", "plot_training.py", "plot_trajectories.py", "compare_runs.py", "report.py", "export_csv.py",
              "watch.py", "ablate.py", "plot_speedup.py"]
USAGE, DATA, NO_INPUT, CANNOT_CREATE = 64, 65, 66, 73


def second(name):
    """Returns the operands that a tool requires after its first operand."""
    return ["run"] if name == "compare_runs.py" else []


def check_help():
    for name in TOOL_NAMES:
        text = tool(name, "--help")
        for word in ("usage:", "Examples:", name, "--help"):
            expect(word in text, f"{name} --help lacks '{word}'")
        expect(os.access(TOOLS / name, os.X_OK), f"{name} cannot be executed")
        tool_fails(USAGE, ["--help"], name)
        tool_fails(USAGE, ["--colour"], name, "run", *second(name), "--colour", "red")


def check_missing_packages():
    """If Python's site packages are missing, a tool must name the packages to install and must print no traceback."""
    for name in TOOL_NAMES:
        done = subprocess.run([sys.executable, "-S", TOOLS / name, "run"], capture_output=True, text=True, timeout=60)
        expect_equal(f"{name} without packages", 69, done.returncode)
        expect("has no numpy" in done.stderr and "python3-h5py" in done.stderr and done.stderr.count("\n") == 1,
               f"{name} without packages says: {done.stderr}")


def check_files():
    with open("run/evaluation.h5", "rb") as file:
        whole = file.read()
    with open("half.h5", "wb") as file:
        file.write(whole[:len(whole) // 2])
    with open("text.h5", "w") as file:
        file.write("no HDF5\n")
    os.makedirs("folder")
    for name in TOOL_NAMES:
        tool_fails(NO_INPUT, ["nowhere", "no such file"], name, "nowhere", *second(name))
    for name in ("plot_evaluation.py", "export_csv.py"):
        tool_fails(DATA, ["half.h5", "damaged"], name, "half.h5")
        tool_fails(DATA, ["text.h5"], name, "text.h5")
    tool_fails(DATA, ["checkpoint", "evaluation"], "plot_evaluation.py", "run/checkpoints/step-00000010.h5")
    for name in ("plot_training.py", "plot_trajectories.py", "compare_runs.py", "report.py", "watch.py", "export_csv.py"):
        tool_fails(DATA, ["folder", "config.yaml"], name, "folder", *second(name))
    tool_fails(DATA, ["run directory"], "plot_training.py", "run/evaluation.h5")
    tool_fails(DATA, ["nothing", "case-00/curve"], "export_csv.py", "run/evaluation.h5", "nothing")
    tool_fails(USAGE, ["shapes"], "export_csv.py", "run/evaluation.h5", "case-00/curve", "case-00/final_loss")


def check_missing_parts():
    train(QUADRATIC, "bare", "trajectory.every=0", "checkpoint.keep=2")
    tool_fails(NO_INPUT, ["trajectory.every"], "plot_trajectories.py", "bare", "--show", "loss")
    tool_fails(NO_INPUT, ["trajectory.every", "checkpoint.keep"], "plot_trajectories.py", "bare")
    tool_fails(NO_INPUT, ["warploom eval bare"], "plot_evaluation.py", "bare")
    tool_fails(NO_INPUT, ["trajectory.snapshot_stride"], "plot_trajectories.py", "run", "--show", "phase")
    train(QUADRATIC, "blind", "trajectory.coordinates=0")
    tool_fails(NO_INPUT, ["trajectory.coordinates"], "plot_trajectories.py", "blind", "--show", "rule")
    os.makedirs("begun")
    shutil.copy("run/config.yaml", "begun/config.yaml")
    for name in ("plot_training.py", "compare_runs.py", "report.py", "export_csv.py"):
        tool_fails(NO_INPUT, ["begun", "no meta-step"], name, "begun", *second(name))


def check_arguments():
    tool_fails(USAGE, ["case-x", "trained"], "plot_evaluation.py", "run", "--case", "case-x")
    tool_fails(USAGE, ["curves", "accepted"], "plot_trajectories.py", "run", "--show", "curves")
    tool_fails(USAGE, ["two"], "compare_runs.py", "run")
    tool_fails(USAGE, ["--once"], "watch.py", "run", "--json", "-")
    for name in ("plot_evaluation.py", "plot_training.py", "plot_trajectories.py"):
        tool_fails(USAGE, [".png", "picture.jpeg"], name, "run", "--output", "picture.jpeg")
        tool_fails(CANNOT_CREATE, ["no-folder"], name, "run", "--output", "no-folder/picture.png")
    tool_fails(CANNOT_CREATE, ["metrics.jsonl"], "export_csv.py", "run", "--output", "run/metrics.jsonl")
    tool_fails(CANNOT_CREATE, ["is the input"], "export_csv.py", "run/trajectory.h5", "loss", "--output", "run/trajectory.h5")
    tool_fails(CANNOT_CREATE, ["outside"], "compare_runs.py", "run", "run", "--json", "bare/table.json")
    tool_fails(CANNOT_CREATE, ["no-folder"], "report.py", "run", "--output", "no-folder/page.html")
    tool_fails(CANNOT_CREATE, ["no-folder"], "export_csv.py", "run", "--output", "no-folder/m.csv")


def check_unreadable():
    """If the operating system reports an error, the tool must print one line. The test passes a folder instead of a
    file, because root may read every file."""
    os.makedirs("odd/metrics.jsonl")
    shutil.copy("run/config.yaml", "odd/config.yaml")
    for name in ("plot_training.py", "report.py", "watch.py", "export_csv.py"):
        tool_fails(74, ["odd/metrics.jsonl", "directory"], name, "odd")


def check_closed_pipe():
    """If the reader of standard output closes the pipe early, the tool must not report an error."""
    command = f"'{sys.executable}' '{TOOLS}/export_csv.py' run/trajectory.h5 gradient | head -n 1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, timeout=60)
    expect_equal(f"export into head: {done.stderr}", (0, ""), (done.returncode, done.stderr))


train(QUADRATIC, "run")
evaluate("run")
check_help()
check_missing_packages()
check_files()
check_missing_parts()
check_arguments()
check_unreadable()
check_closed_pipe()
print("ok")
