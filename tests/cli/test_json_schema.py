#!/usr/bin/env python3
"""Checks `warploom train --json-schema`. Every configuration in jobs/ must be valid against the schema. The schema
and the program must both reject wrong configurations."""

import copy
import glob
import json
import os
import re
import subprocess
import sys

try:
    import jsonschema
    import yaml
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

PROGRAM, SOURCE = os.environ["WL_BIN"], os.environ["WL_SOURCE"]


class Loader(yaml.SafeLoader):
    """Reads a file as YAML 1.2, in which 1e-3 is a number. PyYAML implements YAML 1.1, in which 1e-3 is a string."""


Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789"))

schema = json.loads(subprocess.run([PROGRAM, "train", "--json-schema"], check=True, capture_output=True).stdout)
validator = jsonschema.validators.validator_for(schema)
validator.check_schema(schema)
check = validator(schema)


def read(path):
    with open(path, encoding="utf-8") as file:
        return yaml.load(file, Loader)


def accepted_by_program(configuration):
    with open("changed.yaml", "w", encoding="utf-8") as file:
        json.dump(configuration, file)  # YAML includes JSON, so PyYAML also reads the JSON output
    done = subprocess.run([PROGRAM, "train", "changed.yaml", "--dry-run"], capture_output=True, text=True)
    assert done.returncode in (0, 78), done.stderr
    return done.returncode == 0


files = sorted(glob.glob(os.path.join(SOURCE, "jobs", "*.yaml")))
assert len(files) >= 10, files
for path in files:
    errors = [error.message[:200] for error in check.iter_errors(read(path))]
    assert not errors, f"{path}: {errors}"

base = {"threads": 1, "task": {"family": "quadratic", "dimension": 3, "batch": 2},
        "rule": {"name": "lstm", "hidden": [4]}, "window": {"steps": 4, "weights": {"last": 2}}}
CHANGES = [  # each row consists of a section, a key, a value, and whether the value is valid
    ("window", "weights", "sum", True), ("window", "weights", [1, 0, 0, 0, 2.5], True),
    ("window", "weights", {"last": 0}, False), ("window", "weights", {"sum": 2}, False),
    ("window", "weights", "some", False), ("window", "steps", 0, False), ("window", "steps", 2.5, False),
    ("window", "steps", "4", False), ("window", "stepps", 4, False), ("task", "family", "quadratc", False),
    ("task", "widths", [3], False), ("rule", "hidden", 5, True), ("rule", "hidden", [5, 0], False),
    ("task", "dimension", {"one_of": [3, 4]}, True), ("task", "dimension", {"one_of": []}, False),
    ("task", "dimension", {"one_of": [3, 0]}, False), ("task", "dimension", {"uniform": [3, 4]}, False),
    ("task", "loss_scale", {"log_uniform": [0.1, 10]}, True), ("task", "loss_scale", {"uniform": [1]}, False),
    ("task", "distribution", {"one_of": ["gaussian", "uniform"]}, True),
    ("task", "distribution", {"one_of": ["gauss"]}, False), ("rule", "hidden", {"one_of": [[5], [6]]}, False),
    ("rule", "through_inputs", "no", False), ("rule", "output_scale", "big", False),
]
for section, key, value, valid in CHANGES:
    changed = copy.deepcopy(base)
    changed[section][key] = value
    assert check.is_valid(changed) == valid, f"schema on {section}.{key} = {value}"
    assert accepted_by_program(changed) == valid, f"program on {section}.{key} = {value}"
for name, value in (("windw", {}), ("seed", -1), ("threads", 100000), ("rule", ["lstm"])):
    changed = {**base, name: value}
    assert not check.is_valid(changed) and not accepted_by_program(changed), f"{name} = {value}"


def free_keys(node, path=""):
    """Yields the full name, such as section.key, of each key whose value does not change any result."""
    for item in node if isinstance(node, list) else []:
        yield from free_keys(item, path)
    for name, value in node.items() if isinstance(node, dict) else []:
        if name == "properties":
            for key, of_key in value.items():
                if of_key.get("x-identity") is False:
                    yield f"{path}.{key}" if path else key
                yield from free_keys(of_key, f"{path}.{key}" if path else key)
        elif isinstance(value, (dict, list)):
            yield from free_keys(value, path)


sys.path.insert(0, os.path.join(SOURCE, "python"))
from warploom import files as run_files  # noqa: E402

free = set(free_keys(schema))
# outer.patience changes only trainings in which units diverge
listed = {key for key in run_files.BOOKKEEPING if not key.endswith(".")} - {"outer.patience"}
assert len(free) > 10 and all(map(run_files.is_bookkeeping, free)), [k for k in free if not run_files.is_bookkeeping(k)]
assert listed <= free, f"warploom/files.py: {listed - free} have an effect on results"
assert not check.is_valid({}) and "task" in schema["required"]
assert schema["properties"]["threads"]["x-resume-may-change"] and schema["properties"]["seed"]["x-identity"]
print(f"ok: {len(files)} configurations, {len(CHANGES) + 4} changes")
