"""`make release VERSION=x.y.z`: one commit and one tag that make what is on the branch a release.

The version is written in pyproject.toml; uv.lock and the chart follow from it. The section `Unreleased` of
the changelog becomes the section of the version, with its date. A refusal comes before anything is written,
and nothing is pushed.
"""

import re
import subprocess
import sys
import tomllib
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
WRITTEN: Final = ("pyproject.toml", "uv.lock", "CHANGELOG.md", "helm/enrolment-worker/Chart.yaml")
_VERSION: Final = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")
_UNRELEASED: Final = re.compile(r"^## Unreleased\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_ENTRY: Final = re.compile(r"^- \S", re.MULTILINE)


class ReleaseError(Exception):
    """No release is made; the text says why, and what to do."""


def main() -> None:
    """Make the release that the one argument names, or say in one line why not."""
    version = sys.argv[1] if len(sys.argv) == len(("script", "version")) else ""
    try:
        release(ROOT, version, datetime.now(UTC).date())
    except ReleaseError as reason:
        sys.exit(f"no release: {reason}")
    print(f"{version} is committed and tagged; look at it, then: git push origin HEAD v{version}")


def release(root: Path, version: str, today: date) -> None:
    """Write, commit and tag the release in the repository at `root`. Raises ReleaseError."""
    pyproject, lock, changelog = (root / name for name in WRITTEN[:3])
    before = str(tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]["version"])
    refuse_version(version, before)
    if _git(root, "status", "--porcelain"):
        raise ReleaseError("the working tree has changes; commit or stash them first")
    if _git(root, "tag", "--list", f"v{version}"):
        raise ReleaseError(f"there is a tag v{version}")
    texts = {
        pyproject: replaced(pyproject, f'version = "{before}"', f'version = "{version}"'),
        lock: replaced(
            lock,
            f'name = "enrolment-worker"\nversion = "{before}"',
            f'name = "enrolment-worker"\nversion = "{version}"',
        ),
        changelog: released(changelog.read_text(encoding="utf-8"), version, today),
    }
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")
    subprocess.check_call([sys.executable, "helm/generate.py"], cwd=root)
    _git(root, "add", *WRITTEN)
    _git(root, "commit", "--quiet", "--message", f"Release {version}")
    _git(root, "tag", "--annotate", "--message", f"Release {version}", f"v{version}")


def refuse_version(version: str, before: str) -> None:
    """Raise ReleaseError unless the version is three numbers and comes after the present one."""
    if not _VERSION.fullmatch(version):
        raise ReleaseError(f"VERSION is {version or 'not given'}; it must be three numbers, such as 1.4.0")
    if _numbers(version) <= _numbers(before):
        raise ReleaseError(f"VERSION is {version}; it must be above the present {before}")


def released(changelog: str, version: str, today: date) -> str:
    """Return the changelog with its section `Unreleased` under the version, and an empty one above it."""
    section = _UNRELEASED.search(changelog)
    if section is None or not _ENTRY.search(section[1]):
        raise ReleaseError("CHANGELOG.md says nothing under Unreleased; write what changed for its readers")
    head = f"## Unreleased\n\n## {version} - {today.isoformat()}\n"
    return changelog[: section.start()] + head + section[1] + changelog[section.end() :]


def replaced(path: Path, old: str, new: str) -> str:
    """Return the file's text with the one place changed; raises ReleaseError if it is not there once."""
    text = path.read_text(encoding="utf-8")
    if text.count(f"{old}\n") != 1:
        raise ReleaseError(f"{path.name} does not have {old!r} in one place")
    return text.replace(f"{old}\n", f"{new}\n")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def _git(root: Path, *arguments: str) -> str:
    return subprocess.check_output(["git", *arguments], cwd=root, text=True).strip()  # noqa: S607 - whichever git


if __name__ == "__main__":
    main()
