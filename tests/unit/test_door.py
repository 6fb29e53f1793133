"""What a newcomer's clone and GitHub bring along: the same steps as on any machine."""

import re
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

_ROOT: Final = Path(__file__).resolve().parents[2]
_GITHUB: Final = _ROOT / ".github"
_PINNED: Final = re.compile(r"[\w./-]+@[0-9a-f]{40}")


def test_commit_hooks_are_the_steps_of_make_check() -> None:
    """Each step must be a hook and each hook a step, so that both use the tools that uv.lock pins."""
    hooks = [hook for repo in _read(_ROOT / ".pre-commit-config.yaml")["repos"] for hook in repo["hooks"]]
    assert [hook["entry"] for hook in hooks] == _steps("check")
    assert {hook["language"] for hook in hooks} == {"system"}


def test_github_runs_what_every_machine_runs() -> None:
    """The workflow must call .ci/run, may only read, ends in time, and uses actions by their commit."""
    workflow = _read(_GITHUB / "workflows" / "ci.yaml")
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert "permissions" not in job
        assert 0 < job["timeout-minutes"] <= 60
        assert ".ci/run" in [step.get("run") for step in job["steps"]]
        used = [step["uses"] for step in job["steps"] if "uses" in step]
        assert [action for action in used if not _PINNED.fullmatch(action)] == []


@pytest.mark.parametrize("form", sorted(_GITHUB.glob("ISSUE_TEMPLATE/*.yaml")), ids=lambda form: form.stem)
def test_issue_forms_can_be_filled_in(form: Path) -> None:
    """GitHub passes over a form without name, description or body, or with an id that comes twice."""
    read = _read(form)
    ids = [part["id"] for part in read["body"] if part["type"] != "markdown"]
    assert read["name"]
    assert read["description"]
    assert ids
    assert len(ids) == len(set(ids))
    assert all(part["attributes"].get("label") or part["type"] == "markdown" for part in read["body"])


def test_github_finds_the_way_to_contribute() -> None:
    """CONTRIBUTING.md must be one line that points to the page, so that there are not two of it."""
    (line,) = (_GITHUB / "CONTRIBUTING.md").read_text(encoding="utf-8").splitlines()
    assert "(../docs/contributing.md)" in line


def _steps(target: str) -> list[str]:
    makefile = (_ROOT / "Makefile").read_text(encoding="utf-8")
    names = dict(re.findall(r"^(\w+) :?= (.*)$", makefile, re.MULTILINE))
    recipe = re.search(rf"^{target}:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    assert recipe is not None
    return [
        re.sub(r"\$\((\w+)\)", lambda name: names[name[1]], line.strip().removeprefix("@"))
        for line in recipe[1].splitlines()
    ]


def _read(path: Path) -> Any:  # noqa: ANN401 - YAML
    return yaml.safe_load(path.read_text(encoding="utf-8"))
