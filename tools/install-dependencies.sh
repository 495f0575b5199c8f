#!/bin/bash
# Installs the Debian packages that Warploom needs. Only this script lists the names of these packages.
#
#   tools/install-dependencies.sh [SET...]      install the missing packages of these sets (default: build)
#   tools/install-dependencies.sh --list SET... print the package names and install nothing
#
#   build   compiler, CMake, Open MPI, HDF5, OpenBLAS, Python for the pictures, Fashion-MNIST
#   test    further packages for the tests, such as MPICH, SLURM, PyTorch, xarray and checkers of man pages
#   bench   SimGrid, which simulates the clusters of bench/scale.sh (also in test)
#   package further packages for packaging/build-deb.sh (also in test)
#
# The script asks no questions and prints the packages that it installs. The script needs root or sudo only if a package
# is missing. You do not need the script if another system or the modules of a cluster provide these programs and
# libraries.
set -euo pipefail

BUILD_PACKAGES="build-essential cmake pkg-config git openmpi-bin libopenmpi-dev libhdf5-dev hdf5-tools
  libopenblas-dev libyaml-dev libcmocka-dev zlib1g-dev librandom123-dev libjansson-dev libxxhash-dev
  python3 python3-h5py python3-numpy python3-matplotlib python3-pil dataset-fashion-mnist"
TEST_PACKAGES="mpich libmpich-dev python3-jsonschema python3-yaml python3-xarray python3-h5netcdf
  python3-torch python3-pip python3-setuptools python3-wheel python3-nbconvert
  python3-ipykernel slurm-wlm munge iproute2 util-linux procps shellcheck
  libsimgrid-dev mandoc chromium zsh environment-modules lua5.3
  dpkg-dev file"
BENCH_PACKAGES="libsimgrid-dev"
PACKAGE_PACKAGES="dpkg-dev file"
# Optional packages. If a release or a mirror lacks such a package, only the data set or the test that needs it is
# missing.
OPTIONAL_PACKAGES="dataset-fashion-mnist python3-torch python3-nbconvert python3-ipykernel chromium mandoc shellcheck libsimgrid-dev zsh environment-modules lua5.3"

usage() { sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"; }
die() { echo "install-dependencies: $*" >&2; exit 1; }

packages_of() { # SET...
  local set
  for set in "$@"; do
    case $set in
      build) echo $BUILD_PACKAGES ;;
      test) echo $TEST_PACKAGES ;;
      bench) echo $BENCH_PACKAGES ;;
      package) echo $PACKAGE_PACKAGES ;;
      *) die "unknown set '$set': give build, test, bench or package" ;;
    esac
  done | tr ' ' '\n' | sort -u
}

is_installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }
is_optional() { case " $OPTIONAL_PACKAGES " in *" $1 "*) true ;; *) false ;; esac; }
is_known() { [ -n "$(apt-cache madison "$1" 2>/dev/null)" ]; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

apt() { as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=600 -o Acquire::Retries=3 "$@"; }

# Daemons of packages (slurmctld, munged) must not start on the user's machine. A policy hook of Debian prevents their
# start during the installation. The script removes the hook afterwards.
without_daemons() { # COMMAND...
  local policy=/usr/sbin/policy-rc.d made=0 status=0
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
    made=1
  fi
  "$@" || status=$?
  if [ "$made" = 1 ]; then as_root rm -f "$policy"; fi
  return "$status"
}

# Prints the names of the packages that can be installed. If no package source offers an optional package, the script
# leaves it out and prints a message.
obtainable() { # PACKAGE...
  local package
  for package in "$@"; do
    if is_optional "$package" && ! is_known "$package"; then
      echo "install-dependencies: no source offers $package: it is left out" >&2
    else
      echo "$package"
    fi
  done
}

install_missing() { # PACKAGE...
  [ "$(id -u)" = 0 ] || command -v sudo >/dev/null ||
    die "some packages are missing, but there is neither root nor sudo: ask the administrator for $*"
  local log packages
  log=$(mktemp "${TMPDIR:-/tmp}/warploom-packages.XXXXXX")
  echo "install-dependencies: updating the package lists"
  apt update >"$log" 2>&1 || { tail -n 5 "$log" >&2; die "apt-get update failed (full log: $log); check the network and /etc/apt"; }
  packages=$(obtainable "$@")
  if [ -n "$packages" ]; then
    echo "install-dependencies: installing" $packages
    without_daemons apt install -y --no-install-recommends $packages >"$log" 2>&1 ||
      { tail -n 15 "$log" >&2; die "apt-get install failed (full log: $log)"; }
  fi
  rm -f "$log"
}

main() {
  local list=0
  case ${1:-} in
    -h | --help) usage; return 0 ;;
    --list) list=1; shift ;;
  esac
  [ $# -gt 0 ] || set -- build
  local wanted package missing=""
  wanted=$(packages_of "$@")
  if [ "$list" = 1 ]; then echo "$wanted"; return 0; fi
  if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    die "this is not a Debian or Ubuntu system. Install the equivalents of these packages, or load the
modules of your cluster, and then run CMake:" $wanted
  fi
  for package in $wanted; do is_installed "$package" || missing="$missing $package"; done
  if [ -z "$missing" ]; then
    echo "install-dependencies: nothing to install ($*)"
  else
    install_missing $missing
  fi
}

main "$@"
