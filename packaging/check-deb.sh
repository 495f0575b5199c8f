#!/bin/bash
# Installs a .deb of Warploom in a temporary copy of a Debian root, runs `warploom selftest` in it as an ordinary user,
# checks the installed files, and removes the package.
#
#   packaging/check-deb.sh DEB [ROOT]
#
#   ROOT   a Debian root, which the script does not change. By default, it is the root of this machine.
#          debootstrap creates a missing ROOT. In a given ROOT, APT installs the dependencies of the package.
#   WARPLOOM_SELFTEST   options of `warploom selftest`, such as '--only LSTM'
#
# The script needs root with CAP_SYS_ADMIN, because it mounts the copy as an overlay in memory in a separate mount
# namespace. Exit code 77 means that the script cannot create this namespace.
set -euo pipefail
die() { echo "check-deb: $*" >&2; exit 1; }
skip() { echo "skipped: $*"; exit 77; }
case ${1:-} in -h | --help | '') sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"; exit 64 ;; esac
deb=$(realpath "$1") root=${2:-}
[ -r "$deb" ] || die "no package $deb"
[ "$(id -u)" = 0 ] || skip "a copy of a root needs root"
unshare --mount --pid --fork true 2>/dev/null || skip "no right to make namespaces (CAP_SYS_ADMIN)"

make_root() {
  local source=/etc/apt/sources.list.d/debian.sources uri=http://deb.debian.org/debian file
  command -v debootstrap >/dev/null || skip "debootstrap is missing"
  if [ -r $source ]; then uri=$(sed -n 's/^URIs: *//p' $source | head -n 1); fi
  debootstrap --variant=minbase --include=ca-certificates "$(. /etc/os-release && echo "$VERSION_CODENAME")" "$1" "$uri"
  if [ -r $source ]; then
    cp $source "$1/etc/apt/sources.list.d/"
    : >"$1/etc/apt/sources.list"
  fi
  for file in /etc/apt/apt.conf.d/99*; do if [ -f "$file" ]; then cp "$file" "$1/etc/apt/apt.conf.d/"; fi; done
}
if [ -n "$root" ] && [ ! -e "$root/etc/debian_version" ]; then make_root "$root"; fi

copy=$(mktemp -d "${TMPDIR:-/tmp}/check-deb.XXXXXX")
trap 'rmdir "$copy"' EXIT
export copy deb root WARPLOOM_SELFTEST=${WARPLOOM_SELFTEST:-}

# The user root runs the following commands in the copy. If the argument of these commands is `fresh`, APT installs the
# dependencies.
check='
set -euo pipefail
fail() { echo "check-deb: FAILED: $*" >&2; exit 1; }
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
if [ "${1:-}" = fresh ]; then
  apt-get -qq update
  apt-get -qq install -y --no-install-recommends /package/warploom.deb openmpi-bin openssh-client >/tmp/apt.log 2>&1 || { tail -n 5 /tmp/apt.log >&2; fail "apt-get install"; }
else
  dpkg -i /package/warploom.deb >/tmp/dpkg.log 2>&1 || { tail -n 5 /tmp/dpkg.log >&2; fail "dpkg -i"; }
fi
[ "$(command -v warploom)" = /usr/bin/warploom ] || fail "warploom is $(command -v warploom)"
warploom --version
setpriv --reuid=65534 --regid=65534 --clear-groups env HOME=/tmp TMPDIR=/tmp warploom selftest $WARPLOOM_SELFTEST || fail "selftest"
for file in /usr/share/man/man1/warploom.1.gz /usr/share/bash-completion/completions/warploom /usr/share/doc/warploom/copyright \
  /usr/share/zsh/vendor-completions/_warploom /usr/share/warploom/jobs/quickstart.yaml /usr/include/warploom/optimizer.h; do
  [ -s "$file" ] || fail "no $file"
done
ldconfig -p | grep "libwarploom.so.0 " >/dev/null || fail "the linker does not find libwarploom"
warploom train /usr/share/warploom/jobs/quickstart.yaml --dry-run --quiet >/dev/null || fail "an installed configuration"
if command -v python3 >/dev/null && python3 -c "import numpy, h5py" 2>/dev/null; then
  (cd / && /usr/bin/python3 -c "import warploom; print(\"python\", warploom.__version__)") || fail "import warploom"
  warploom report --help >/dev/null || fail "a tool"
fi
dpkg --verify warploom | (! grep .) || fail "files differ from the package"
dpkg -P warploom >/dev/null || fail "dpkg -P"
left=$(find /usr -name "*warploom*" -not -path "/usr/src/*" 2>/dev/null | head -n 5)
[ -z "$left" ] || fail "left behind: $left"
echo "check-deb: ok"
'
export check
unshare --mount --pid --fork --kill-child --propagation private bash -euc '
  mount -t tmpfs tmpfs "$copy"
  mkdir "$copy/upper" "$copy/work" "$copy/root"
  mount -t overlay overlay -o "lowerdir=${root:-/},upperdir=$copy/upper,workdir=$copy/work" "$copy/root" 2>/dev/null || { echo "skipped: no overlay file system"; exit 77; }
  cd "$copy/root"
  mount -t proc proc proc
  mount --rbind /dev dev
  mount --rbind /sys sys
  mount -t tmpfs tmpfs tmp
  chmod 1777 tmp
  mkdir package
  cp "$deb" package/warploom.deb
  if [ -n "$root" ]; then
    cp -L /etc/resolv.conf /etc/hosts etc/
    mkdir -p usr/local/share/ca-certificates
    cp -rL /usr/local/share/ca-certificates/. usr/local/share/ca-certificates/ 2>/dev/null || true
    cp -L /etc/ssl/certs/ca-certificates.crt etc/ssl/certs/ 2>/dev/null || true
  fi
  exec chroot . /usr/bin/env -i HOME=/root PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin \
    WARPLOOM_SELFTEST="$WARPLOOM_SELFTEST" bash -c "$check" check "${root:+fresh}"
'
