"""What makes the environment, under a Python that is too old for all the rest."""

import ast
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

_SCRIPT: Final = Path(__file__).resolve().parents[2] / ".ci" / "bootstrap.py"

_UNDER_OLDER_PYTHON: Final = """
import runpy, sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name == "tomllib":
            raise ModuleNotFoundError("No module named 'tomllib'", name=name)

sys.modules.pop("tomllib", None)
sys.meta_path.insert(0, Blocked())
sys.version_info, sys.version = (3, {minor}, 12, "final", 0), "3.{minor}.12 (main)"
runpy.run_path({script!r}, run_name="__main__")
"""


@pytest.mark.parametrize("minor", [6, 8, 10])
def test_an_older_python_is_refused_in_one_line(minor: int) -> None:
    """`make install` says what is needed before it comes to what an older Python lacks."""
    code = _UNDER_OLDER_PYTHON.format(minor=minor, script=str(_SCRIPT))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)  # noqa: S603
    line = f"Python >= 3.11 is needed, this is 3.{minor}.12; set PYTHON=/path/to/python3\n"
    assert (done.returncode, done.stderr) == (2, line)


def test_an_older_python_can_read_it() -> None:
    """A syntax that is newer than the refusal would end in a SyntaxError before it."""
    ast.parse(_SCRIPT.read_text(encoding="utf-8"), feature_version=(3, 6))
