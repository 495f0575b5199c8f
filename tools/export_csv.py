#!/usr/bin/env python3
"""Writes metrics or any dataset of a file as CSV.

For a run directory, the tool writes the metrics of the run. Each quantity has a column, and each meta-step has a row.
For a file without the name of a dataset, the tool lists the datasets of the file. It writes a dataset in long form,
with one column for each dimension and one column for the value. If the file contains coordinates or names of rules,
they are written in place of the indices. Several datasets with equal shapes are columns of the same rows. With --wide,
the last dimension becomes columns.

Examples:
  export_csv.py runs/quickstart -o metrics.csv
  export_csv.py runs/quickstart/evaluation.h5                       lists its datasets
  export_csv.py runs/quickstart/evaluation.h5 case-00/final_loss case-00/heldout_loss
  export_csv.py runs/quickstart/trajectory.h5 loss --wide
"""
import csv

import warploom_needs  # imported first, because this module reports missing packages

import h5py
import numpy as np

import warploom_files as wf


def cell(value):
    """Formats a number with all significant digits, and NaN as an empty string."""
    if isinstance(value, (float, np.floating)):
        return "" if np.isnan(value) else repr(float(value)) if value.dtype == np.float64 else str(value)
    return str(value)


def write_metrics(run, out):
    writer = csv.writer(out, lineterminator="\n")
    metrics = run.metrics
    writer.writerow(metrics)
    for row in zip(*metrics.values()):
        writer.writerow([cell(np.float64(v)) if isinstance(v, np.floating) else v for v in row])


def list_datasets(file, out):
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["dataset", "type", "shape", "dimensions", "units", "meaning"])
    for name in file.datasets():
        d = file.h5[name]
        writer.writerow([name, d.dtype, "x".join(map(str, d.shape)), " ".join(wf.dimension_names(d)),
                         wf.text_of(d.attrs.get("units", "")), wf.text_of(d.attrs.get("long_name", ""))])


def find(file, name):
    item = file.h5.get(name)
    if isinstance(item, h5py.Dataset):
        return item
    known = file.datasets()
    near = [k for k in known if k.split("/")[-1] == name.split("/")[-1]] or known
    what = "is a group" if item is not None else "does not exist"
    raise wf.ToolError(wf.DATA, f"{file.path}: '{name}' {what}; the file contains {', '.join(near[:6])}"
                                + (" ..." if len(near) > 6 else ""))


def names_along(file, dataset, d, dimension):
    """Returns the labels of the indices 0, 1, ... of a dimension."""
    group = dataset.name.rsplit("/", 1)[0]
    if f"{group}/{dimension}_name" in file.h5:
        return [wf.text_of(row) for row in file.h5[f"{group}/{dimension}_name"][()]]
    scales = wf.scales_of(dataset, d)
    if scales and not wf.is_bare_scale(scales[0]) and scales[0].shape == (dataset.shape[d],):
        return list(scales[0][()])
    return range(dataset.shape[d])


def is_text(dataset):
    return dataset.dtype == np.uint8 and wf.dimension_names(dataset)[-1].startswith("character")


def write_datasets(file, names, wide, out):
    sets = [find(file, name) for name in names]
    first = sets[0]
    if any(d.shape != first.shape for d in sets):
        raise wf.ToolError(wf.USAGE, "datasets of different shapes have no rows in common: " +
                           ", ".join(f"{n} {d.shape}" for n, d in zip(names, sets)))
    writer = csv.writer(out, lineterminator="\n")
    if is_text(first):
        writer.writerow([names[0]])
        writer.writerows([wf.text_of(row)] for row in np.atleast_2d(first[()]))
        return
    dimensions = wf.dimension_names(first)
    labels = [list(names_along(file, first, d, n)) for d, n in enumerate(dimensions)]
    if wide:
        write_wide(first, names, dimensions, labels, writer)
    else:
        writer.writerow(dimensions + [n.rsplit("/", 1)[-1] for n in names])
        values = [d[()] for d in sets]
        for index in np.ndindex(first.shape):
            writer.writerow([label[i] for label, i in zip(labels, index)] + [cell(v[index]) for v in values])


def write_wide(dataset, names, dimensions, labels, writer):
    if len(names) > 1 or dataset.ndim < 2:
        raise wf.ToolError(wf.USAGE, "--wide needs one dataset of at least two dimensions")
    writer.writerow(dimensions[:-1] + [f"{dimensions[-1]} {x}" for x in labels[-1]])
    values = dataset[()]
    for index in np.ndindex(dataset.shape[:-1]):
        writer.writerow([label[i] for label, i in zip(labels, index)] + [cell(v) for v in values[index]])


def main():
    parser = wf.Parser(__doc__)
    parser.add_argument("source", metavar="RUN|FILE", help="a run directory, or an HDF5 file of Warploom")
    parser.add_argument("datasets", metavar="DATASET", nargs="*", help="path in the file, e.g. case-00/curve")
    parser.add_argument("-o", "--output", metavar="FILE", default="-", help="CSV to write (default: standard output)")
    parser.add_argument("--wide", action="store_true", help="write the last dimension as columns")
    a = parser.parse_args()
    path = wf.require_path(a.source)
    if path.is_dir():
        if a.datasets:
            parser.error(f"a run directory contains datasets only in its files: name a file, e.g. {path}/trajectory.h5")
        run = wf.Run(path)
        run.metrics
        with wf.open_output(a.output) as out:
            write_metrics(run, out)
        return
    with wf.File(path) as file:
        for name in a.datasets:
            find(file, name)
        with wf.open_output(a.output) as out:
            write_datasets(file, a.datasets, a.wide, out) if a.datasets else list_datasets(file, out)


if __name__ == "__main__":
    wf.run_tool(main)
