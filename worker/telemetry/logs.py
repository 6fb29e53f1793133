"""Log lines: one a record, as JSON or for a console, whoever writes them (the worker, Faust, aiokafka).

Lines never hold an identifier of a customer. Libraries that would write some, in addresses or in dumps
of requests, are held above the level at which they do, whatever level is asked for; and what still comes
through is masked right before it is written. A line written in a span has its `trace_id` and `span_id`.
"""

import logging
import sys
import threading
from typing import Final, Literal, TextIO

import structlog
from opentelemetry import trace
from structlog.typing import EventDict, Processor, WrappedLogger

from worker.telemetry.redaction import without_persons
from worker.telemetry.repetitions import Repetitions
from worker.telemetry.tracing import record_in_work

_FLOORS: Final = {
    "httpx": logging.WARNING,  # INFO has every URL
    "httpcore": logging.WARNING,
    "aiohttp.access": logging.WARNING,  # each probe of /live
    "aiokafka": logging.WARNING,  # DEBUG dumps requests with their records
    "faust": logging.WARNING,  # INFO is a line for each part that starts and stops, DEBUG shows records
    "mode": logging.WARNING,
    "urllib3": logging.WARNING,  # below the OTLP exporter; DEBUG is a line for each batch that it sends
}
_OURS: Final = frozenset({"time", "level", "logger", "trace_id", "span_id"})
"""Fields that no caller fills."""
_PART_MARK: Final = "[^"
"""How mode begins its lines about parts of the process, also those of ours."""


def configure_logging(level: str, layout: Literal["json", "console"], stream: TextIO | None = None) -> None:
    """Send every record of this process to `stream`, standard error unless given; the last call counts.

    JSON lines have `time` (RFC 3339, UTC), `level`, `logger`, `message`, the fields that the caller gave,
    and `exception`, a traceback without the values of variables.
    """
    common: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        structlog.processors.StackInfoRenderer(),
        _in_span,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            *common,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    out = sys.stderr if stream is None else stream
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=common,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                # Before the console's own formatter of exceptions, which shows the values of variables.
                structlog.processors.format_exc_info,
                _without_persons,
                *(_json() if layout == "json" else _console(colours=out.isatty())),
            ],
        )
    )
    handler.addFilter(_is_worth_a_line)
    handler.addFilter(Repetitions())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
    threading.excepthook = _thread_ended
    for name, floor in _FLOORS.items():
        logging.getLogger(name).setLevel(max(floor, logging.root.level))


def _thread_ended(fault: threading.ExceptHookArgs) -> None:
    """Log what ended a thread; Python would write its traceback past the log."""
    if fault.exc_value is not None and not isinstance(fault.exc_value, SystemExit):
        name = fault.thread.name if fault.thread else "?"
        logging.getLogger(__name__).error("a thread ended on a fault: %s", name, exc_info=fault.exc_value)


def _is_worth_a_line(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING or not str(record.msg).startswith(_PART_MARK)


def _in_span(_: WrappedLogger, __: str, line: EventDict) -> EventDict:
    """Name the span that the line is written in."""
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        line["trace_id"], line["span_id"] = f"{context.trace_id:032x}", f"{context.span_id:016x}"
    return line


def _without_persons(_: WrappedLogger, __: str, line: EventDict) -> EventDict:
    record = record_in_work()
    return {name: value if name in _OURS else without_persons(value, record) for name, value in line.items()}


def _json() -> list[Processor]:
    return [structlog.processors.EventRenamer("message"), structlog.processors.JSONRenderer()]


def _console(*, colours: bool) -> list[Processor]:
    return [structlog.dev.ConsoleRenderer(colors=colours, timestamp_key="time")]
