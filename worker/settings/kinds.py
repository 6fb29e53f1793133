"""The kinds of values that settings have: how each is read from text, and what to tell who got it wrong."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, Strict

_DAY: Final = 86_400
_LONGEST_TOPIC: Final = 249
_LONGEST_SUFFIX: Final = len("-ledger-changelog")
_LAST_PORT: Final = 65_535
_SERVER: Final = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):(\d{1,5})")
_KAFKA_NAME: Final = r"^[A-Za-z0-9._-]+$"


@dataclass(frozen=True, slots=True)
class Expects:
    """Says what a field's value must be; it follows `must be` in the line about a wrong one."""

    text: str


def _true_or_false(value: object) -> object:
    known = {"true": True, "false": False}
    return known.get(value.lower(), value) if isinstance(value, str) else value


def _split(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _server(value: str) -> str:
    found = _SERVER.fullmatch(value)
    if found is None or not 0 < int(found[1]) <= _LAST_PORT:
        raise ValueError("not host:port")
    return value


def _base_url(value: str) -> str:
    url = urlsplit(value)
    if url.scheme not in ("http", "https") or not url.hostname or url.port == 0:
        raise ValueError("not an http(s) address")
    if "@" in url.netloc or "?" in value or "#" in value or " " in value or not value.isprintable():
        raise ValueError("more than an address")
    return value.rstrip("/")


def _kafka_name(value: str) -> str:
    if value in (".", ".."):
        raise ValueError("reserved")
    return value


def _readable_file(value: Path) -> Path:
    with value.open("rb"):
        return value


def _folder(value: Path) -> Path:
    if value.exists() and not value.is_dir():
        raise ValueError("not a folder")
    return value


def _events(value: tuple[str, ...]) -> tuple[str, ...]:
    if "*" in value and len(value) > 1:
        raise ValueError("* stands alone")
    return value


Flag = Annotated[bool, Strict(), BeforeValidator(_true_or_false), Expects("true or false")]
Count = Annotated[int, Field(ge=1, le=100_000), Expects("a whole number from 1 to 100000")]
Replicas = Annotated[int, Field(ge=1, le=32_767), Expects("a whole number from 1 to 32767")]
Budget = Annotated[int, Field(ge=0), Expects("a whole number, 0 for no limit")]
Days = Annotated[int, Field(ge=1, le=36_500), Expects("a whole number of days from 1 to 36500")]
Hours = Annotated[float, Field(ge=0, le=876_000), Expects("a number of hours, 0 for off")]
Port = Annotated[int, Field(ge=1, le=_LAST_PORT), Expects(f"a port from 1 to {_LAST_PORT}")]
Seconds = Annotated[
    float, Field(gt=0, le=7 * _DAY), Expects("a number of seconds above 0 and at most 604800")
]
SecondsOrZero = Annotated[float, Field(ge=0, le=7 * _DAY), Expects("a number of seconds from 0 to 604800")]
SessionSeconds = Annotated[float, Field(ge=1, le=1800), Expects("a number of seconds from 1 to 1800")]
Delays = Annotated[
    tuple[Seconds, Seconds, Seconds],
    BeforeValidator(_split),
    Expects("three numbers of seconds above 0, such as 30,300,1800"),
]
OrganisationId = Annotated[int | None, Field(ge=0), Expects("the number of an organisation")]
OrganisationIds = Annotated[
    tuple[Annotated[int, Field(ge=0)], ...],
    BeforeValidator(_split),
    Expects("numbers of organisations, such as 1800,1801"),
]
Ids = Annotated[
    frozenset[Annotated[int, Field(ge=0)]], BeforeValidator(_split), Expects("numbers, such as 17,18")
]
Events = Annotated[
    tuple[str, ...],
    BeforeValidator(_split),
    Field(min_length=1),
    AfterValidator(_events),
    Expects("event names, such as transactionAdded,customerAdded, or * alone for all"),
]
Servers = Annotated[
    tuple[Annotated[str, AfterValidator(_server)], ...],
    BeforeValidator(_split),
    Field(min_length=1),
    Expects("host:port,host:port, such as kafka-1:9092,kafka-2:9092"),
]
TopicName = Annotated[
    str,
    Field(pattern=_KAFKA_NAME, max_length=_LONGEST_TOPIC - _LONGEST_SUFFIX),
    AfterValidator(_kafka_name),
    Expects("a Kafka name: letters, digits, '.', '_' and '-', at most 232 characters"),
]
OptionalGroup = Annotated[
    str | None,
    Field(pattern=_KAFKA_NAME, max_length=_LONGEST_TOPIC - _LONGEST_SUFFIX),
    Expects("the consumer group of another worker"),
]
BaseUrl = Annotated[
    str,
    AfterValidator(_base_url),
    Expects(
        "an http or https address without credentials or query, such as https://eu.api.capillarytech.com"
    ),
]
Source = Literal[
    "FACEBOOK",
    "WEB_ENGAGE",
    "INSTORE",
    "MARTJACK",
    "TMALL",
    "TAOBAO",
    "JD",
    "ECOMMERCE",
    "WEBSITE",
    "LINE",
]
"""The sources that both lookup and issue know."""
HeaderName = Annotated[
    str, Field(pattern=r"^[0-9A-Za-z-]+$"), Expects("the name of an HTTP header: letters, digits and hyphens")
]
Host = Annotated[str, Field(pattern=r"^[0-9A-Za-z.:_-]+$"), Expects("a host name or address to listen on")]
OptionalFile = Annotated[
    Path | None,
    AfterValidator(lambda value: value and _readable_file(value)),
    Expects("the path of a file that this process can read"),
]
Folder = Annotated[Path, AfterValidator(_folder), Expects("the path of a folder")]
