#!/bin/bash
# Cross-compiles the tests for the processor architecture aarch64, and runs the unit and gradient tests under qemu's
# user emulation. The tests cover the kernels that use portable vector types, and the floating-point state in the
# register FPCR.
#
#   tests/emulated/aarch64.sh [PROGRAM...]
#
# - PROGRAM: The names of the test programs (default: all programs of tests/unit and tests/grad).
# - BUILD_DIR: An environment variable that sets the build directory (default: build-aarch64).
# - LIMIT: An environment variable that sets the time limit of each program in seconds (default: 1800).
#
# Continuous integration does not run this script, because the programs `lstm`, `window` and `window64` take several
# minutes each. The script fails if a test program fails. The script needs these packages:
#
#   apt-get install --no-install-recommends gcc-aarch64-linux-gnu qemu-user cmake
#
# The script downloads the libraries for arm64 with apt-get into BUILD_DIR. The script uses separate package lists and
# installs no package on the system.
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
BUILD=${BUILD_DIR:-build-aarch64} LIMIT=${LIMIT:-1800}
case $BUILD in /*) ;; *) BUILD=$ROOT/$BUILD ;; esac
SYSROOT=$BUILD/sysroot
LIBRARIES=$SYSROOT/usr/lib/aarch64-linux-gnu
PACKAGES="libc6-dev libgomp1 libgcc-12-dev libopenblas-pthread-dev libhdf5-dev libyaml-dev libjansson-dev libxxhash-dev
  zlib1g-dev libcmocka-dev libmpich-dev librandom123-dev"

usage() { sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; }
die() { echo "tests/emulated/aarch64.sh: $*" >&2; exit 1; }
case ${1:-} in -h | --help) usage; exit 0 ;; esac

for program in aarch64-linux-gnu-gcc qemu-aarch64 cmake; do
  command -v $program >/dev/null || die "$program is missing: --help names the packages"
done

# Runs apt with separate folders, as on an arm64 machine on which no package is installed.
arm64_apt() {
  apt-get -q -o Dir::State="$BUILD/apt" -o Dir::State::status="$BUILD/apt/status" -o Dir::Cache="$BUILD/apt/cache" \
    -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o APT::Install-Recommends=0 -o Debug::NoLocking=1 "$@"
}

fetch_libraries() {
  local package
  [ ! -e "$SYSROOT/complete" ] || return 0
  mkdir -p "$BUILD"/apt/{lists,cache/archives}/partial "$SYSROOT"
  : >"$BUILD/apt/status"
  { arm64_apt update && arm64_apt install -y --download-only $PACKAGES; } >"$BUILD/apt.log" 2>&1 ||
    die "no libraries for arm64: see $BUILD/apt.log"
  for package in "$BUILD"/apt/cache/archives/*.deb; do dpkg-deb -x "$package" "$SYSROOT"; done
  touch "$SYSROOT/complete"
}

configure() {
  cat >"$BUILD/toolchain.cmake" <<END
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)
set(CMAKE_SYSROOT $SYSROOT)
set(CMAKE_FIND_ROOT_PATH $SYSROOT)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
END
  cmake -S "$ROOT" -B "$BUILD" -DCMAKE_BUILD_TYPE=Release -DCMAKE_TOOLCHAIN_FILE="$BUILD/toolchain.cmake" \
    -DMPI_SKIP_COMPILER_WRAPPER=ON -DMPI_C_COMPILER_INCLUDE_DIRS="$SYSROOT/usr/include/aarch64-linux-gnu/mpich" \
    -DMPI_C_HEADER_DIR="$SYSROOT/usr/include/aarch64-linux-gnu/mpich" -DMPI_C_LIB_NAMES=mpich \
    -DMPI_mpich_LIBRARY="$LIBRARIES/libmpich.so" -DBLAS_LIBRARIES="$LIBRARIES/openblas-pthread/libopenblas.so" \
    -DHDF5_ROOT="$LIBRARIES/hdf5/serial" -DHDF5_hdf5_LIBRARY_RELEASE="$LIBRARIES/hdf5/serial/libhdf5.so" \
    -DHDF5_hdf5_hl_LIBRARY_RELEASE="$LIBRARIES/hdf5/serial/libhdf5_hl.so" \
    -DHDF5_C_INCLUDE_DIR="$SYSROOT/usr/include/hdf5/serial" >"$BUILD/configure.log" 2>&1 ||
    die "no configuration: see $BUILD/configure.log"
}

# Prints the names of the test programs that CTest registers for one folder of tests.
programs_of() { # arguments: FOLDER
  sed -n "s|^add_test(.* \"[^\"]*/tests/$1/\([A-Za-z0-9_]*\)\")\$|\1|p" "$BUILD/tests/$1/CTestTestfile.cmake" | sort -u
}

# Builds one test program and runs it in its own folder. Prints the name of the program, and whether the program
# passed, failed, was skipped or could not be built.
run_one() { # arguments: FOLDER PROGRAM
  local scratch=$BUILD/scratch/$2 start=$SECONDS code=0
  if ! cmake --build "$BUILD" -j "$(nproc)" --target "$2" >"$BUILD/build-$2.log" 2>&1; then
    if grep -q 'internal compiler error' "$BUILD/build-$2.log"; then echo "$2: skipped, the compiler crashes"; return 0; fi
    echo "$2: not built (log: $BUILD/build-$2.log)"
    return 1
  fi
  rm -rf "$scratch"
  mkdir -p "$scratch"
  (cd "$scratch" && WL_SOURCE=$ROOT WL_TEST_SCRATCH=$scratch OMP_NUM_THREADS=2 OMP_WAIT_POLICY=passive \
    timeout "$LIMIT" env -u OPENBLAS_CORETYPE qemu-aarch64 -L "$SYSROOT" "$BUILD/tests/$1/$2") >"$scratch.log" 2>&1 || code=$?
  [ $code = 0 ] || { echo "$2: FAILED with $code (log: $scratch.log)"; return 1; }
  echo "$2: passed in $((SECONDS - start)) s"
}

mkdir -p "$BUILD"
fetch_libraries
configure
failed=0 ran=0
for folder in unit grad; do
  for program in $(programs_of $folder); do
    [ $# = 0 ] || case " $* " in *" $program "*) ;; *) continue ;; esac
    ran=$((ran + 1))
    run_one $folder "$program" || failed=$((failed + 1))
  done
done
echo "$ran programs, $failed failed"
[ $ran -gt 0 ] && [ $failed = 0 ]
