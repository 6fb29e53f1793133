"""What the image's build relies on."""

import tomllib
from pathlib import Path
from typing import Any, Final

from packaging.requirements import Requirement

_ROOT: Final = Path(__file__).resolve().parents[2]


def test_the_worker_is_built_by_the_locked_uv() -> None:
    """The build backend must be the one inside the locked uv: another would be fetched, unlocked."""
    [backend] = map(Requirement, _read("pyproject.toml")["build-system"]["requires"])
    [uv] = [package["version"] for package in _read("uv.lock")["package"] if package["name"] == "uv"]
    assert backend.name == "uv_build"
    assert uv in backend.specifier


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads((_ROOT / name).read_text(encoding="utf-8"))
