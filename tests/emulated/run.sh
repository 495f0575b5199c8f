#!/bin/bash
# Runs test programs on an emulated processor with AVX-512, for developers whose machine lacks AVX-512. The
# emulator Bochs boots Debian's kernel. The initial file system of the emulated machine contains the programs and their
# libraries.
#
#   tests/emulated/run.sh [PROGRAM...]
#
# - PROGRAM: The names of test programs in BUILD_DIR/tests/unit (default: all programs that test kernels for several
#   instruction sets).
# - BUILD_DIR: An environment variable that sets the build directory (default: build).
# - MODEL: An environment variable that sets the emulated processor, one of those that `bochs --help cpu` lists
#   (default: corei7_skylake_x).
# - LIMIT: An environment variable that sets the time limit of the emulation in seconds (default: 3600).
#
# Every program runs with WARPLOOM_ISA=avx512. The script fails if a program fails or if a file that a program
# requires is missing. The script needs these packages:
#
#   apt-get install --no-install-recommends bochs bochs-term busybox-static cpio lz4 grub-pc-bin \
#     grub-common xorriso mtools
#
# The script downloads the kernel with apt-get. The test program `lstm` needs ten minutes of processor time.
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
BUILD=${BUILD_DIR:-build}
case $BUILD in /*) ;; *) BUILD=$ROOT/$BUILD ;; esac
MODEL=${MODEL:-corei7_skylake_x} LIMIT=${LIMIT:-3600}
DIR=$BUILD/emulated

usage() { sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; }
die() { echo "tests/emulated/run.sh: $*" >&2; exit 1; }

require() {
  local program
  for program in bochs busybox cpio lz4 grub-mkrescue xorriso mformat; do
    command -v $program >/dev/null || die "$program is missing: --help names the packages"
  done
  [ "$(uname -m)" = x86_64 ] || die "the programs are for x86-64"
}

# Downloads the kernel of Debian's package linux-image-cloud-amd64, which Debian provides for virtual machines. The
# drivers that this script requires are built into this kernel, so the emulated machine loads no kernel modules.
fetch_kernel() {
  local package
  [ -e "$DIR/vmlinuz" ] && return
  package=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/.*Depends: //p' | head -1)
  mkdir -p "$DIR/kernel"
  (cd "$DIR/kernel" && apt-get download -q "$package" && dpkg-deb -x "$package"_*.deb .) >"$DIR/kernel.log" 2>&1 ||
    die "no kernel package '$package': see $DIR/kernel.log"
  cp "$DIR"/kernel/boot/vmlinuz-* "$DIR/vmlinuz"
  rm -r "$DIR/kernel"
}

# Copies the files of the emulated machine into its initial file system: busybox, the test programs, and their
# libraries.
make_initial_files() { # arguments: PROGRAM...
  local program library
  rm -rf "$DIR/files"
  mkdir -p "$DIR"/files/{bin,dev,proc,sys,tmp,tests}
  cp "$(command -v busybox)" "$DIR/files/bin/"
  cp "$ROOT/tests/emulated/init" "$DIR/files/init"
  chmod +x "$DIR/files/init"
  for program in "$@"; do
    [ -x "$BUILD/tests/unit/$program" ] || die "no test program $BUILD/tests/unit/$program"
    cp "$BUILD/tests/unit/$program" "$DIR/files/tests/"
    ldd "$BUILD/tests/unit/$program" | grep -oE '/[^ ]+\.so[^ ]*'
  done | sort -u | while read -r library; do
    mkdir -p "$DIR/files$(dirname "$library")"
    cp -L "$library" "$DIR/files$library"
  done
  (cd "$DIR/files" && find . | cpio -o -H newc --quiet | lz4 -l -q -9) >"$DIR/initial"
}

# Writes the boot disk. Bochs 2.7 reports a wrong size for the compacted format of the instruction XSAVE. The kernel
# option clearcpuid selects the standard format.
make_disk() {
  rm -rf "$DIR/disk"
  mkdir -p "$DIR/disk/boot/grub"
  cp "$DIR/vmlinuz" "$DIR/initial" "$DIR/disk/boot/"
  cat >"$DIR/disk/boot/grub/grub.cfg" <<'END'
linux /boot/vmlinuz console=ttyS0,115200 quiet nokaslr mitigations=off random.trust_cpu=on tsc=reliable clearcpuid=xsaves,xsavec panic=-1
initrd /boot/initial
boot
END
  grub-mkrescue -d /usr/lib/grub/i386-pc -o "$DIR/guest.iso" "$DIR/disk" >"$DIR/disk.log" 2>&1 ||
    die "grub-mkrescue failed: see $DIR/disk.log"
}

boot() {
  cat >"$DIR/bochsrc" <<END
config_interface: textconfig
display_library: rfb, options="timeout=0"
memory: guest=1024, host=1024
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
cpu: model=$MODEL, count=1, ips=50000000, reset_on_triple_fault=0
clock: sync=none
ata0-master: type=cdrom, path=$DIR/guest.iso, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev=$DIR/serial
log: $DIR/bochs.log
panic: action=fatal
error: action=ignore
info: action=ignore
debug: action=ignore
END
  echo c >"$DIR/debugger" # Debian's build of Bochs starts in its debugger, and the command `c` starts the emulation
  rm -f "$DIR/serial" "$DIR"/*.lock
  timeout "$LIMIT" bochs -q -f "$DIR/bochsrc" -rc "$DIR/debugger" </dev/null >"$DIR/stdout" 2>&1 || true
}

case ${1:-} in -h | --help) usage; exit 0 ;; esac
[ $# -gt 0 ] || set -- lstm lstm64 lstm_torch lstm_torch64 tape_kernels_avx512 tape_kernels64 tape_values tape_values64 \
  unit_base unit_task unit_task64 unit_task_grad test_optimizer
require
mkdir -p "$DIR"
fetch_kernel
make_initial_files "$@"
make_disk
boot
[ -s "$DIR/serial" ] || die "nothing booted: see $DIR/bochs.log and $DIR/stdout"
tr -d '\r' <"$DIR/serial" | sed -n '/^guest: /,$p'
[ "$(grep -c '^guest: .* passed' "$DIR/serial")" = $# ] || die "not all of $# programs passed; the whole log is $DIR/serial"
