"""The settings as people read them: for the help, the manual, and the log at start."""

from dataclasses import dataclass

from pydantic.fields import FieldInfo

from worker.settings.model import GROUPS
from worker.settings.naming import is_secret, variable


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingReference:
    """One setting. `default` is None if there is none; `secret` ones may be given as NAME_FILE."""

    name: str
    description: str
    default: str | None
    required: bool
    secret: bool


@dataclass(frozen=True, slots=True)
class GroupReference:
    """Settings that belong together."""

    title: str
    settings: tuple[SettingReference, ...]


def reference() -> tuple[GroupReference, ...]:
    """Return every setting with its description and default, grouped, in the order of the help."""
    return tuple(
        GroupReference(
            group.title, tuple(_described(field, info) for field, info in group.model_fields.items())
        )
        for group in GROUPS
    )


def _described(field: str, info: FieldInfo) -> SettingReference:
    return SettingReference(
        name=variable(field),
        description=info.description or "",
        default=None if info.is_required() else _text(info.default),
        required=info.is_required(),
        secret=is_secret(info),
    )


def _text(default: object) -> str | None:
    match default:
        case None | () | frozenset():
            return None
        case bool():
            return str(default).lower()
        case float():
            return f"{default:g}"
        case tuple():
            return ",".join(_text(part) or "" for part in default)
        case _:
            return str(default)
