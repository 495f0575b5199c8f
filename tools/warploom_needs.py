"""Checks the packages that the tools need. Each tool imports this module first.

If this Python lacks a package, Debian's Python runs the tool. If Debian's Python also lacks the package, the tool
prints one line with the missing packages instead of a traceback."""
import importlib.util
import os
import subprocess
import sys

PACKAGES = ("numpy", "h5py", "matplotlib")
UNAVAILABLE = 69  # of sysexits.h
SYSTEM = "/usr/bin/python3"  # tools/install-dependencies.sh installs the packages for this Python


def system_has_them():
    """Returns True if the system's Python is not this Python and has the packages."""
    if not os.access(SYSTEM, os.X_OK) or os.path.realpath(sys.executable) == os.path.realpath(SYSTEM):
        return False
    find = f"import importlib.util as u, sys; sys.exit(not all(map(u.find_spec, {PACKAGES})))"
    return subprocess.run([SYSTEM, "-c", find], check=False).returncode == 0


os.environ["MPLBACKEND"] = "Agg"  # with the backend of a notebook or a display, the import of matplotlib would fail
missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
if missing and system_has_them():
    os.execv(SYSTEM, [SYSTEM, *sys.argv])
if missing:
    tool = os.path.basename(sys.argv[0])
    print(f"{tool}: error: this Python ({sys.executable}) has no {', no '.join(missing)}: "
          f"install {', '.join(missing)} for it (Debian: {' '.join('python3-' + name for name in missing)})", file=sys.stderr)
    sys.exit(UNAVAILABLE)
