"""`make release`: what it writes, and what it refuses."""

import importlib.util
import shutil
import subprocess
import tomllib
from datetime import date
from pathlib import Path
from typing import Any, Final, Literal

import pytest
import yaml

_ROOT: Final = Path(__file__).resolve().parents[2]
_TODAY: Final = date(2026, 3, 1)
_CHANGELOG: Final = (
    "# Changelog\n\n## Unreleased\n\n### Fixed\n\n- A leak.\n\n## 0.1.0 - 2026-01-01\n\n- A.\n"
)


def _script() -> Any:  # noqa: ANN401 - a script, not a module of a package
    spec = importlib.util.spec_from_file_location("release", _ROOT / ".ci" / "release.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script


_RELEASE: Final = _script()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Give a repository with all that a release reads, at version 0.1.0."""
    shutil.copytree(_ROOT / "helm", tmp_path / "helm")
    version = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    for name in ("pyproject.toml", "uv.lock"):
        text = (_ROOT / name).read_text(encoding="utf-8")
        (tmp_path / name).write_text(text.replace(f'version = "{version}"', 'version = "0.1.0"', 1), "utf-8")
    lock = (tmp_path / "uv.lock").read_text(encoding="utf-8")
    ours = 'name = "enrolment-worker"\nversion = "{}"'
    (tmp_path / "uv.lock").write_text(lock.replace(ours.format(version), ours.format("0.1.0")), "utf-8")
    (tmp_path / "CHANGELOG.md").write_text(_CHANGELOG, encoding="utf-8")
    _git(tmp_path, "init", "--quiet")
    _git(tmp_path, "config", "user.name", "A Tester")
    _git(tmp_path, "config", "user.email", "tester@example.com")
    _git(tmp_path, "config", "commit.gpgsign", "false")
    _git(tmp_path, "config", "tag.gpgsign", "false")
    _git(tmp_path, "add", ".")
    _git(tmp_path, "commit", "--quiet", "--message", "All of it")
    return tmp_path


def test_a_release_is_one_commit_with_a_tag(repository: Path) -> None:
    """Project, lock file, chart and changelog must bear the version, in one commit that the tag names."""
    _RELEASE.release(repository, "0.2.0", _TODAY)
    project = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lock = tomllib.loads((repository / "uv.lock").read_text(encoding="utf-8"))["package"]
    chart = yaml.safe_load(
        (repository / "helm" / "enrolment-worker" / "Chart.yaml").read_text(encoding="utf-8")
    )
    assert project["version"] == chart["version"] == chart["appVersion"] == "0.2.0"
    assert [each["version"] for each in lock if each["name"] == "enrolment-worker"] == ["0.2.0"]
    assert "## 0.2.0 - 2026-03-01\n" in (repository / "CHANGELOG.md").read_text(encoding="utf-8")
    assert _git(repository, "status", "--porcelain") == ""
    assert _git(repository, "log", "--format=%s") == "Release 0.2.0\nAll of it"
    assert _git(repository, "rev-parse", "v0.2.0^{commit}") == _git(repository, "rev-parse", "HEAD")


def test_the_changelog_begins_a_new_section() -> None:
    """What was not released gets version and date; an empty section stands above it, the rest stays."""
    assert _RELEASE.released(_CHANGELOG, "0.2.0", _TODAY) == (
        "# Changelog\n\n## Unreleased\n\n## 0.2.0 - 2026-03-01\n\n### Fixed\n\n- A leak.\n\n"
        "## 0.1.0 - 2026-01-01\n\n- A.\n"
    )


@pytest.mark.parametrize("version", ["", "1", "1.2", "v1.2.3", "1.2.3rc1", "01.2.3", "1.2.3.4", "1.2.3\n"])
def test_a_version_is_three_numbers(version: str) -> None:
    """Anything else must be refused with an example of what is meant."""
    with pytest.raises(_RELEASE.ReleaseError, match=r"such as 1\.4\.0"):
        _RELEASE.refuse_version(version, "0.1.0")


@pytest.mark.parametrize("version", ["0.9.9", "0.10.0"])
def test_a_version_goes_up(version: str) -> None:
    """The present version and those before it must be refused, compared as numbers."""
    with pytest.raises(_RELEASE.ReleaseError, match=r"above the present 0\.10\.0"):
        _RELEASE.refuse_version(version, "0.10.0")


@pytest.mark.parametrize("kind", ["dirty", "untracked", "tagged", "silent"])
def test_nothing_is_written_if_something_is_amiss(
    repository: Path, kind: Literal["dirty", "untracked", "tagged", "silent"]
) -> None:
    """A dirty tree, a used tag or an empty section must be refused, and leave files and history alone."""
    changelog = repository / "CHANGELOG.md"
    match kind:
        case "dirty":
            changelog.write_text(_CHANGELOG + "- More.\n", encoding="utf-8")
        case "untracked":
            (repository / "new.txt").touch()
        case "tagged":
            _git(repository, "tag", "v0.2.0")
        case "silent":
            changelog.write_text("# Changelog\n\n## Unreleased\n\n### Fixed\n\n## 0.1.0\n\n- All.\n", "utf-8")
            _git(repository, "commit", "--quiet", "--all", "--message", "Say nothing")
    before = _git(repository, "status", "--porcelain"), _git(repository, "log", "--format=%H")
    with pytest.raises(_RELEASE.ReleaseError):
        _RELEASE.release(repository, "0.2.0", _TODAY)
    assert (_git(repository, "status", "--porcelain"), _git(repository, "log", "--format=%H")) == before


def test_the_lock_file_and_the_changelog_are_ready_for_a_release() -> None:
    """Project and lock file must bear the same version, and the changelog have its section."""
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lock = tomllib.loads((_ROOT / "uv.lock").read_text(encoding="utf-8"))["package"]
    assert [each["version"] for each in lock if each["name"] == project["name"]] == [project["version"]]
    assert "## Unreleased\n" in (_ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def _git(root: Path, *arguments: str) -> str:
    return subprocess.check_output(["git", *arguments], cwd=root, text=True).strip()  # noqa: S603, S607 - git
