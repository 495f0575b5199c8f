"""Imported first by each tool: says in one line what this Python lacks, where an import would end in a traceback."""
import importlib.util
import os
import sys

PACKAGES = ("numpy", "h5py", "matplotlib")
UNAVAILABLE = 69  # of sysexits.h

missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
if missing:
    tool = os.path.basename(sys.argv[0])
    print(f"{tool}: error: this Python ({sys.executable}) has no {', no '.join(missing)}: try /usr/bin/python3 {sys.argv[0]}, "
          f"or install {', '.join(missing)} for it (Debian: {' '.join('python3-' + name for name in missing)})", file=sys.stderr)
    sys.exit(UNAVAILABLE)
