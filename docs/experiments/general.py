#!/usr/bin/env python3
"""Trains general optimizers with different amounts of compute and evaluates each of them on jobs/suites/validation.yaml.

Usage: docs/experiments/general.py JOB [SEED...] [--set KEY=VALUE] [--results FILE]
       docs/experiments/general.py --write-start
       docs/experiments/general.py --draw

JOB is a configuration in jobs/general, such as 20-minutes. The script trains the job once with each seed (default: the
seed of the configuration). After each training, the script appends one line to FILE (default: general.json). The line
contains the processor time of the training and the interquartile mean of the speed-up over tuned Adam.

The options --write-start and --draw train nothing. With --write-start, the script writes jobs/general/muon.h5. The
meta-parameters in this file make the rule `controller` the optimizer Muon with a linear schedule. The learning rate is
not tuned. With --set start=jobs/general/muon.h5, a training starts from these meta-parameters. With --draw, the script
draws all lines of general.json in docs/pictures/general-compute.png. The lines with the key `rule` are trainings of the
previous rule, which had 36 meta-parameters.
"""
import argparse
import json
import math
import os
import resource
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
RESULTS = HERE / "general.json"
START = ROOT / "jobs/general/muon.h5"
UNTRAINED = "outer.steps=0"  # the setting with which the meta-parameters are not trained
PICTURE = ROOT / "docs/pictures/general-compute.png"


def speedup(program, run):
    """Returns the interquartile mean of the speed-up over tuned Adam on `validation`, and its 95 % interval."""
    report = run / "validation.json"
    subprocess.run([program, "eval", run, "--speedup", ROOT / "jobs/suites/validation.yaml", "--baselines", "none",
                    "--no-picture", "--quiet", "--output", report], check=True, stdout=subprocess.DEVNULL)
    tables = json.loads(report.read_text())["tables"]
    mean = next(table for table in tables if table["baseline"] == "adam")["interquartile_mean"]
    return {"speedup": mean["value"], "low": mean["low"], "high": mean["high"]}


def seconds_used():
    """Returns the processor time of all programs that this script has run."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def run_training(command, run):
    """Runs or continues a training. Returns the digest and the processor time of all parts of the training. The file
    RUN.seconds contains the processor time."""
    record = Path(f"{run}.seconds")
    record.parent.mkdir(parents=True, exist_ok=True)
    earlier, before = float(record.read_text()) if record.exists() else 0.0, seconds_used()
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    finally:
        seconds = earlier + seconds_used() - before
        record.write_text(f"{seconds}\n")
    if done.returncode:
        raise SystemExit(done.returncode)
    return done.stdout.split()[1], seconds


def train(program, job, settings, seed):
    """Trains the job in a new run directory and returns the line of general.json."""
    run = Path("runs/general-compute") / "-".join([job, *settings, str(seed or "default")]).replace("/", "_")
    command = [program, "train", ROOT / f"jobs/general/{job}.yaml", "--quiet", "--resume", "--set", f"output={run}", "--set", "threads=1"]
    for setting in settings + ([f"seed={seed}"] if seed else []):
        command += ["--set", setting]
    digest, seconds = run_training(command, run)
    return {"job": job, "settings": settings, "seed": seed, "minutes": round(seconds / 60, 2), "digest": digest, **speedup(program, run)}


def is_recorded(line, results):
    """Returns true if the file has a line with the same digest. Such a line has the same training."""
    lines = results.read_text().splitlines() if results.exists() else []
    return any(json.loads(text)["digest"] == line["digest"] for text in lines)


def write_start():
    """Writes the meta-parameters of Muon with a linear schedule. Vectors are updated by Adam."""
    sys.path.insert(0, str(ROOT / "python"))
    import numpy
    from warploom import library
    # b, a0, a1, a2, k1, k2, tau, alpha, q, w, lambda, delta, kappa and nu, in the order of src/rule/controller.c
    matrices = [math.log(0.07), 1, 0, 0, 0.1, 0, 0.25, 0.5, 0, 0.03, 0, 0, 0, 0]
    vectors = [math.log(0.006), 0, 1, 0, 0.1, 0, 0.25, 0.5, 0, 0.03, 0, 0, 0, 0]
    configuration = (ROOT / "jobs/general/general.yaml").read_text()
    library.write_optimizer(str(START), configuration, {"base": numpy.array([matrices, vectors, matrices])})


def draw():
    """Draws the speed-up of each training as a function of its processor time."""
    try:
        import matplotlib
        matplotlib.use("Agg")
        from matplotlib import pyplot, ticker
    except ImportError:
        raise SystemExit("general.py: --draw needs matplotlib; run the script with a Python that has it, such as /usr/bin/python3")
    every = [json.loads(line) for line in RESULTS.read_text().splitlines()]
    figure, axes = pyplot.subplots(figsize=(6.4, 3.6))
    for start, color, from_muon in (("initial values of the rule", "C0", False), ("values of Muon", "C1", True)):
        lines = [line for line in every if from_muon == any(s.startswith("start=") for s in line["settings"])]
        for rule, fill, name in (("present", color, f"{start}, trained"), ("previous", "white", f"{start}, previous rule")):
            trained = [line for line in lines if UNTRAINED not in line["settings"] and line.get("rule", "present") == rule]
            axes.errorbar([line["minutes"] for line in trained], [line["speedup"] for line in trained], fmt="o", capsize=3, color=color,
                          yerr=[[line["speedup"] - line["low"] for line in trained], [line["high"] - line["speedup"] for line in trained]],
                          markerfacecolor=fill, label=name)
        for line in lines:
            if UNTRAINED in line["settings"]:
                axes.axhline(line["speedup"], color=color, linestyle="--", label=f"{start}, not trained")
                axes.axhspan(line["low"], line["high"], color=color, alpha=0.15)
    axes.set(xscale="log", xlabel="processor time of the training in minutes", ylabel="speed-up over tuned Adam\n(suite validation)", ylim=(0, 7))
    axes.xaxis.set_major_formatter(ticker.FuncFormatter(lambda x, _: f"{x:g}"))
    axes.legend(loc="lower right", fontsize=7, ncol=2)
    figure.tight_layout()
    figure.savefig(PICTURE, dpi=120)
    print(f"the picture is in {PICTURE}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("job", nargs="?", metavar="JOB", help="name of a configuration in jobs/general")
    parser.add_argument("seeds", nargs="*", type=int, metavar="SEED", help="seeds of the trainings")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE", help="change a key of the configuration")
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="FILE", help="append the lines to FILE")
    parser.add_argument("--write-start", action="store_true", help="write jobs/general/muon.h5")
    parser.add_argument("--draw", action="store_true", help="draw the results of all trainings")
    arguments = parser.parse_intermixed_args()
    if arguments.draw:
        return draw()
    if arguments.write_start:
        return write_start()
    if not arguments.job or not (ROOT / f"jobs/general/{arguments.job}.yaml").exists():
        parser.error("JOB must be the name of a configuration in jobs/general, without .yaml")
    program = os.environ.get("WARPLOOM", str(ROOT / "build/warploom"))
    for seed in arguments.seeds or [None]:
        line = train(program, arguments.job, arguments.settings, seed)
        print(json.dumps(line))
        if is_recorded(line, arguments.results):
            print(f"{arguments.results} has a line with this digest; no line was added")
            continue
        with open(arguments.results, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
