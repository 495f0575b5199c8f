"""Gives the module `warploom.files` of the Python package in ../python the name that the tools import."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "python"))

from warploom import files  # noqa: E402

sys.modules[__name__] = files
