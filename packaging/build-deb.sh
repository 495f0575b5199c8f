#!/bin/bash
# Builds the .deb of this tree by Debian's rules. The prefix is /usr, and the libraries are in the multi-architecture
# folder.
#
#   packaging/build-deb.sh [FOLDER]     folder of warploom_VERSION_ARCH.deb (default: the current folder)
#
#   BUILD_DIR   environment variable: build folder (default: build-deb in the tree)
#
# The script needs the packages of `tools/install-dependencies.sh build package` and installs them if they are missing.
set -euo pipefail
case ${1:-} in -h | --help) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"; exit 0 ;; esac
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
folder=$(realpath "${1:-.}")
build=${BUILD_DIR:-$root/build-deb}
"$root/tools/install-dependencies.sh" build package
cmake -S "$root" -B "$build" -DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_PREFIX=/usr -DWL_TESTS=OFF
cmake --build "$build" -j "$(nproc)" --target warploom warploom64 warploom_library man completion
(cd "$build" && cpack -G DEB -B "$build/package")
cp "$build"/package/warploom_*.deb "$folder/"
ls -l "$folder"/warploom_*.deb
