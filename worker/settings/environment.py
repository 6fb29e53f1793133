"""Reading settings from an environment, with every fault found at once."""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar, get_args, get_origin, overload

from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from worker.settings.kinds import Expects
from worker.settings.model import KafkaSettings, Settings
from worker.settings.naming import file_variable, is_foreign, is_secret, nearest, variable
from worker.settings.rules import broken_rules

S = TypeVar("S", bound=KafkaSettings)

_SHOWN: Final = 250
"""Characters of a wrong value that are shown."""


class SettingsError(Exception):
    """The settings are no good. `faults` has one line for each fault, none of them with a secret's value."""

    def __init__(self, faults: tuple[str, ...]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class _Fault(Exception):  # noqa: N818 - becomes a line of a SettingsError, never leaves this module
    """What is wrong with one setting, as a line."""


@overload
def load_settings(environ: Mapping[str, str]) -> Settings: ...
@overload
def load_settings(environ: Mapping[str, str], model: type[S]) -> S: ...
def load_settings(environ: Mapping[str, str], model: type[KafkaSettings] = Settings) -> KafkaSettings:
    """Return the settings that a command needs: all of them for the worker, a part for `topics`.

    An empty variable counts as not given. Variables of settings outside `model` are not validated, but
    their names are. Blocks for as long as reading the named files takes. Raises SettingsError with all
    faults at once.
    """
    faults = list(_unknown(environ))
    values: dict[str, Any] = {}
    sound: set[str] = set()
    for field, info in model.model_fields.items():
        try:
            text = _given(environ, field, info)
            if text is not None:
                values[field] = _parsed(field, info, text)
            elif info.is_required():
                raise _Fault(f"{variable(field)} is required; set it to {_expectation(info)}")
            sound.add(field)
        except _Fault as fault:
            faults.append(str(fault))
    draft = model.model_construct(**values)
    faults.extend(broken_rules(draft, frozenset(sound)))
    if faults:
        raise SettingsError(tuple(faults))
    return draft


def _unknown(environ: Mapping[str, str]) -> Iterator[str]:
    known = frozenset(_known())
    for name in sorted(environ):
        if name not in known and not is_foreign(name):
            yield f"{name} is not a setting; did you mean {nearest(name, known)}?"


def _known() -> Iterator[str]:
    for field, info in Settings.model_fields.items():
        yield variable(field)
        if is_secret(info):
            yield file_variable(field)


def _given(environ: Mapping[str, str], field: str, info: FieldInfo) -> str | None:
    if not is_secret(info):
        return environ.get(variable(field), "").strip() or None
    value = environ.get(variable(field)) or None
    file = environ.get(file_variable(field)) or None
    if value and file:
        raise _Fault(f"{variable(field)} and {file_variable(field)} are both given; keep one of them")
    return _content(file_variable(field), Path(file)) if file else value


def _content(name: str, file: Path) -> str:
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise _Fault(
            f"{name} names {file}, which cannot be read ({error.strerror}); correct its path or permissions"
        ) from None
    except UnicodeDecodeError:
        raise _Fault(
            f"{name} names {file}, which is not UTF-8 text; write the secret alone into it"
        ) from None
    if not (secret := text.removesuffix("\n").removesuffix("\r")):
        raise _Fault(f"{name} names {file}, which is empty; write the secret into it")
    return secret


def _parsed(field: str, info: FieldInfo, text: str) -> object:
    try:
        adapter: TypeAdapter[object] = TypeAdapter(Annotated[info.annotation, info])  # type: ignore[arg-type]
        return adapter.validate_python(text)
    except (ValidationError, OSError):
        raise _Fault(f"{variable(field)} is {_shown(text)}; it must be {_expectation(info)}") from None


def _shown(text: str) -> str:
    """Return a value within a line: nothing of it breaks the line, or makes it endless."""
    if text.startswith("tcp://"):
        return (
            f'"{text}", as Kubernetes sets it for a Service of that name (enableServiceLinks: false stops it)'
        )
    # A misplaced address with credentials or a token in it.
    if "@" in text or "?" in text:
        return "not shown here"
    shown = "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text[:_SHOWN])
    return f'"{shown}"' if len(text) <= _SHOWN else f'"{shown}..." ({len(text)} characters)'


def _expectation(info: FieldInfo) -> str:
    for note in info.metadata:
        if isinstance(note, Expects):
            return note.text
    return "one of " + ", ".join(_choices(info.annotation))


def _choices(annotation: object) -> Iterator[str]:
    if get_origin(annotation) is Literal:
        yield from get_args(annotation)
    elif isinstance(annotation, type) and issubclass(annotation, StrEnum):
        yield from annotation
    else:
        for part in get_args(annotation):
            yield from _choices(part)
