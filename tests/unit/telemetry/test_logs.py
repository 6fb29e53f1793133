"""Log lines: one a record, whoever writes them, with nothing that must not be there."""

import io
import json
import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Literal

import pytest
import structlog
from opentelemetry.sdk.trace import TracerProvider

from tests.support.use_case.values import event, record
from worker.telemetry.logs import configure_logging
from worker.telemetry.spans import Spans
from worker.telemetry.tracing import Processing


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """Put the process's logging back."""
    root, level, handlers = logging.root, logging.root.level, logging.root.handlers[:]
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name in ("httpx", "httpcore", "aiohttp.access", "aiokafka", "faust", "mode", "urllib3"):
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


def test_a_line_in_a_span_names_it() -> None:
    """Ours and a library's lines have the trace and the span that they were written in."""
    out, log = lines("INFO")
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("test")
    with tracer.start_as_current_span("work") as span:
        log.info("inside")
        logging.getLogger("faust.worker").warning("inside")
    log.info("outside")
    ours, theirs, outside = (json.loads(line) for line in out.getvalue().splitlines())
    at = span.get_span_context()
    for line in (ours, theirs):
        assert (line["trace_id"], line["span_id"]) == (f"{at.trace_id:032x}", f"{at.span_id:016x}")
    assert outside.keys() & {"trace_id", "span_id"} == set()


@pytest.mark.parametrize("layout", ["json", "console"])
def test_identifiers_are_masked_at_the_sink(layout: Literal["json", "console"]) -> None:
    """Should a line hold an identifier of the event in work after all, it is masked, however deep it lies."""
    customer = {"mobile": "919845012345", "email": "Ada@Example.com", "externalId": "EXT-é/77"}
    value = json.dumps(event(customer=customer)).encode()
    for exception in (False, True):
        out, log = lines("DEBUG", layout)
        with Processing(record(value, key=b"KEY-of-Ada"), "group", Spans()):
            names = ["ADA@example.com", b"ext-\xc3\xa9/77"]
            log.warning("asked for 919845012345", who={"of": names}, x="KEY-of-Ada")
            logging.getLogger("faust").warning("q=%s", "EXT-%C3%A9%2F77")
            if exception:
                try:
                    raise ValueError("919845012345")
                except ValueError:
                    log.exception("failed")
        written = out.getvalue().lower()
        assert written.count("***") >= 4
        for part in ("9845012345", "example.com", "%c3%a9", "/77", "key-of"):
            assert part not in written, written


def test_what_operators_need_is_not_masked() -> None:
    """Positions, ids, traces, figures and times must stay readable, also where an identifier is short."""
    value = json.dumps(event(customer={"externalId": "1234", "customerId": 482579328})).encode()
    out, log = lines("INFO")
    shown = {
        "of": "customer-activity-3-12345678901",
        "near": "topic-3-1234",
        "offset": 12345678901,
        "key": "7a30b3d0-889b-5e60-b57f-b5208e68b3e7",
        "customer": "482579328",
        "where": "/app/worker/enrolment/handler.py:5678",
        "at": "2026-01-31T10:00:00.123456Z",
    }
    with Processing(record(value, key=b"482579328"), "group", Spans()):
        log.info("shown", **shown)
    assert json.loads(out.getvalue()).items() >= shown.items()
