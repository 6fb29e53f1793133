"""The pages for people: what they refer to is there."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import pytest

_ROOT: Final = Path(__file__).resolve().parents[2]
_PAGES: Final = [
    _ROOT / "README.md",
    *sorted(_ROOT.glob("docs/**/*.md")),
    *sorted(_ROOT.glob("helm/*/README.md")),
    *sorted(_ROOT.glob(".github/*.md")),
]
_FOR_DEVELOPERS: Final = [
    *(_ROOT / "docs" / name for name in ("contributing.md", "design.md", "glossary.md")),
    *sorted(_ROOT.glob("docs/decisions/*.md")),
]
_LINK: Final = re.compile(r"\]\(([^)\s]+)\)")
_HEADING: Final = re.compile(r"^#+ (.*)$", re.MULTILINE)
_FENCE: Final = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_CODE: Final = re.compile(r"`([^`\n]+)`")
_PLACE: Final = re.compile(r"(?:\.ci|\.github|docs|helm|tests|topics|worker)/[\w./-]*|[\w-]+\.py")
_CLASS: Final = re.compile(r"([A-Z][a-z]+(?:[A-Z][A-Za-z]*)+)(?:\.\w+)?(?:\(\))?")
_CHANGED: Final = re.compile(r"^# ((?:tests|topics|worker)/[\w/]+\.py)", re.MULTILINE)
_MADE_BY_RECIPES: Final = {"tests/unit/commands/test_examples.py", "worker/commands/examples.py"}
_OF_OTHERS: Final = frozenset({"LogAppendTime"})
"""Names in the manner of classes that Kafka gives."""


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: str(page.relative_to(_ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Each relative link of a page must name a file, and its anchor a heading there."""
    assert [link for link in _links(page) if not _leads(page, link)] == []


def test_make_targets_that_pages_name_exist() -> None:
    """Whoever follows a page must not be told of a target that there is not."""
    targets = set(re.findall(r"^([a-z]+):", (_ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {
        name for page in _PAGES for name in re.findall(r"`make ([a-z]+)", page.read_text(encoding="utf-8"))
    }
    assert named - targets == set()
    assert "upgrade" in named


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: str(page.relative_to(_ROOT)))
def test_files_that_a_page_names_exist(page: Path) -> None:
    """A file or folder that a page names in running text must be there, also after a move."""
    places = [code for code in _code(page) if _PLACE.fullmatch(code)]
    assert [place for place in places if not _exists(place)] == []


def test_files_that_the_recipes_change_exist() -> None:
    """A recipe's example must name files that are there, but for those that it makes."""
    page = (_ROOT / "docs" / "contributing.md").read_text(encoding="utf-8")
    named = {place for block in _FENCE.findall(page) for place in _CHANGED.findall(block)}
    assert "worker/settings/model.py" in named
    assert {place for place in named if not (_ROOT / place).exists()} == _MADE_BY_RECIPES


@pytest.mark.parametrize("page", _FOR_DEVELOPERS, ids=lambda page: str(page.relative_to(_ROOT)))
def test_classes_that_a_page_names_exist(page: Path) -> None:
    """Whoever looks for a class by the name that a page gives it must find it."""
    named = {found[1] for code in _code(page) if (found := _CLASS.fullmatch(code))}
    assert named - _classes() - _OF_OTHERS == set()


def test_what_is_looked_for_is_found() -> None:
    """The tests above must see what pages name, and tell what is there from what is not."""
    assert "worker/enrolment/handler.py" in _code(_ROOT / "docs" / "design.md")
    assert _exists("worker/enrolment/handler.py")
    assert not _exists("worker/enrolment/nothing.py")
    assert _exists("handler.py")
    assert not _exists("nothing.py")
    assert "Circuit" in _classes()


def _code(page: Path) -> list[str]:
    return _CODE.findall(_FENCE.sub("", page.read_text(encoding="utf-8")))


def _exists(place: str) -> bool:
    if "/" in place:
        return (_ROOT / place).exists()
    return any(next((_ROOT / top).rglob(place), None) for top in (".ci", "helm", "tests", "topics", "worker"))


@cache
def _classes() -> set[str]:
    sources = [path for top in ("tests", "topics", "worker") for path in (_ROOT / top).rglob("*.py")]
    return {
        name
        for path in sources
        for name in re.findall(r"^\s*class (\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    }


def _links(page: Path) -> Iterator[str]:
    found = _LINK.findall(page.read_text(encoding="utf-8"))
    return (link for link in found if not link.startswith(("http://", "https://")))


def _leads(page: Path, link: str) -> bool:
    name, _, anchor = link.partition("#")
    target = (page.parent / name) if name else page
    return target.exists() and (not anchor or anchor in _anchors(target))


def _anchors(page: Path) -> set[str]:
    headings = _HEADING.findall(page.read_text(encoding="utf-8"))
    return {re.sub(r"[^a-z0-9 _-]", "", heading.lower()).replace(" ", "-") for heading in headings}
