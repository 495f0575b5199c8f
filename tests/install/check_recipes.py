"""Compares the recipes in packaging/ with CMakeLists.txt and the source tree. The comparison covers versions,
dependencies, options, files and commands.

The test replaces the functions of Spack by functions that record their arguments. The test executes an easyconfig
file as Python without the imports of EasyBuild."""
import importlib.util
import os
import re
import subprocess
import sys
import types
from pathlib import Path

SOURCE = Path(os.environ["WL_SOURCE"])
PACKAGING = SOURCE / "packaging"
# For each library that CMake searches for, this table contains its names in Spack and in EasyBuild. In this table,
# None means that the compiler or the toolchain already contains the library.
NAMES = {"MPI": ("mpi", None), "HDF5": ("hdf5", "HDF5"), "BLAS": ("openblas", "OpenBLAS"), "ZLIB": ("zlib-api", "zlib"),
         "yaml": ("libyaml", "libyaml"), "jansson": ("jansson", "Jansson"), "xxhash": ("xxhash", "xxHash"),
         "random123": ("random123", "random123"), "openblas": ("openblas", "OpenBLAS"),
         "Threads": (None, None), "OpenMP": (None, None)}


def expect(condition, message):
    if not condition:
        sys.exit(f"FAILED: {message}")


def text(name):
    return (SOURCE / name).read_text()


def wanted():
    """Returns the names of the libraries that CMake requires."""
    found = re.findall(r"^(?:find_package|wl_find_target)\((\w+)", text("cmake/WlDependencies.cmake"), re.M)
    expect(len(found) >= 10 and set(found) <= set(NAMES), f"libraries of WlDependencies.cmake that this test does not know: {found}")
    return found


VERSION = re.search(r"project\(warploom VERSION (\S+)", text("CMakeLists.txt")).group(1)
CMAKE = re.search(r"cmake_minimum_required\(VERSION (\S+)\)", text("CMakeLists.txt")).group(1)
PYTHON = re.search(r'requires-python = ">=(\S+)"', text("python/pyproject.toml")).group(1)


class Recorder(types.ModuleType):
    """Replaces the module spack.package in the recipe for Spack. Each directive of Spack only records its
    arguments."""

    def __init__(self):
        super().__init__("spack.package")
        self.calls = []
        for name in ("version", "variant", "depends_on", "conflicts", "license", "maintainers"):
            setattr(self, name, lambda *a, _name=name, **k: self.calls.append((_name, a, k)))
        self.join_path = lambda *parts: "/".join(map(str, parts))
        self.CMakePackage = type("CMakePackage", (), {"define": lambda self, key, value: f"-D{key}={value}"})
        self.when = self.working_dir = Context
        self.which = lambda path: lambda *words: self.calls.append(("run", (str(path), *words), {}))
        self.__all__ = [n for n in vars(self) if not n.startswith("_") and n != "calls"]

    def of(self, name):
        return [a for n, a, _ in self.calls if n == name]


class Context:
    def __init__(self, *unused):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        return False


class Prefix(str):
    def __getattr__(self, name):
        return Prefix(f"{self}/{name}")


