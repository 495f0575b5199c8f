#!/bin/bash
# Inside an image on Debian: installs /tmp/warploom_*.deb with the MPI launcher and what the Python tools import.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
apt-get -qq install -y --no-install-recommends /tmp/warploom_*.deb openmpi-bin openssh-client \
  python3 python3-h5py python3-numpy python3-matplotlib
apt-get clean
rm -rf /var/lib/apt/lists/*
warploom --version
