"""Reads trajectories with h5py, xarray and h5dump. Some trajectories are read while another process writes them.

Usage: read_trajectory.py WRITER, in an empty folder. The meta-step and the unit of a record determine its content
(trajectory_sample.h)."""

import shutil
import subprocess
import sys
import time

import h5py
import numpy as np

STEPS, UNITS = 5, 2


def write(*arguments):
    subprocess.run([sys.argv[1], *map(str, arguments)], check=True)


def expected_loss(meta_step):
    """Returns the losses of windows as an array. Elements after the end of a window are NaN."""
    loss = meta_step[:, None] + 0.125 * np.arange(STEPS)
    length = np.where(meta_step % 2 == 1, STEPS, 3)
    return np.where(np.arange(STEPS) < length[:, None], loss, np.nan)


def check(path, meta_steps=None):
    """Checks that the file contains complete meta-steps from 0 on without gaps. Returns the number of meta-steps."""
    with h5py.File(path, "r") as file:
        step = file["meta_step"][()]
        count = len(step) // UNITS
        assert np.array_equal(step, np.repeat(np.arange(count), UNITS)), step
        assert np.array_equal(file["unit"][()], np.tile(np.arange(UNITS), count))
        assert np.array_equal(file["loss"][()], expected_loss(step), equal_nan=True)
        assert np.array_equal(file["metrics/meta_step"][()], np.arange(1, count + 1))
        assert np.array_equal(file["metrics/meta_loss"][()], np.arange(1, count + 1))
    assert meta_steps is None or count == meta_steps, (count, meta_steps)
    return count


def test_h5py():
    write("plain", 0, 7, 3, 0)
    check("plain/trajectory.h5", 7)
    with h5py.File("plain/trajectory.h5", "r") as file:
        assert file["gradient"].shape == (14, STEPS, 3) and file["gradient"].dtype == np.float32
        assert np.array_equal(file["gradient"][2, 1], [16 + 3, 16 + 4, 16 + 5])
        assert file["hidden"].shape == (14, STEPS, 3, 2)
        assert file["theta"].shape == (14, 2, 7) and np.array_equal(file["snapshot_step"][0], [1, 3])
        assert file["loss"].attrs["units"] == b"1" and file.attrs["kind"] == b"trajectory"
        assert list(file["coordinate_index"]) == [0, 2, 4]


def test_half_precision():
    write("half", 0, 7, 3, 0, "half")
    check("half/trajectory.h5", 7)
    with h5py.File("half/trajectory.h5", "r") as half, h5py.File("plain/trajectory.h5", "r") as plain:
        for name in ("gradient", "update", "hidden", "theta"):
            assert half[name].dtype == np.float16, name
            # half precision represents all values of the sample exactly, so the values can be compared
            assert np.array_equal(half[name][()], plain[name][()].astype(np.float16), equal_nan=True), name
        assert half["loss"].dtype == np.float64


def test_resume():
    write("resume", 0, 10, 4, 0)
    write("resume", 6, 9, 4, 0)
    check("resume/trajectory.h5", 9)


def test_moved_run():
    """Checks that the virtual datasets of the index refer to the trajectory parts by paths relative to the folder of
    the index."""
    shutil.move("resume", "elsewhere")
    check("elsewhere/trajectory.h5", 9)


def test_while_written():
    """Checks that a reader which opens the file repeatedly finds only complete meta-steps, and never fewer than
    before."""
    writer = subprocess.Popen([sys.argv[1], "live", "0", "60", "1", "5"])
    seen, reads = 0, 0
    while writer.poll() is None:
        try:
            count = check("live/trajectory.h5")
        except FileNotFoundError:
            time.sleep(0.01)
            continue
        except KeyError:  # the writer has not yet recorded a meta-step
            continue
        assert count >= seen, (count, seen)
        seen, reads = count, reads + 1
    assert writer.returncode == 0 and reads >= 5, (writer.returncode, reads)
    check("live/trajectory.h5", 60)


def test_open_index_while_rows_are_added():
    """Checks that an open index still returns the same data after one of its parts has been replaced by a part with
    more rows."""
    write("grown", 0, 20, 1, 0)
    with h5py.File("grown/trajectory.h5", "r") as file:
        before = file["meta_step"][()]
        write("grown", 20, 30, 1, 0)
        assert len(before) == len(file["meta_step"]) == 20 * UNITS
        assert np.array_equal(file["loss"][()], expected_loss(before), equal_nan=True)
        assert np.array_equal(file["metrics/meta_step"][()], np.arange(1, 21))
    check("grown/trajectory.h5", 30)


def test_h5dump():
    if not shutil.which("h5dump"):
        print("h5dump is not installed: not tested")
        return
    text = subprocess.run(["h5dump", "-d", "/loss", "-s", "2,0", "-c", "1,2", "plain/trajectory.h5"], check=True,
                          capture_output=True, text=True).stdout
    assert "1, 1.125" in text, text


def test_xarray():
    try:
        import xarray
    except ImportError:
        print("xarray is not installed: not tested")
        return
    with xarray.open_dataset("plain/trajectory.h5", engine="h5netcdf") as data:
        assert data.gradient.dims == ("record", "step", "coordinate")
        assert data.hidden.dims == ("record", "step", "coordinate", "state")
        assert data.theta.dims == ("record", "snapshot", "parameter")
        assert data.sizes["record"] == 14
        assert float(data.loss.mean(dim="step")[2]) == 1.25
    with xarray.open_dataset("plain/trajectory.h5", engine="h5netcdf", group="metrics") as data:
        assert float(data.meta_loss.sel(meta_step=5)) == 5


def main():
    for name, test in list(globals().items()):
        if name.startswith("test_"):
            print(name, flush=True)
            test()


if __name__ == "__main__":
    main()
