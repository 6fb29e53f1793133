"""The page of the settings."""

from pathlib import Path

from worker.settings.page import settings_page
from worker.settings.reference import reference

_PAGE = Path(__file__).resolve().parents[3] / "docs" / "settings.md"


def test_the_page_is_made_from_the_code() -> None:
    """`make docs` was run after the last change."""
    assert _PAGE.read_text(encoding="utf-8") == settings_page()


def test_every_setting_has_a_row() -> None:
    """Each setting must have one row, with its default where it has one."""
    rows = [line.split(" | ") for line in settings_page().splitlines() if line.startswith("| `")]
    wanted = [setting for group in reference() for setting in group.settings]
    assert [row[0] for row in rows] == [f"| `{setting.name}`" for setting in wanted]
    assert all(
        setting.default in row[1] for row, setting in zip(rows, wanted, strict=True) if setting.default
    )
