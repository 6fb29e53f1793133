"""How the application ends when an event cannot be brought to its end, and what is said of it."""

import logging
from typing import Final

import structlog

from worker.enrolment.ports import LedgerFailed, StampRefused
from worker.stream.delivery.flow import Guards
from worker.stream.driver.application import WorkerApp
from worker.stream.driver.connections import Connections
from worker.stream.driver.consumer import Consumer
from worker.stream.driver.consumer_thread import ConsumerThread
from worker.stream.ledger.store import FAILED

_LOOP_CLOSED: Final = repr(RuntimeError("Event loop is closed"))

log = structlog.get_logger(__name__)


class GaveUp(Exception):  # noqa: N818 - reads as what happened
    """The process ends because an event could not be brought to its end."""


class ToldWhy(GaveUp):
    """The same, once a line has told why and what to do: where it was raised is nobody's matter."""


def _tells_more(line: logging.LogRecord) -> bool:
    """Tell whether a line of the framework says more than was said.

    A thread that crashed with the application has closed its loop; to stop it is no error.
    """
    given = line.args if isinstance(line.args, tuple) else ()
    return not any(isinstance(each, ToldWhy) or repr(each) == _LOOP_CLOSED for each in given)


for _kind in (WorkerApp, Consumer, ConsumerThread):
    # A service writes by its module's name.
    logging.getLogger(_kind.__module__).addFilter(_tells_more)


async def give_up(app: WorkerApp, connections: Connections, guards: Guards, error: Exception) -> None:
    """End the process for a handler's fault, unless it is told to end already; first commits what is done."""
    fault, refused = type(error).__name__, guards.partitions
    reason = GaveUp(fault)
    if isinstance(error, LedgerFailed):
        refused.refuse(FAILED)
    elif isinstance(error, StampRefused):
        log.critical(
            "giving up: Kafka refuses records as stamped too far ahead of its clock "
            "(message.timestamp.after.max.ms); synchronise this machine's clock (NTP), nothing is lost"
        )
        reason = ToldWhy(fault)
    elif not refused.refused:
        log.error("giving up: an event could not be brought to its end", error=fault)
    await connections.consumer.commit_finished()
    guards.membership.give_up()
    if not refused.refused:
        # Faust writes out what it is given; an exception's text may hold what the record held.
        await app.crash(reason)
