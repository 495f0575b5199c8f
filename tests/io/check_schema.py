"""Compares docs/hdf5-schema.md with the files that a training, an evaluation and a check write.

For every attribute and dataset of a file, the page must list the correct type, dimensions and units. If the page
calls a dataset "always", every file of its kind must contain the dataset. If the page calls a dataset "optional", at
least one file of this test must contain it. WL_BIN and WL_SOURCE must be set, and the current folder must be empty,
because the test writes its files there."""

import os
import pathlib
import re
import subprocess
import sys

import h5py

CONFIG = """
seed: 3
threads: 1
output: run
task: {family: mlp, data: synthetic, widths: [8], batch: 8}
rule: {name: lstm, hidden: [4]}
episode: {steps: 12}
window: {steps: 5, weights: sum, batch: fresh}
outer: {steps: 8, units: 2, optimizer: adam, learning_rate: 1e-3}
checkpoint: {every: 2, keep: 9}
trajectory: {every: 1, units: 1, coordinates: 4, hidden: true, snapshot_stride: 2}
"""

# This training has a replay buffer, and the buffer keeps the points of an episode for more than one meta-batch of
# episodes.
REPLAY = """
seed: 3
threads: 1
output: replayed
task: {family: mountain, warp: residual, warp_width: 4}
rule: {name: sgd, rate: 0.1}
episode: {steps: 6}
window: {steps: 1, weights: last, order: second}
outer: {steps: 4, units: 2, every: episode, optimizer: adam, learning_rate: 1e-2}
replay: {capacity: 1, keep: 2}
checkpoint: {every: 1}
"""

# In this training, a unit has several particles, and its estimator stores accumulators and differences of losses. The
# training also uses an average of phi, curriculum stages, a teacher, and restarts.
EVOLVED = """
seed: 3
threads: 1
output: evolved
task: {family: quadratic, dimension: 4, batch: 3}
rule: {name: lstm, hidden: [4]}
episode: {steps: 9, stagger: true, restart: 0.5}
window: {steps: 3}
estimator: {name: pes, loss: telescoping}
outer: {steps: 2, units: 2, average: 0.9}
curriculum: {steps: [6], every: 1}
imitation: {teacher: adam}
checkpoint: {every: 1}
"""

SCALE = b"This is a netCDF dimension but not a netCDF variable."
problems = []


def problem(text):
    problems.append(text)
    print("PROBLEM:", text)


# ---- the page ----


def tables(lines):
    """Yields each row of the Markdown tables in `lines` as a dictionary from heading to cell."""
    heading = None
    for line in lines:
        cells = [cell.strip().strip("`") for cell in line.strip().strip("|").split("|")]
        if not line.startswith("|"):
            heading = None
        elif heading is None:
            heading = cells
        elif not set("".join(cells)) <= set("-: "):
            yield dict(zip(heading, cells))


def pattern(path):
    """Returns a dataset path of the page as a regular expression, in which each <name> matches any name."""
    parts = re.split(r"(<[^>]+>)", path)
    return "".join("[^/]+" if part.startswith("<") else re.escape(part) for part in parts)


def read_page(text):
    """Returns three values: the root attributes, the attributes of datasets, and the rows of datasets. The rows are
    grouped by the kind of file."""
    attributes, kinds, title = {}, {}, ""
    for section in re.split(r"^#+ ", text, flags=re.M):
        title = section.splitlines()[0] if section.strip() else ""
        rows = list(tables(section.splitlines()[1:]))
        if title in ("Root attributes", "Attributes of datasets"):
            attributes[title] = {row["attribute"]: row for row in rows}
        elif title.startswith("Kind `"):
            kinds[title.split("`")[1]] = [row for row in rows if "path" in row]
    kinds["trajectory part"] = [
        dict(row, present="optional") if row["path"].startswith("metrics/") else row for row in kinds["trajectory"]]
    return attributes["Root attributes"], attributes["Attributes of datasets"], kinds


# ---- the files ----


def type_name(data):
    if h5py.check_string_dtype(data.dtype):
        return "text"
    if data.dtype.kind in "OV":
        return "reference"
    return data.dtype.name


def type_fits(documented, found):
    allowed = documented.split(" or ")
    if "real" in allowed:
        allowed += ["float16", "float32", "float64"]
    return found in allowed


def is_bare_scale(dataset):
    return dataset.attrs.get("NAME", b"").startswith(SCALE)


def datasets(file):
    found = []
    file.visititems(lambda name, item: found.append(name) if isinstance(item, h5py.Dataset) else None)
    return [name for name in found if not is_bare_scale(file[name])]


def dimension_names(dataset):
    """Returns the names of the dimension scales of a dataset. A coordinate dataset is itself a dimension scale."""
    if dataset.attrs.get("CLASS") == b"DIMENSION_SCALE":
        return [dataset.name.split("/")[-1]]
    names = []
    for dimension in dataset.dims:
        scales = [scale.name.split("/")[-1] for scale in dimension.values()]
        names.append(scales[0] if scales else None)
    return names


