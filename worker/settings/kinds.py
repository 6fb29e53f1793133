"""The kinds of values that settings have: how each is read from text, and what to tell who got it wrong."""

import re
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, Strict

from topics.names import LEDGER_SUFFIX

_DAY: Final = 86_400
_LONGEST_TOPIC: Final = 249
_LAST_PORT: Final = 65_535
_SERVER: Final = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):([0-9]{1,5})")
_LABEL: Final = re.compile(r"[A-Za-z0-9_-]{1,63}")
_LONGEST_HOST: Final = 253
_URL: Final = re.compile(r"[!\"$->@-~]+")
"""Printable ASCII without blanks, '?' and '#'."""
_OUR_HEADERS: Final = frozenset(
    {
        *("accept", "accept-encoding", "authorization", "connection", "content-encoding", "content-length"),
        *("content-type", "cookie", "expect", "host", "te", "traceparent", "tracestate", "trailer"),
        *("transfer-encoding", "upgrade", "user-agent"),
    }
)
_LARGEST_NUMBER: Final = 2**63 - 1
"""What the API and our records can carry."""
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


def _host(value: str) -> str:
    """Return a name or address that could be one; whether it leads anywhere is for the network to say."""
    if ":" in value:
        return str(ip_address(value))
    if len(value) > _LONGEST_HOST or not all(_LABEL.fullmatch(label) for label in value.split(".")):
        raise ValueError("not a host name")
    return value


def _server(value: str) -> str:
    found = _SERVER.fullmatch(value)
    if found is None or not 0 < int(found[2]) <= _LAST_PORT:
        raise ValueError("not host:port")
    _host(found[1].strip("[]").removesuffix("."))
    return value


def _base_url(value: str) -> str:
    url = urlsplit(value)
    if url.scheme not in ("http", "https") or not url.hostname or url.port == 0:
        raise ValueError("not an http(s) address")
    if "@" in url.netloc or not _URL.fullmatch(value):
        raise ValueError("more than an address")
    _host(url.hostname.removesuffix("."))
    return value.rstrip("/")


def _header(value: str) -> str:
    if value.lower() in _OUR_HEADERS or value.lower().startswith("x-cap-"):
        raise ValueError("a header that requests have already")
    return value


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


def _no_star(value: tuple[str, ...]) -> tuple[str, ...]:
    if "*" in value:
        raise ValueError("names alone")
    return value


Flag = Annotated[bool, Strict(), BeforeValidator(_true_or_false), Expects("true or false")]
Count = Annotated[int, Field(ge=1, le=100_000), Expects("a whole number from 1 to 100000")]
Replicas = Annotated[int, Field(ge=1, le=32_767), Expects("a whole number from 1 to 32767")]
Budget = Annotated[int, Field(ge=0, le=10_000_000), Expects("a whole number up to 10000000, 0 for no limit")]
Days = Annotated[int, Field(ge=1, le=36_500), Expects("a whole number of days from 1 to 36500")]
Hours = Annotated[float, Field(ge=0, le=876_000), Expects("a number of hours, 0 for off")]
Port = Annotated[int, Field(ge=1, le=_LAST_PORT), Expects(f"a port from 1 to {_LAST_PORT}")]
Seconds = Annotated[float, Field(ge=0.001, le=7 * _DAY), Expects("a number of seconds from 0.001 to 604800")]
SecondsOrZero = Annotated[float, Field(ge=0, le=7 * _DAY), Expects("a number of seconds from 0 to 604800")]
SessionSeconds = Annotated[float, Field(ge=1, le=1800), Expects("a number of seconds from 1 to 1800")]
Delays = Annotated[
    tuple[Seconds, Seconds, Seconds],
    BeforeValidator(_split),
    Expects("three numbers of seconds from 0.001 to 604800, such as 30,300,1800"),
]
OrganisationId = Annotated[
    int | None, Field(ge=0, le=_LARGEST_NUMBER), Expects("the number of an organisation")
]
OrganisationIds = Annotated[
    tuple[Annotated[int, Field(ge=0, le=_LARGEST_NUMBER)], ...],
    BeforeValidator(_split),
    Expects("numbers of organisations, such as 1800,1801"),
]
Ids = Annotated[
    frozenset[Annotated[int, Field(ge=0, le=_LARGEST_NUMBER)]],
    BeforeValidator(_split),
    Expects("numbers, such as 17,18"),
]
Names = Annotated[
    tuple[str, ...],
    BeforeValidator(_split),
    AfterValidator(_no_star),
    Expects("event names, such as customerAdded,customerUpdated"),
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
    Field(pattern=_KAFKA_NAME, max_length=_LONGEST_TOPIC - len(LEDGER_SUFFIX)),
    AfterValidator(_kafka_name),
    Expects("a Kafka name: letters, digits, '.', '_' and '-', at most 232 characters"),
]
OptionalGroup = Annotated[
    str | None,
    Field(pattern=_KAFKA_NAME, max_length=_LONGEST_TOPIC - len(LEDGER_SUFFIX)),
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
    str,
    Field(pattern=r"^[0-9A-Za-z-]+$", max_length=100),
    AfterValidator(_header),
    Expects("the name of an HTTP header of its own: letters, digits and hyphens, at most 100"),
]
EntityType = Annotated[
    str | None,
    Field(pattern=r"^[A-Za-z0-9_]+$", max_length=100),
    Expects("one of Capillary's names, such as TILL or STORE_CODE: letters, digits and '_', at most 100"),
]
EntityCode = Annotated[
    str | None,
    Field(pattern=r"^[!-~]([ -~]*[!-~])?$", max_length=200),
    Expects("what an HTTP header can carry: printable ASCII, at most 200 characters"),
]
Host = Annotated[str, AfterValidator(_host), Expects("a host name or address to listen on")]
OptionalFile = Annotated[
    Path | None,
    AfterValidator(lambda value: value and _readable_file(value)),
    Expects("the path of a file that this process can read"),
]
Folder = Annotated[Path, AfterValidator(_folder), Expects("the path of a folder")]
