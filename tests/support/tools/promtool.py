"""Prometheus' own tool, from the PATH or from Debian's package, kept in the user's cache folder."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

import pytest

_PACKAGE: Final = "prometheus"
_FETCH_SECONDS: Final = 120.0


def promtool() -> Path:
    """Return the tool; skips the test by name where it cannot be had, fails it on a CI machine."""
    found = shutil.which("promtool")
    kept = _cache() / "promtool"
    if found is not None:
        return Path(found)
    if not kept.exists():
        try:
            _fetch(kept)
        except (OSError, subprocess.SubprocessError) as error:
            reason = f"no promtool: {error}"
            if os.environ.get("CI") == "true":
                pytest.fail(reason, pytrace=False)
            pytest.skip(reason)
    return kept


def run_promtool(*arguments: str | Path, stdin: bytes = b"") -> str:
    """Run it; returns what it said, raises AssertionError with that where it found a fault."""
    command = [promtool(), *arguments]
    ran = subprocess.run(command, input=stdin, capture_output=True, check=False)  # noqa: S603 - a tool of ours
    said = (ran.stdout + ran.stderr).decode()
    assert ran.returncode == 0, said
    return said


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME", "").strip()
    return (Path(base) if base else Path.home() / ".cache") / "enrolment-worker" / "prometheus"


def _fetch(target: Path) -> None:
    """Unpack it out of Debian's package; nothing is installed and no service started."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            _run(["apt-get", "download", "-qq", _PACKAGE], folder)
        except subprocess.CalledProcessError:
            _run(["apt-get", "update", "-qq"], folder)
            _run(["apt-get", "download", "-qq", _PACKAGE], folder)
        (package,) = folder.glob("*.deb")
        _run(["dpkg-deb", "-x", str(package), "unpacked"], folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_suffix(f".{os.getpid()}")
        shutil.copy2(folder / "unpacked" / "usr" / "bin" / "promtool", part)
        part.replace(target)


def _run(command: list[str], folder: Path) -> None:
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=_FETCH_SECONDS)  # noqa: S603 - fixed