def check_attributes(where, page, item, seen):
    found = {name: item.attrs.get_id(name) for name in item.attrs}
    for name, attribute in found.items():
        if name not in page:
            problem(f"{where}: attribute '{name}' is not on the page")
            continue
        seen.add(name)
        if page[name]["type"] not in (type_name(attribute), "reference"):
            problem(f"{where}: attribute '{name}' is {type_name(attribute)}, the page says {page[name]['type']}")
    for name, row in page.items():
        if row["present"] == "always" and name not in found:
            problem(f"{where}: no attribute '{name}'")


def check_dataset(where, row, dataset):
    units = dataset.attrs.get("units", b"").decode()
    if units != row["units"]:
        problem(f"{where}: units '{units}', the page says '{row['units']}'")
    if not type_fits(row["type"], dataset.dtype.name):
        problem(f"{where}: type {dataset.dtype.name}, the page says {row['type']}")
    names = dimension_names(dataset)
    if None in names:
        problem(f"{where}: a dimension without a scale")
    if row["dimensions"] == "(…)":
        return
    documented = [name.strip() for name in row["dimensions"].strip("()").split(",") if name.strip()]
    plain = [re.sub(r"_\d+$", "", name or "") for name in names]
    if plain != documented:
        problem(f"{where}: dimensions {names}, the page says {documented}")


def check_file(path, root, per_dataset, kinds, seen):
    with h5py.File(path, "r") as file:
        kind = file.attrs["kind"].decode()
        if kind not in kinds:
            problem(f"{path}: kind '{kind}' is not on the page")
            return
        check_attributes(path, root, file, seen["root"])
        matched = set()
        for name in datasets(file):
            rows = [row for row in kinds[kind] if re.fullmatch(pattern(row["path"]), name)]
            if len(rows) != 1:
                problem(f"{path}: dataset '{name}' of kind '{kind}' matches {len(rows)} rows of the page")
                continue
            matched.add(rows[0]["path"])
            check_dataset(f"{path}: {name}", rows[0], file[name])
            check_attributes(f"{path}: {name}", per_dataset, file[name], seen["dataset"])
        for row in kinds[kind]:
            if row["present"] == "always" and row["path"] not in matched:
                problem(f"{path}: no dataset '{row['path']}'")
        seen["kinds"].setdefault(kind, set()).update(matched)


def check_scales(path):
    """If xarray is installed, opens each group of the file with xarray."""
    try:
        import xarray
    except ImportError:
        return
    with h5py.File(path, "r") as file:
        groups = {os.path.dirname(name) for name in datasets(file)}
    for group in groups:
        xarray.open_dataset(path, engine="h5netcdf", group=group or None).close()


# ---- Creating the files ----


def run(*arguments, code=0):
    done = subprocess.run([os.environ["WL_BIN"], *arguments], capture_output=True, text=True)
    if done.returncode != code:
        sys.exit(f"warploom {' '.join(arguments)} ended with {done.returncode}, not {code}:\n{done.stderr}")


def make_files():
    pathlib.Path("job.yaml").write_text(CONFIG)
    run("train", "job.yaml", "--stop-after", "4", code=75)
    run("train", "job.yaml", "--resume")
    pathlib.Path("replay.yaml").write_text(REPLAY)
    pathlib.Path("evolved.yaml").write_text(EVOLVED)
    run("train", "evolved.yaml")
    run("train", "replay.yaml")
    run("eval", "replayed", "--steps", "2", "--seeds", "2", "--tune-units", "1", "--no-picture")
    run("eval", "run", "--steps", "6", "--seeds", "2", "--tune-units", "1", "--no-picture")
    pathlib.Path("suite.yaml").write_text("suite: s\nseeds: 1\ntasks: [{name: q, horizons: [3], family: quadratic, dimension: 2}]\n")
    run("eval", "--speedup", "suite.yaml")
    # this test only requires that the file exists; other tests check the gradients in the file
    run("check", "job.yaml", "--dump", "dump.h5", "--windows", "1", "--tolerance", "1e-5")
    return sorted(map(str, pathlib.Path(".").rglob("*.h5")))


def unseen(seen, root, per_dataset, kinds):
    """Reports each attribute and dataset that the page lists but no file contains. The test cannot check such rows of
    the page."""
    for name in set(root) - seen["root"]:
        problem(f"the page has the root attribute '{name}', no file has")
    for name in set(per_dataset) - seen["dataset"] - {"REFERENCE_LIST"}:
        problem(f"the page has the dataset attribute '{name}', no file has")
    for kind, rows in kinds.items():
        for row in rows:
            if row["path"] not in seen["kinds"].get(kind, set()):
                problem(f"the page has '{row['path']}' of kind '{kind}', no file has")


def main():
    page = (pathlib.Path(os.environ["WL_SOURCE"]) / "docs" / "hdf5-schema.md").read_text()
    root, per_dataset, kinds = read_page(page)
    files = make_files()
    seen = {"root": set(), "dataset": set(), "kinds": {}}
    for path in files:
        check_file(path, root, per_dataset, kinds, seen)
        check_scales(path)
    unseen(seen, root, per_dataset, kinds)
    print(f"{len(files)} files of {len(seen['kinds'])} kinds, {sum(map(len, seen['kinds'].values()))} rows of the page")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
