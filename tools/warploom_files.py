"""Makes the module `warploom.files` of the Python package available under the name `warploom_files` for the tools."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "python"))

from warploom import files  # noqa: E402

sys.modules[__name__] = files