def load_spack():
    recorder = Recorder()
    sys.modules["spack"], sys.modules["spack.package"] = types.ModuleType("spack"), recorder
    path = PACKAGING / "spack/packages/warploom/package.py"
    spec = importlib.util.spec_from_file_location("package", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return recorder, module.Warploom()


def check_spack():
    recorder, recipe = load_spack()
    dependencies = {re.split(r"[@+~]", a[0])[0]: a[0] for a in recorder.of("depends_on")}
    for library in wanted():
        name = NAMES[library][0]
        expect(name is None or name in dependencies, f"the Spack recipe does not depend on {name}")
    expect("+hl" in dependencies["hdf5"], "Spack: HDF5 without its high-level library")
    expect(dependencies["cmake"] == f"cmake@{CMAKE}:", f"Spack: {dependencies['cmake']}, CMakeLists.txt asks for {CMAKE}")
    expect(dependencies["python"] == f"python@{PYTHON}:", f"Spack: {dependencies['python']}, pyproject.toml asks for {PYTHON}")
    expect(recorder.of("version") == [("main",)], "Spack: versions")
    expect(recipe.git == f"file://{SOURCE}", f"Spack: git is {recipe.git}")
    recipe.run_tests, recipe.prefix = False, Prefix("/prefix")
    recipe.test_suite = types.SimpleNamespace(stage=".")
    for argument in recipe.cmake_args():
        option = re.match(r"-D(\w+)=", argument).group(1)
        expect(f"option({option} " in text("CMakeLists.txt"), f"Spack: CMakeLists.txt has no option {option}")
    variables = {}
    recipe.setup_run_environment(types.SimpleNamespace(set=variables.__setitem__, prepend_path=variables.__setitem__))
    expect(variables["WARPLOOM_JOBS"] == "/prefix/share/warploom/jobs", f"Spack: {variables}")
    recipe.test_selftest()
    expect(recorder.of("run") == [("/prefix/bin/warploom", "selftest")], f"Spack: its test runs {recorder.of('run')}")
    expect("namespace: warploom" in text("packaging/spack/repo.yaml"), "Spack: no namespace")


def check_easybuild():
    path, = (PACKAGING / "easybuild").glob("*.eb")
    recipe = {"SYSTEM": {"name": "system", "version": "system"}, "SHLIB_EXT": "so"}
    exec(compile(path.read_text(), str(path), "exec"), recipe)
    chain = "-".join(recipe["toolchain"][k] for k in ("name", "version"))
    expect(path.name == f"{recipe['name']}-{recipe['version']}-{chain}.eb", f"EasyBuild: the name of the file: {path.name}")
    expect(recipe["version"] == VERSION, f"EasyBuild: version {recipe['version']}, CMakeLists.txt has {VERSION}")
    expect(recipe["easyblock"] == "CMakeMake" and "usempi" in recipe["toolchainopts"], "EasyBuild: easyblock and MPI")
    dependencies = [d[0] for d in recipe["dependencies"] + recipe["builddependencies"]]
    for library in wanted():
        name = NAMES[library][1]
        expect(name is None or name in dependencies, f"the easyconfig does not depend on {name}")
    source = recipe["sources"][0] % {"name": "warploom", "version": VERSION}
    expect(source == f"warploom-{VERSION}.tar.gz", f"EasyBuild: source {source}, CPack makes warploom-{VERSION}.tar.gz")
    expect("warploom selftest" in recipe["sanity_check_commands"], "EasyBuild: no self-test")


def check_shell(name, lines):
    script = Path(re.sub(r"\W", "-", name) + ".sh")
    script.write_text("#!/bin/sh\n" + lines)
    expect(subprocess.run(["bash", "-n", script]).returncode == 0, f"{name}: not a shell script")


def check_files(name, words):
    for word in words:
        expect("*" in word or (SOURCE / word).exists(), f"{name}: no file {word}")


def check_containers():
    container = text("packaging/container/Containerfile")
    container = re.sub(r"^#.*\n", "", container, flags=re.M)
    known = {"FROM", "COPY", "WORKDIR", "RUN", "ENV", "ENTRYPOINT", "CMD"}
    words = [line.split() for line in container.splitlines() if line.strip()]
    expect({w[0] for w in words} <= known and words[0][0] == "FROM", f"Containerfile: {words}")
    for w in words:
        if w[0] == "RUN":
            check_shell("Containerfile", " ".join(w[1:]))
        if w[0] == "COPY" and not w[1].startswith("--from"):
            check_files("Containerfile", [w[1]])
    check_files("Containerfile", re.findall(r"RUN (packaging/\S+)", container))
    definition = text("packaging/container/warploom.def")
    sections = dict(re.findall(r"^%(\w+)\n((?:    .*\n|\n)*)", definition, re.M))
    expect({"files", "post", "environment", "runscript", "test", "labels", "help"} == set(sections), f"Apptainer: {set(sections)}")
    expect(re.search(r"^Bootstrap: docker\nFrom: debian:12", definition, re.M), "Apptainer: header")
    for name in ("post", "environment", "runscript", "test"):
        check_shell(f"Apptainer %{name}", sections[name])
    check_files("Apptainer", [line.split()[0] for line in sections["files"].splitlines() if line.strip()])
    expect("warploom selftest" in sections["test"], "Apptainer: its test is not the self-test")


check_spack()
check_easybuild()
check_containers()
expect(f'__version__ = "{VERSION}"' in text("python/warploom/__init__.py"), "the Python package has another version")
print(f"ok: recipes of version {VERSION}")
