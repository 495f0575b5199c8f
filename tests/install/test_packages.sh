#!/bin/bash
# Checks the packages that CPack builds from this build folder. The program dpkg installs the .deb package in a copy
# of this machine's file system. The .tar.gz package is unpacked into a separate folder. The test also loads the environment
# modules, and compares the recipes for other package systems with the requirements of CMake.
set -euo pipefail
: "${WL_BIN:?run the tests through ctest}" "${WL_SOURCE:?}" "${WL_PYTHON:?}"
fail() { echo "FAILED: $*" >&2; exit 1; }
build=$(dirname "$WL_BIN")
version=$("$WL_BIN" --version | sed -n 's/^warploom //p')
export TMPDIR=$PWD
missing="" # names of missing programs, whose checks are skipped

"$WL_PYTHON" "$WL_SOURCE/tests/install/check_recipes.py"
if command -v shellcheck >/dev/null; then
  shellcheck -e SC1091,SC2016,SC2089,SC2090 "$WL_SOURCE"/packaging/*.sh "$WL_SOURCE"/packaging/container/*.sh
fi

# cpack writes into a separate folder, because it would otherwise leave its files in the build folder.
pack() { # arguments: GENERATOR
  cpack --config "$build/CPackConfig.cmake" -G "$1" -B "$PWD/package-$1" >"cpack-$1.log" 2>&1 || { tail "cpack-$1.log" >&2; fail "cpack -G $1"; }
}

check_tarball() {
  pack TGZ
  mkdir unpacked
  tar -xzf package-TGZ/warploom-*.tar.gz -C unpacked --strip-components=1
  unpacked/bin/warploom selftest --only 'LSTM: initial' >selftest.out || { cat selftest.out >&2; fail "selftest of the tarball"; }
  echo "ok: tarball"
}

check_source() {
  cpack --config "$build/CPackSourceConfig.cmake" -B "$PWD/package-source" >source.log 2>&1 || { tail source.log >&2; fail "cpack of the sources"; }
  tar -tzf "package-source/warploom-$version.tar.gz" >source.list
  local file
  for file in CMakeLists.txt src/cli/main.c packaging/spack/packages/warploom/package.py tests/run.sh; do
    grep -qxF "warploom-$version/$file" source.list || fail "no $file in the sources"
  done
  ! grep -E '/(build[^/]*|[.]git|runs)/' source.list || fail "files of a build or a run in the sources"
  echo "ok: sources, $(wc -l <source.list) files"
}

check_deb() {
  local program
  for program in dpkg-shlibdeps file; do
    command -v $program >/dev/null || { missing+=" $program"; return 0; }
  done
  pack DEB
  local deb code=0
  deb=$(echo package-DEB/warploom_"$version"_*.deb)
  dpkg-deb --info "$deb" >control
  for package in libhdf5 libopenblas libyaml libjansson libc6; do
    grep -q "^ Depends:.*$package" control || { cat control >&2; fail "the package does not depend on $package"; }
  done
  WARPLOOM_SELFTEST='--only LSTM' "$WL_SOURCE/packaging/check-deb.sh" "$deb" >deb.out 2>&1 || code=$?
  case $code in
    0) grep -q '^check-deb: ok' deb.out || { cat deb.out >&2; fail "check-deb.sh"; } ;;
    77) missing+=" $(sed 's/^skipped: //' deb.out)"; return 0 ;;
    *) cat deb.out >&2; fail "check-deb.sh: exit code $code" ;;
  esac
  echo "ok: $deb"
}

# The Lua module file and the Tcl module file must set the same variables.
check_modules() {
  local init=/usr/share/modules/init/bash
  cmake --install "$build" --prefix "$PWD/installed" >install.log || fail "cmake --install"
  if command -v lua5.3 >/dev/null; then
    lua5.3 - "installed/share/warploom/modulefiles/warploom/$version.lua" >lua.out <<'L'
function help() end; function whatis() end; function conflict() end
function pathJoin(a, b) return a .. "/" .. b end
function setenv(name, value) print(name .. "=" .. value) end
prepend_path = setenv
dofile(arg[1])
L
  else missing+=" lua5.3"; fi
  if [ -r $init ]; then
    env -i PATH=/usr/bin:/bin HOME="$PWD" bash -euc ". $init; module use installed/share/warploom/modulefiles; module load warploom/$version
      warploom --version >version.out; env" >environment.out || fail "module load"
    grep -q "^warploom $version" version.out || fail "the module's warploom is another one"
    if [ -e lua.out ]; then
      [ "$(wc -l <lua.out)" -ge 8 ] || fail "variables of the Lua module: $(cat lua.out)"
      while IFS='=' read -r name value; do
        grep -qE "^$name=$value(:|$)" environment.out || fail "the Tcl module does not set $name to $value: $(grep "^$name=" environment.out)"
      done <lua.out
    fi
  else missing+=" environment-modules"; fi
  echo "ok: modules"
}

check_modules
check_tarball
check_source
check_deb
[ -z "$missing" ] || { echo "skipped: not tried without:$missing"; exit 77; }
