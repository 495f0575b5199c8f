"""Imported first by each tool: where this Python lacks what the tools need, Debian's takes over; without that either, one
line says what is missing, where an import would end in a traceback."""
import importlib.util
import os
import subprocess
import sys

PACKAGES = ("numpy", "h5py", "matplotlib")
UNAVAILABLE = 69  # of sysexits.h
SYSTEM = "/usr/bin/python3"  # the one that tools/install-dependencies.sh provides for


def system_has_them():
    """Whether another Python is the system's, and has the packages."""
    if not os.access(SYSTEM, os.X_OK) or os.path.realpath(sys.executable) == os.path.realpath(SYSTEM):
        return False
    find = f"import importlib.util as u, sys; sys.exit(not all(map(u.find_spec, {PACKAGES})))"
    return subprocess.run([SYSTEM, "-c", find], check=False).returncode == 0


os.environ["MPLBACKEND"] = "Agg"  # a notebook's or a display's would be refused as matplotlib is imported
missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
if missing and system_has_them():
    os.execv(SYSTEM, [SYSTEM, *sys.argv])
if missing:
    tool = os.path.basename(sys.argv[0])
    print(f"{tool}: error: this Python ({sys.executable}) has no {', no '.join(missing)}: "
          f"install {', '.join(missing)} for it (Debian: {' '.join('python3-' + name for name in missing)})", file=sys.stderr)
    sys.exit(UNAVAILABLE)
