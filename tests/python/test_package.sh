#!/bin/bash
# Checks that pip can build a wheel without network access and can install it into a new virtual environment. The
# installed package must work in this environment.
set -euo pipefail
: "${WL_SOURCE:?run the tests through ctest}" "${WL_PYTHON:?}" "${WL_BIN:?}"
fail() { echo "FAILED: $*" >&2; exit 1; }

"$WL_PYTHON" -c 'import setuptools, wheel, pip, h5py, venv' 2>missing.txt ||
  { echo "skipped: $(tail -n 1 missing.txt); the test needs Debian's python3-pip, -setuptools, -wheel and -h5py"; exit 77; }

cp -r "$WL_SOURCE/python" package
OPTIONS=(--quiet --disable-pip-version-check --no-index --no-deps)
"$WL_PYTHON" -m pip wheel "${OPTIONS[@]}" --no-build-isolation --wheel-dir wheels ./package >pip.txt 2>&1 ||
  { cat pip.txt >&2; fail "pip wheel"; }
version=$(sed -n 's/^project(warploom VERSION \([0-9.]*\).*/\1/p' "$WL_SOURCE/CMakeLists.txt")
wheel=wheels/warploom-$version-py3-none-any.whl
[ -f "$wheel" ] || { ls wheels >&2; fail "the wheel's version is not $version"; }

# The virtual environment also uses the system's NumPy, h5py, PyTorch and pip.
"$WL_PYTHON" -m venv --without-pip --system-site-packages fresh
fresh/bin/python -m pip install "${OPTIONS[@]}" "$wheel" >pip.txt 2>&1 || { cat pip.txt >&2; fail "pip install"; }

cat >use.py <<'EOF2'
import os
import sys

import warploom
from warploom.plots import style, training  # noqa: F401

assert warploom.__file__.startswith(os.path.abspath("fresh")), warploom.__file__
config = {"seed": 1, "threads": 1, "task": {"family": "quadratic", "dimension": 4, "batch": 4}, "rule": {"name": "lstm"},
          "episode": {"steps": 8}, "window": {"steps": 4}, "outer": {"steps": 2, "units": 1}}
run = warploom.train(config, "run", quiet=True)
assert len(run.metrics["meta_loss"]) == 2
try:
    import torch
except ImportError:
    print("PyTorch is not installed: warploom.torch is not tested")
    sys.exit()
from warploom.torch import LearnedOptimizer
weight = torch.nn.Parameter(torch.ones(3, 2))
optimizer = LearnedOptimizer([weight], run.path)
(weight ** 2).sum().backward()
optimizer.step()
assert optimizer.backend == "c" and not weight.eq(1).any(), optimizer.backend
EOF2
PYTHONPATH='' WARPLOOM=$WL_BIN fresh/bin/python use.py || fail "use.py fails with the installed package"

# The commands of docs/python.md must install the package on a system that refuses `pip install` outside of virtual
# environments. The commands of python/README.md must be the same. Without the module ensurepip, the environment uses
# the system's pip.
for page in docs/python.md python/README.md; do
  sed -nE '/^ *(python3 -m venv|\. .*activate|(python -m )?pip install) ?/s/^ *//p' "$WL_SOURCE/$page" >"$(basename "$page").sh"
done
cmp python.md.sh README.md.sh || fail "docs/python.md and python/README.md install the package with different commands"
grep -q 'pip install' python.md.sh || fail "docs/python.md has no commands for the installation"
"$WL_PYTHON" -c 'import ensurepip' 2>missing.txt || without_pip=--without-pip
sed -i "s|^python3 -m venv|'$WL_PYTHON' -m venv ${without_pip:-}|" python.md.sh
mkdir documented && cp -r "$WL_SOURCE/python" documented
(cd documented && PIP_NO_INDEX=1 PIP_NO_DEPS=1 PIP_NO_BUILD_ISOLATION=0 bash -e ../python.md.sh >../pip.txt 2>&1) ||
  { cat pip.txt >&2; fail "the commands of docs/python.md"; }
PYTHONPATH='' documented/warploom-env/bin/python -c 'import warploom; assert "warploom-env" in warploom.__file__' ||
  fail "the commands of docs/python.md do not install the package"
echo "ok: warploom $version"
