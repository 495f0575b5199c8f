"""Checks that a notebook in docs/notebooks runs without an error and prints the expected output. The argument is the
name of the notebook.

Notebooks are committed without outputs, because the outputs could be those of an older program."""
import json
import os
import re
import subprocess
import sys
from pathlib import Path

from fixture import LIBRARY, PROGRAM, SOURCE, expect

NEEDED = ("nbconvert", "ipykernel", "matplotlib", "h5py", "torch")
for module in NEEDED:
    try:
        __import__(module)
    except ImportError as missing:
        print(f"skipped: {missing}; tools/install-dependencies.sh test installs it")
        sys.exit(77)

# for each notebook: the number of its pictures, and a pattern that its output must match
NOTEBOOKS = {"meta-train": (3, r"lstm1\.weight +\(80, 24\)"), "own-model": (1, r"learned +last losses 0\.0\d+ +accuracy 0\.9"),
             "analyse-run": (3, r"wait_seconds +\d+\.\d+ s +time spent waiting")}


def execute(name):
    """Executes the notebook in a folder with the same files as docs/notebooks, and returns the cells of the
    notebook."""
    folder = Path("docs/notebooks")
    folder.mkdir(parents=True)
    for part in ("data", "jobs"):
        os.symlink(SOURCE / part, part)
    text = (SOURCE / f"docs/notebooks/{name}.ipynb").read_text(encoding="utf-8")
    expect(all(not cell.get("outputs") for cell in json.loads(text)["cells"]), f"{name}: is committed with outputs")
    (folder / "given.ipynb").write_text(text, encoding="utf-8")
    places = {"PYTHONPATH": str(SOURCE / "python"), "WARPLOOM": PROGRAM, "WARPLOOM_LIBRARY": str(LIBRARY),
              "IPYTHONDIR": os.path.abspath("ipython"), "MPLCONFIGDIR": os.path.abspath("matplotlib")}
    command = [sys.executable, "-m", "nbconvert", "--to", "notebook", "--execute", "--ExecutePreprocessor.timeout=200",
               "--output", "done.ipynb", "given.ipynb"]
    done = subprocess.run(command, cwd=folder, env={**os.environ, **places}, capture_output=True, text=True, timeout=280,
                          check=False)
    expect(done.returncode == 0, f"{name}: {done.stderr[-3000:]}")
    return json.loads((folder / "done.ipynb").read_text(encoding="utf-8"))["cells"]


def main():
    name = sys.argv[1]
    pictures, line = NOTEBOOKS[name]
    outputs = [output for cell in execute(name) for output in cell.get("outputs", [])]
    text = "".join("".join(output.get("text", "")) for output in outputs)
    found = sum("image/png" in output.get("data", {}) for output in outputs)
    expect(found == pictures, f"{name}: {found} pictures, expected {pictures}")
    expect(re.search(line, text), f"{name}: no line '{line}' in:\n{text}")
    print(f"ok: {name}, {found} pictures")


main()
