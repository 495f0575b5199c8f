#!/usr/bin/env python3
"""Trains general optimizers with different amounts of compute and evaluates each of them on jobs/suites/validation.yaml.

Usage: docs/experiments/general.py JOB [SEED...] [--set KEY=VALUE]
       docs/experiments/general.py --draw

JOB is a configuration in jobs/general, such as 20-minutes. The script trains the job once with each seed (default: the
seed of the configuration). After each training, the script appends one line to general.json. The line contains the
processor time of the training and the interquartile mean of the speed-up over tuned Adam. With --draw, the script
trains nothing. It draws all lines of general.json in docs/pictures/general-compute.png.
"""
import argparse
import json
import os
import resource
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
RESULTS = HERE / "general.json"
PICTURE = ROOT / "docs/pictures/general-compute.png"


def speedup(program, run):
    """Returns the interquartile mean of the speed-up over tuned Adam on `validation`, and its 95 % interval."""
    report = run / "validation.json"
    subprocess.run([program, "eval", run, "--speedup", ROOT / "jobs/suites/validation.yaml", "--baselines", "none",
                    "--no-picture", "--quiet", "--output", report], check=True, stdout=subprocess.DEVNULL)
    tables = json.loads(report.read_text())["tables"]
    mean = next(table for table in tables if table["baseline"] == "adam")["interquartile_mean"]
    return {"speedup": mean["value"], "low": mean["low"], "high": mean["high"]}


def train(program, job, settings, seed):
    """Trains the job in a new run directory and returns the line of general.json."""
    run = Path("runs/general-compute") / "-".join([job, *settings, str(seed or "default")])
    command = [program, "train", ROOT / f"jobs/general/{job}.yaml", "--quiet", "--resume", "--set", f"output={run}", "--set", "threads=1"]
    for setting in settings + ([f"seed={seed}"] if seed else []):
        command += ["--set", setting]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    digest = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[1]
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    minutes = (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / 60
    return {"job": job, "settings": settings, "seed": seed, "minutes": round(minutes, 1), "digest": digest, **speedup(program, run)}


def draw():
    """Draws the speed-up of each training as a function of its processor time."""
    try:
        import matplotlib
        matplotlib.use("Agg")
        from matplotlib import pyplot, ticker
    except ImportError:
        raise SystemExit("general.py: --draw needs matplotlib; run the script with a Python that has it, such as /usr/bin/python3")
    lines = [json.loads(line) for line in RESULTS.read_text().splitlines()]
    figure, axes = pyplot.subplots(figsize=(6.4, 3.6))
    trained = [line for line in lines if line["minutes"] > 0]
    axes.errorbar([line["minutes"] for line in trained], [line["speedup"] for line in trained], fmt="o", capsize=3,
                  yerr=[[line["speedup"] - line["low"] for line in trained], [line["high"] - line["speedup"] for line in trained]],
                  label="one training, 95 % interval")
    for line in lines:
        if line["minutes"] == 0:
            axes.axhline(line["speedup"], color="grey", linestyle="--", label="initial meta-parameters")
            axes.axhspan(line["low"], line["high"], color="grey", alpha=0.15)
    axes.set(xscale="log", xlabel="processor time of the training in minutes", ylabel="speed-up over tuned Adam\n(suite validation)", ylim=(0, None))
    axes.xaxis.set_major_formatter(ticker.FuncFormatter(lambda x, _: f"{x:g}"))
    axes.legend(loc="lower right")
    figure.tight_layout()
    figure.savefig(PICTURE, dpi=120)
    print(f"the picture is in {PICTURE}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("job", nargs="?", metavar="JOB", help="name of a configuration in jobs/general")
    parser.add_argument("seeds", nargs="*", type=int, metavar="SEED", help="seeds of the trainings")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE", help="change a key of the configuration")
    parser.add_argument("--draw", action="store_true", help="draw the results of all trainings")
    arguments = parser.parse_intermixed_args()
    if arguments.draw:
        return draw()
    if not arguments.job or not (ROOT / f"jobs/general/{arguments.job}.yaml").exists():
        parser.error("JOB must be the name of a configuration in jobs/general, without .yaml")
    program = os.environ.get("WARPLOOM", str(ROOT / "build/warploom"))
    for seed in arguments.seeds or [None]:
        line = json.dumps(train(program, arguments.job, arguments.settings, seed))
        with open(RESULTS, "a", encoding="utf-8") as file:
            file.write(line + "\n")
        print(line)


if __name__ == "__main__":
    main()
