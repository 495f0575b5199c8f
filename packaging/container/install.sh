#!/bin/bash
# Runs in a Debian image while the container image is built. Installs /tmp/warploom_*.deb, the MPI launcher and the
# packages that the Python tools import.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
apt-get -qq install -y --no-install-recommends /tmp/warploom_*.deb openmpi-bin openssh-client \
  python3 python3-h5py python3-numpy python3-matplotlib
apt-get clean
rm -rf /var/lib/apt/lists/*
warploom --version
