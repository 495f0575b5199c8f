"""The module `warploom.files` of the Python package beside this folder, under the name by which the tools import it."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "python"))

from warploom import files  # noqa: E402

sys.modules[__name__] = files
