"""The page that documents every setting, made from the model: `make docs` writes it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from worker.settings.reference import SettingReference, reference

_PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "settings.md"

_HEAD: Final = """\
# Settings

Made by `make docs` from `worker/settings/model.py`, where every setting is declared.

They come as environment variables. A *secret* `NAME` may be given as `NAME_FILE`, the path of a file that
holds it. A name that begins with `ENROLMENT_` and is not here is an error that names the nearest one; what
Kubernetes injects for a service of that name is passed over. Each fault is one line on standard error, and
the exit status 2. Tracing has OpenTelemetry's own variables: [traces](traces.md#turning-them-on).
"""


def settings_page() -> str:
    """Return the page, as Markdown."""
    return "\n".join([_HEAD, *_tables()])


def _tables() -> Iterator[str]:
    for group in reference():
        yield f"## {group.title}\n"
        yield "| name | default | |\n| --- | --- | --- |"
        for setting in group.settings:
            yield f"| `{setting.name}` | {_default(setting)} | {_what(setting)} |"
        yield ""


def _default(setting: SettingReference) -> str:
    if setting.required:
        return "**required**"
    return "" if setting.default is None else f"`{setting.default}`"


def _what(setting: SettingReference) -> str:
    text = setting.description.replace("|", "\\|").replace("<", "&lt;")
    return f"{text} (*secret*)" if setting.secret else text


if __name__ == "__main__":
    _PAGE.write_text(settings_page(), encoding="utf-8")
