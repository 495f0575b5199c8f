#!/bin/bash
# Installs Warploom into a temporary prefix and uses the installed files outside the source tree. The test trains an
# optimizer with the installed program. The test then uses this optimizer through the library, from C and from C++.
# The C and C++ programs find the library by pkg-config and by find_package. The installed files must not contain the
# path of the source tree or the path of the build directory.
set -euo pipefail
: "${WL_BIN:?run the tests through ctest}" "${WL_SOURCE:?}"
fail() { echo "FAILED: $*" >&2; exit 1; }
prefix=$PWD/prefix
build=$(dirname "$WL_BIN")

install_all() {
  cmake --install "$build" --prefix "$prefix" >install.log || fail "cmake --install: see $PWD/install.log"
  # The installed tree must also work after it has been moved.
  mv "$prefix" "$PWD/moved"
  prefix=$PWD/moved
  libdir=$(dirname "$(find "$prefix" -name libwarploom.so)")
  export PKG_CONFIG_PATH=$libdir/pkgconfig LD_LIBRARY_PATH=$libdir
}

check_files() {
  local path
  for path in bin/warploom libexec/warploom/warploom64 include/warploom/optimizer.h include/warploom/status.h \
    share/man/man1/warploom.1 share/man/man1/warploom-train.1 share/man/man5/warploom.yaml.5 \
    share/warploom/jobs/quickstart.yaml share/warploom/jobs/single.sbatch share/doc/warploom/guide.md \
    share/doc/warploom/LICENSE include/warploom/task.h include/warploom/plugin/task/family.h \
    share/warploom/examples/plugins/welsch.c share/warploom/examples/c/train_network.c; do
    [ -e "$prefix/$path" ] || fail "not installed: $path"
  done
  ! grep -rlF -e "$build" -e "$WL_SOURCE" "$prefix" --include=*.cmake --include=*.pc --include=*.h >leaks ||
    fail "installed files name the source or build tree: $(cat leaks)"
}

