"""The pages for people: what they refer to is there."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

_ROOT: Final = Path(__file__).resolve().parents[2]
_PAGES: Final = [
    _ROOT / "README.md",
    *sorted(_ROOT.glob("docs/*.md")),
    *sorted(_ROOT.glob("helm/*/README.md")),
]
_LINK: Final = re.compile(r"\]\(([^)\s]+)\)")
_HEADING: Final = re.compile(r"^#+ (.*)$", re.MULTILINE)


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
