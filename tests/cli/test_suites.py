#!/usr/bin/env python3
"""Checks that no configuration in jobs/general trains on a task of jobs/suites.

Every task that a training may draw must differ from each task of a suite in its data, network or loss. Two of our suites
must not have a task in common. The test also checks same(), the comparison that it uses: if a training may draw a task of
a suite, same() must return true for this task."""
import copy
import glob
import itertools
import json
import os
import subprocess
import sys

try:
    import yaml
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

SOURCE = os.environ["WL_SOURCE"]
# keys that distinguish tasks. The other keys set how a task is sampled, initialised and measured
KEYS = ("family", "data", "text", "side", "widths", "filters", "strides", "features", "order", "pooling", "batch_norm", "layer_norm",
        "normalisation", "activation", "cell", "hidden", "embedding", "width", "heads", "length", "dimension", "classes", "separation",
        "loss_scale")


def families():
    """Returns the default values of the keys of each task family."""
    schema = json.loads(subprocess.run([os.environ["WL_BIN"], "train", "--json-schema"], check=True, capture_output=True).stdout)
    task = schema["properties"]["task"]["anyOf"][0]
    return {v["properties"]["family"]["const"]: {k: p.get("default") for k, p in v["properties"].items()}
            for v in task["anyOf"] if "const" in v["properties"].get("family", {})}


def drawn(value):
    """Returns the list of values that a key may have, or None if the key has a range of values."""
    if not isinstance(value, dict):
        return [value]
    return value.get("one_of")


def same(task, entry, defaults):
    """Returns true if the entry `entry` of a configuration may draw the task `task` of a suite."""
    if task["family"] != entry["family"]:
        return False
    own = defaults[task["family"]]
    for key in KEYS:
        if key not in own:
            continue
        values = drawn(entry.get(key, own[key]))
        if values is not None and task.get(key, own[key]) not in values:
            return False
    return True


def entries(path):
    with open(path, encoding="utf-8") as file:
        task = yaml.safe_load(file)["task"]
    return task if isinstance(task, list) else [task]


def suite(name):
    with open(f"{SOURCE}/jobs/suites/{name}.yaml", encoding="utf-8") as file:
        return yaml.safe_load(file)["tasks"]


def main():
    defaults = families()
    own = ("unseen", "fresh", "confirmation", "validation")
    suites = {name: suite(name) for name in (*own, "lo-fixed")}
    jobs = {path: entries(path) for path in sorted(glob.glob(f"{SOURCE}/jobs/general/*.yaml"))}
    assert jobs, "no jobs in jobs/general"
    for path, job in jobs.items():
        for name, tasks in suites.items():
            for task in tasks:
                assert not any(same(task, entry, defaults) for entry in job), f"{path} trains on {task['name']} of {name}"
    for first, second in itertools.combinations(own, 2):  # lo-fixed has the tasks of google/learned_optimization
        for task in suites[first]:
            assert not any(same(task, other, defaults) for other in suites[second]), f"{task['name']} of {first} is in {second}"
    # turns each task of `unseen` into an entry that may draw this task, and checks that same() returns true
    for task in suites["unseen"]:
        entry = copy.deepcopy(task)
        if "activation" in defaults[task["family"]]:
            entry["activation"] = {"one_of": ["elu", entry.get("activation", defaults[task["family"]]["activation"])]}
        assert same(task, entry, defaults), f"{task['name']} is not found"
    print(f"{len(jobs)} jobs, {sum(map(len, suites.values()))} tasks")


main()
