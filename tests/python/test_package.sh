#!/bin/bash
# The package installs with pip, without a network, and works from where pip puts it.
set -euo pipefail
: "${WL_SOURCE:?run the tests through ctest}" "${WL_PYTHON:?}"
fail() { echo "FAILED: $*" >&2; exit 1; }

"$WL_PYTHON" -c 'import setuptools, wheel, pip, h5py' 2>missing.txt ||
  { echo "skipped: $(tail -n 1 missing.txt); the test needs Debian's python3-pip, -setuptools, -wheel and -h5py"; exit 77; }

cp -r "$WL_SOURCE/python" package
"$WL_PYTHON" -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-index --no-build-isolation \
  --no-deps --target installed ./package >pip.txt 2>&1 || { cat pip.txt >&2; fail "pip install"; }

version=$(sed -n 's/^project(warploom VERSION \([0-9.]*\).*/\1/p' "$WL_SOURCE/CMakeLists.txt")
[ -d "installed/warploom-$version.dist-info" ] || { ls installed >&2; fail "the package's version is not $version"; }
cd installed
PYTHONPATH=. "$WL_PYTHON" -c 'import warploom.files as files; assert files.__file__.startswith("'"$PWD"'")'
if "$WL_PYTHON" -c 'import torch' 2>/dev/null; then
  PYTHONPATH=. "$WL_PYTHON" -c 'import warploom.torch; warploom.torch.LearnedOptimizer'
fi
echo "ok: warploom $version"
