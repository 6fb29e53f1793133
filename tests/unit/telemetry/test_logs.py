"""Log lines: one a record, whoever writes them, with nothing that must not be there."""

import io
import json
import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Literal

import pytest
import structlog

from worker.telemetry.logs import configure_logging


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """Put the process's logging back."""
    root, level, handlers = logging.root, logging.root.level, logging.root.handlers[:]
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name in ("httpx", "httpcore", "aiohttp.access", "aiokafka", "faust", "mode"):
        logging.getLogger(name).setLevel(logging.NOTSET)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


def lines(
    level: str, layout: Literal["json", "console"] = "json"
) -> tuple[io.StringIO, structlog.BoundLogger]:
    """Configure logging; return where lines go, and a logger."""
    out = io.StringIO()
    configure_logging(level, layout, out)
    return out, structlog.get_logger("worker.test")


def divide(secret: str) -> float:
    """Fail with a secret in a local variable."""
    return len(secret) / 0


def test_our_lines_and_theirs_have_the_same_fields() -> None:
    """A line of ours and a line of Faust's are JSON objects with time, level, logger and message."""
    out, log = lines("INFO")
    log.info("pushed back", partition=3)
    logging.getLogger("faust.worker").warning("two\nlines of %s", "Faust")
    ours, theirs = (json.loads(line) for line in out.getvalue().splitlines())
    assert ours.pop("partition") == 3
    assert datetime.fromisoformat(ours.pop("time")).utcoffset() == timedelta(0)
    assert ours == {"level": "info", "logger": "worker.test", "message": "pushed back"}
    theirs.pop("time")
    assert theirs == {"level": "warning", "logger": "faust.worker", "message": "two\nlines of Faust"}


def test_an_exception_is_a_field_without_local_values() -> None:
    """A traceback stays within its record's line and does not show variables; on a console neither."""
    for layout in ("json", "console"):
        out, log = lines("INFO", layout)
        try:
            divide("-".join("491701234567"))
        except ZeroDivisionError:
            log.exception("could not divide")
        assert "ZeroDivisionError" in out.getvalue()
        assert "4-9-1-7" not in out.getvalue()
        if layout == "json":
            assert "ZeroDivisionError" in json.loads(out.getvalue())["exception"]


def test_libraries_that_write_identifiers_are_held_back() -> None:
    """Not even DEBUG lets through addresses of requests, dumps of records, or each probe."""
    out, log = lines("DEBUG")
    for name in ("httpx", "httpcore.http11", "aiokafka.consumer.fetcher", "aiohttp.access"):
        logging.getLogger(name).info("GET /customers?mobile=491701234567")
    logging.getLogger("faust.agent").debug("record 491701234567")
    log.debug("shown")
    (line,) = out.getvalue().splitlines()
    assert json.loads(line)["message"] == "shown"


def test_the_level_holds_for_everyone() -> None:
    """A level above a library's floor silences the library too."""
    out, log = lines("ERROR")
    log.warning("not shown")
    logging.getLogger("aiokafka").warning("not shown")
    assert out.getvalue() == ""
