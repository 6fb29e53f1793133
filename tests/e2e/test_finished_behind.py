"""What is finished behind an open event is not done again by the next owner."""

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

import pytest

from tests.support.e2e.breakable import Breakable
from tests.support.e2e.events import event
from tests.support.e2e.feeds import Message, OutcomeRecord
from tests.support.e2e.lab import CREDENTIALS, Lab, Stage
from tests.support.waiting import wait_until
from worker.demo.simulator import Endpoint, FaultRule, Promotion, RunningSimulator, World
from worker.kafka.finished import Finished, read
from worker.kafka.positions import Mark

_OPEN: Final = 1
"""The customer whom the API does not answer for."""
_BEFORE: Final = range(2, 402)
_LAST_SECOND: Final = range(402, 442)
_AFTER: Final = range(442, 452)
_PATIENT: Final = {
    # One customer's failures are neither a reason to defer the event nor an outage.
    "RETRY_MAX_ATTEMPTS": "1000",
    "RETRY_MAX_SECONDS": "0.5",
    "OUTAGE_THRESHOLD": "1000",
    **CREDENTIALS,
}
_MORE_THAN_A_COMMIT: Final = 2.5


def test_a_crash_behind_an_open_event_tells_again_what_was_not_committed_only(lab: Lab) -> None:
    """It neither looks up nor tells again the hundreds before; the group's offset waits for the open one."""
    world = World.with_customers(_AFTER[-1], Promotion(promotion_id=1))
    with lab.simulator(world) as simulator, lab.stage(simulator.api_url) as stage:
        fault = FaultRule(name="error_500", endpoint=Endpoint.LOOKUP, customer_ids=frozenset({_OPEN}))
        lab.loop.call(lambda: simulator.faults.replace(fault))
        worker = stage.worker(**_PATIENT)
        worker.wait_ready()
        (opened,) = _send(stage, [_OPEN])
        before = _send(stage, _BEFORE)
        stage.wait_for_outcomes(before)
        time.sleep(_MORE_THAN_A_COMMIT)
        assert stage.committed() == {0: 0}
        # These may be told again: no commit, or one, has come since they were sent.
        last = _send(stage, _LAST_SECOND)
        stage.wait_for_outcomes(last)
        told = list(stage.outcomes.read())
        worker.kill()
        done = _noted(stage)
        assert set(range(1, len(_BEFORE) + 1)) <= done

        asked = len(_asked(lab, simulator))
        worker.start()
        after = _send(stage, _AFTER)
        stage.wait_for_outcomes(after)
        again = stage.outcomes.read()[len(told) :]
        assert {one.event_id for one in again} <= {*last, *after}
        assert {*_asked(lab, simulator)[asked:]} <= {_OPEN, *_LAST_SECOND, *_AFTER}
        assert stage.committed() == {0: 0}
        handled = worker.metric("enrolment_activity_total")
        assert handled <= len(last) + len(after), "what is passed over is not counted"
        wait_until(lambda: len(_noted(stage)) == 450, "all but the open one is noted", evidence=worker.tail)

        lab.loop.call(simulator.faults.replace)
        stage.wait_for_outcomes([opened])
        wait_until(lambda: stage.committed() == {0: 451}, "all is committed", evidence=worker.tail)
        _each_told_once(stage.outcomes.read(), but=last)
        applied = lab.loop.call(lambda: Counter(one.customer_id for one in simulator.world.applied))
        assert applied == Counter(range(1, _AFTER[-1] + 1))
        assert worker.stop() == 0
        assert _noted(stage) == set()


@pytest.mark.long
def test_a_broker_that_takes_little_beside_an_offset(breakable: Breakable) -> None:
    """The offsets are committed with less beside them, a line says what to change, and nobody ends."""
    with (breakable.folder.parent / "server.properties").open("a") as properties:
        properties.write("\noffset.metadata.max.bytes=100\n")
    breakable.broker.kill()
    breakable.broker.restart()
    lab, world = breakable.lab, World.with_customers(_AFTER[-1], Promotion(promotion_id=1))
    with lab.simulator(world) as simulator, lab.stage(simulator.api_url) as stage:
        fault = FaultRule(name="error_500", endpoint=Endpoint.LOOKUP, customer_ids=frozenset({_OPEN}))
        lab.loop.call(lambda: simulator.faults.replace(fault))
        worker = stage.worker(**_PATIENT)
        worker.wait_ready()
        done = _send(stage, _AFTER)
        (opened,) = _send(stage, [_OPEN])
        stage.wait_for_outcomes([*done, *_send(stage, _LAST_SECOND)])
        wait_until(lambda: stage.committed() == {0: len(done)}, "a part is committed", evidence=worker.tail)
        wait_until(lambda: "offset.metadata.max.bytes" in worker.log(), "it is told", evidence=worker.tail)
        lab.loop.call(simulator.faults.replace)
        stage.wait_for_outcomes([opened])
        end = len(done) + 1 + len(_LAST_SECOND)
        wait_until(lambda: stage.committed() == {0: end}, "all is committed", evidence=worker.tail)
        assert Mark.read(stage.noted()[0][1]).topic_id, "there is room for that"
        assert worker.stop() == 0
        assert worker.log().count("offset.metadata.max.bytes)") == 1


def _each_told_once(outcomes: Iterable[OutcomeRecord], but: Sequence[str]) -> None:
    told = Counter(one.value["outcomeId"] for one in outcomes)
    assert len(told) == _AFTER[-1]
    repeated = {one.event_id for one in outcomes if told[one.value["outcomeId"]] > 1}
    assert repeated <= {*but}


def _send(stage: Stage, customers: Iterable[int]) -> list[str]:
    """Send an event of each of these customers; return their names."""
    names = {f"of-{who}": who for who in customers}
    stage.feed.send_all(
        Message(event(name, {"customerId": who}), str(who).encode(), partition=0)
        for name, who in names.items()
    )
    return list(names)


def _asked(lab: Lab, simulator: RunningSimulator) -> list[int]:
    """Return whom the API was asked about."""
    asked = lab.loop.call(lambda: [one.customer_id for one in simulator.requests.log])
    return [customer_id for customer_id in asked if customer_id is not None]


def _noted(stage: Stage) -> set[int]:
    """Return the offsets that the group has noted as finished behind the one that it has committed."""
    offset, text = stage.noted()[0]
    told = read(text, offset)
    return {offset for run in told.runs for offset in run} if isinstance(told, Finished) else set()
