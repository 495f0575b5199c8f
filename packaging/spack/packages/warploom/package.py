"""This Spack recipe builds Warploom from the tree that contains the recipe:

    spack repo add packaging/spack
    spack install --test=root warploom
    spack test run warploom

The recipe fetches the branch main from the git repository of this tree. To build changes without a commit: spack
develop --path TREE warploom@main.
"""
import os

from spack.package import *

try:  # Since Spack 1.0, build systems are in the repository of packages.
    from spack_repo.builtin.build_systems.cmake import CMakePackage
except ImportError:
    pass

TREE = os.path.abspath(os.path.join(os.path.dirname(__file__), *[os.pardir] * 4))


class Warploom(CMakePackage):
    """Warploom meta-trains learned optimizers on clusters. A learned optimizer is a small network that computes updates
    from gradients. Results do not depend on the number of MPI ranks, threads or restarts."""

    git = f"file://{TREE}"
    license("BSD-3-Clause")

    version("main", branch="main")

    variant("tools", default=True, description="Install the packages for the tools and the Python package")

    depends_on("c", type="build")
    depends_on("cmake@3.20:", type="build")
    depends_on("git", type="build")
    depends_on("cmocka", type="build")
    depends_on("mpi@3.1:")
    depends_on("hdf5+hl")
    depends_on("openblas")
    depends_on("libyaml")
    depends_on("jansson")
    depends_on("zlib-api")
    depends_on("xxhash")
    depends_on("random123", type="build")
    with when("+tools"):
        depends_on("python@3.9:", type="run")
        depends_on("py-numpy", type="run")
        depends_on("py-h5py", type="run")
        depends_on("py-matplotlib", type="run")

    conflicts("%gcc@:11", msg="Warploom needs _Float16 and __builtin_shufflevector: GCC 12 or later, or clang")

    def cmake_args(self):
        return [self.define("WL_TESTS", self.run_tests)]

    def setup_run_environment(self, env):
        env.set("WARPLOOM_JOBS", join_path(self.prefix.share.warploom, "jobs"))
        env.prepend_path("PYTHONPATH", join_path(self.prefix.share.warploom, "python"))

    def test_selftest(self):
        """Run the self-test of the installed program, with and without the launcher of its MPI library"""
        with working_dir(self.test_suite.stage):
            which(self.prefix.bin.warploom)("selftest")