# The library must export exactly the functions that its headers declare. The library must not depend on MPI.
check_symbols() {
  nm -D --defined-only "$libdir/libwarploom.so" | awk '$2 == "T" { sub(/@.*/, "", $3); print $3 }' | sort >exported
  cat "$prefix"/include/warploom/*.h | sed 's|^ \*.*||; s|/\*.*||' | grep -oE 'wl_[a-z_0-9]+\(' | tr -d '(' | sort -u >declared
  diff exported declared >difference || fail "exported symbols against declared ones: $(cat difference)"
  [ "$(nm -D --defined-only "$libdir/libwarploom.so" | grep -vc ' wl_.*@@\| WARPLOOM_0')" = 0 ] ||
    fail "a symbol without the prefix wl_ is exported"
  ! objdump -p "$libdir/libwarploom.so" | grep -q 'NEEDED.*libmpi' || fail "the library needs MPI"
  echo "ok: $(wc -l <exported) symbols, those of the headers"
}

train() {
  cat >own.yaml <<'C'
seed: 3
threads: 1
task: {family: quadratic, dimension: 8, batch: 8}
rule: {name: lstm, hidden: [20, 20], preprocessing: log, gradient_scale: 30, output_scale: 0.1}
episode: {steps: 60}
window: {steps: 20, weights: sum, loss: log}
outer: {steps: 300, units: 2, learning_rate: 3e-3, clip_norm: 1}
C
  "$prefix/bin/warploom" train own.yaml --set output=run >train.out 2>train.err || { cat train.err >&2; fail "train"; }
  "$prefix/bin/warploom" export run --output optimizer.h5 2>export.err || { cat export.err >&2; fail "export"; }
}

# Runs PROGRAM with OPTIMIZER, and writes its output to OUTPUT. The loss must fall below 0.3 times the first loss.
check_fit() { # arguments: PROGRAM OPTIMIZER OUTPUT
  "$1" "$2" 200 >"$3" || fail "$1 failed"
  awk '$1 == "step" { if (!n++) first = $4; last = $4 }
       END { print "ok: loss " first " to " last; exit !(n > 2 && last < 0.3 * first) }' "$3" ||
    { cat "$3" >&2; fail "$1: the loss did not fall below 0.3 times the first loss"; }
}

by_pkg_config() {
  ${CC:-cc} -std=c17 -Wall -Wextra -Wpedantic -Werror train_network.c $(pkg-config --cflags --libs warploom) -lm -o by-pkg-config
  check_fit ./by-pkg-config optimizer.h5 by-pkg-config.out
}

by_find_package() {
  mkdir consumer
  cat >consumer/CMakeLists.txt <<'C'
cmake_minimum_required(VERSION 3.20)
project(consumer LANGUAGES C)
find_package(warploom 0.1 REQUIRED)
add_executable(train_network ../train_network.c)
target_link_libraries(train_network PRIVATE warploom::warploom m)
C
  cmake -S consumer -B consumer/build -DCMAKE_PREFIX_PATH="$prefix" >consumer.log 2>&1 || { cat consumer.log >&2; fail "find_package"; }
  cmake --build consumer/build >>consumer.log 2>&1 || { cat consumer.log >&2; fail "building by find_package"; }
  check_fit consumer/build/train_network optimizer.h5 by-find-package.out
  cmp by-pkg-config.out by-find-package.out || fail "the two programs print different numbers"
}

# The program must print the same numbers whether its argument is a run directory, a checkpoint or the exported file.
from_every_source() {
  local source
  for source in run run/checkpoints/step-00000300.h5; do
    check_fit ./by-pkg-config "$source" source.out
    cmp by-pkg-config.out source.out || fail "$source gives other numbers than optimizer.h5"
  done
}

# The program must also train its network with the general optimizer, whose rule uses the shapes of tensors.
with_general() {
  check_fit ./by-pkg-config "$prefix/share/warploom/jobs/trained/general.h5" general.out
  grep -q '^controller of' general.out || fail "the general optimizer: $(cat general.out)"
}

# Builds the plug-ins of a task family and of a rule with the installed headers, once by `warploom plugin build` and
# once by CMake.
plugins() {
  mkdir own && cp "$prefix"/share/warploom/examples/plugins/{welsch.c,soft_clip.c,welsch.yaml} own/
  (cd own && "$prefix/bin/warploom" plugin build soft_clip.c) 2>plugin.err || { cat plugin.err >&2; fail "plugin build"; }
  cat >own/CMakeLists.txt <<'C'
cmake_minimum_required(VERSION 3.20)
project(own LANGUAGES C)
find_package(warploom 0.1 REQUIRED)
warploom_add_plugin(welsch welsch.c)
C
  { cmake -S own -B own/build -DCMAKE_PREFIX_PATH="$prefix" && cmake --build own/build; } >plugin.log 2>&1 ||
    { cat plugin.log >&2; fail "warploom_add_plugin"; }
  mv own/build/welsch.so own/
  "$prefix/bin/warploom" check own/welsch.yaml >plugin.out 2>&1 || { cat plugin.out >&2; fail "check of the plug-ins"; }
  grep -q '^All passed' plugin.out || fail "check of the plug-ins: $(cat plugin.out)"
  "$prefix/bin/warploom" train own/welsch.yaml --set output=own/run --quiet >plugin.out || fail "training with plug-ins"
  echo "ok: plug-ins against the installation"
}

as_cplusplus() {
  command -v c++ >/dev/null || return 0
  echo '#include <warploom/optimizer.h>
int main() { wl_optimizer *o = nullptr; return wl_optimizer_load("missing.h5", &o) == WL_ERR_NO_INPUT && !o ? 0 : 1; }' >own.cc
  c++ -Wall -Wextra -Wpedantic -Werror own.cc $(pkg-config --cflags --libs warploom) -o own-cc
  ./own-cc || fail "a missing file is not WL_ERR_NO_INPUT in C++"
}

install_all
check_files
check_symbols
cp "$prefix/share/warploom/examples/c/train_network.c" .
train
by_pkg_config
by_find_package
from_every_source
with_general
plugins
as_cplusplus
"$prefix/bin/warploom" check own.yaml >check.out || { cat check.out >&2; fail "the installed float64 twin"; }
echo "ok: installed program, library and float64 twin"
