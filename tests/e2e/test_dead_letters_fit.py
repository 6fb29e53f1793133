"""Whatever a record holds, its dead letter fits; what it says of itself is believed when it is so."""

import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from tests.support.e2e.events import event
from tests.support.e2e.feeds import DeadLetter
from tests.support.e2e.lab import CREDENTIALS, Lab, Stage
from tests.support.e2e.worker_process import WorkerProcess
from tests.support.kafka.batches import raw_batch, raw_record
from tests.support.kafka.brokers import create_topic
from tests.support.waiting import wait_until
from topics.dead_letter import DeadLetterReason, Failure, dead_letter_headers
from topics.record import Headers, Position
from worker.demo.simulator import Endpoint, FaultRule, Promotion, World

pytestmark = pytest.mark.timeout(110)

_MANY = 3_000_000
_LARGE: Headers = (("large", bytes(_MANY)),)
_PACKED = {
    "key": (bytes(_MANY), b"bad", ()),
    "headers": (b"1", b"bad", _LARGE),
    "key and headers": (bytes(_MANY), bytes(_MANY), _LARGE),
    "headers alone": (None, b"", _LARGE),
}
"""Gzip makes kilobytes of them, which is what the broker measures."""
_OMITTED = {
    "key": {"value_omitted": "true", "key_omitted": str(_MANY)},
    "headers": {"value_omitted": "true", "headers_omitted": "true"},
    "key and headers": {"value_omitted": "true", "headers_omitted": "true", "key_omitted": str(_MANY)},
    "headers alone": {"headers_omitted": "true"},
}
_REDRIVEN = "enrolment.redriven"


@dataclass(frozen=True)
class _Scene:
    """Everything was fed and has been worked off."""

    stage: Stage
    worker: WorkerProcess
    packed: dict[str, Position]
    forged: dict[str, Position]


@pytest.fixture(scope="module")
def scene(lab: Lab) -> Iterator[_Scene]:
    """Feed everything, then wait for the last of it."""
    world = World.with_customers(2, Promotion(promotion_id=1))
    with lab.simulator(world) as simulator, lab.stage(simulator.api_url) as stage:
        packed = {}
        for name, (key, value, headers) in _PACKED.items():
            records = gzip.compress(raw_record(0, key, value, headers))
            packed[name] = stage.feed.send_raw(raw_batch(records, 1, codec=1))
        forged = {name: stage.feed.send_raw(_as_batch(each)) for name, each in _forged(stage).items()}
        retry_topic = stage.names.retries[0]
        worker = stage.worker(RETRY_DELAYS_SECONDS="0.1,0.1,0.1", **CREDENTIALS)
        worker.wait_ready()
        feed = stage.feed_of(retry_topic)
        for each in _damaged(stage):
            feed.send_raw(_as_batch(each))
        stage.feed.send(event("good", {"customerId": 1}), b"2")
        stage.wait_for_outcomes(["good"])
        total = len(packed) + len(forged) + 1
        wait_until(lambda: stage.committed() == {0: total}, "all is committed", evidence=worker.tail)
        wait_until(
            lambda: stage.lab.committed(stage.names.group_id, retry_topic) == {0: len(_damaged(stage))},
            "all retries are committed",
            evidence=worker.tail,
        )
        yield _Scene(stage, worker, packed, forged)


@pytest.mark.parametrize("kind", _PACKED)
def test_what_does_not_fit_is_left_out_and_named(scene: _Scene, kind: str) -> None:
    """First the value, then foreign headers, then the key; what is left is as it came."""
    letter = _letter(scene, scene.packed[kind])
    key, value, headers = _PACKED[kind]
    omitted = {name: text for name, text in letter.error.items() if name.endswith("_omitted")}

    assert omitted == _OMITTED[kind]
    assert letter.record.key == (None if "key_omitted" in omitted else key)
    assert letter.record.value == (b"" if "value_omitted" in omitted else value)
    ours = [name for name, _ in letter.foreign if name != "traceparent"]
    assert ours == ([] if "headers_omitted" in omitted else [name for name, _ in headers])
    assert letter.error["reason"] == "malformed_event"


@pytest.mark.parametrize("kind", ["a redrive of nothing", "an unreadable batch", "far numbers", "no text"])
def test_a_record_that_lies_about_itself_is_an_event_like_any_other(scene: _Scene, kind: str) -> None:
    """Nothing but its own position is its identity; what it says is its own affair."""
    at = scene.forged[kind]
    told = [each.name for each in scene.stage.outcomes.of(str(at))]

    assert told in (["ENROLLED"], ["ALREADY_ENROLLED"])
    (outcome,) = scene.stage.outcomes.of(str(at))
    activity = outcome.value["activity"]
    assert (activity["topic"], activity["offset"]) == (at.topic, at.offset)


def test_forged_headers_are_foreign_ones_of_the_dead_letter(scene: _Scene) -> None:
    """They are kept byte for byte, before ours."""
    letter = _letter(scene, scene.forged["a bad value"])

    assert letter.error["reason"] == "malformed_event"
    assert letter.error["offset"] == str(scene.forged["a bad value"].offset)
    kept = letter.record.headers[: len(_claims(scene.stage))]
    assert kept == _claims(scene.stage)


def test_damaged_retries_are_dead_letters(scene: _Scene) -> None:
    """Also one without a key and a value."""
    wanted = len(_damaged(scene.stage))
    letters = [each for each in scene.stage.dead_letters.read() if each.error["topic"].endswith("-retry-1")]

    assert [each.error["reason"] for each in letters] == ["malformed_event"] * wanted
    assert [(each.record.key, each.record.value) for each in letters] == [
        (key, value) for key, value, _ in _damaged(scene.stage)
    ]


def test_the_worker_goes_on(scene: _Scene) -> None:
    """It ends when it is told to."""
    assert scene.worker.stop() == 0


_Record = tuple[bytes | None, bytes | None, Headers]


def _letter(scene: _Scene, at: Position) -> DeadLetter:
    (found,) = [
        each
        for each in scene.stage.dead_letters.read()
        if (each.error["topic"], each.error["offset"]) == (at.topic, str(at.offset))
    ]
    return found


def _claims(stage: Stage, **changed: bytes) -> Headers:
    """Return the headers of a redrive that never was; a change is of the header with that name."""
    failure = Failure(
        reason=DeadLetterReason.RETRIES_EXHAUSTED,
        message="lookup: HTTP 500",
        position=Position(stage.names.activity, 0, 2),
        timestamp_ms=1_769_853_600_000,
        group=stage.names.group_id,
        attempts=5,
        first_failed_at=datetime(2026, 1, 31, 10, tzinfo=UTC),
        last_failed_at=datetime(2026, 1, 31, 10, tzinfo=UTC),
    )
    mark = (_REDRIVEN, f"{stage.names.dead_letters}-0-1".encode())
    return tuple(
        (name, changed.get(name.rpartition(".")[2], value))
        for name, value in (*dead_letter_headers((), failure), mark)
    )


def _forged(stage: Stage) -> dict[str, _Record]:
    """Return records of the activity topic that bear our headers."""
    body = b'{"eventName": "transactionAdded", "customer": {"customerId": 2}}'
    huge = str(2**70).encode()
    return {
        "null and null": (None, None, _claims(stage)),
        "null and null, damaged": (None, None, _claims(stage, partition=b"?")),
        "null and a bad value": (None, b"", _claims(stage, offset=b"?")),
        "a bad value": (b"k", b"[]", _claims(stage)),
        "a redrive of nothing": (b"k", body, _claims(stage)),
        "an unreadable batch": (b"k", body, (("enrolment.error.unreadable", b"1-2"), *_claims(stage))),
        "far numbers": (
            b"k",
            body,
            _claims(
                stage,
                offset=huge,
                partition=b"-1",
                attempts=b"many",
                timestamp=huge,
                first_failed_at=b"9999-12-31T23:59:59-23:59",
                redriven=f"{stage.names.dead_letters}-{2**40}-{2**62}".encode(),
            ),
        ),
        "no text": (
            b"k",
            body,
            _claims(stage, reason=b"\xff", message=b"\x00\xff", group=b"\xff", redriven=b"\xff"),
        ),
    }


def _damaged(stage: Stage) -> list[_Record]:
    """Return records of a retry topic that say they are ours, and cannot be."""
    return [
        (None, None, _claims(stage, offset=b"?")),
        (None, b"", _claims(stage, topic=b"x" * 500_000)),
        (b"k", b"{}", _claims(stage, offset=b"-5")),
        (b"k", b"{}", _claims(stage, attempts=b"many")),
        (b"k", None, _claims(stage, timestamp=b"9" * 5000)),
    ]


def _as_batch(record: _Record) -> bytes:
    return raw_batch(raw_record(0, *record), 1, timestamp=round(datetime.now(UTC).timestamp() * 1000))


@pytest.mark.parametrize("is_made", [False, True])
def test_a_large_event_keeps_its_value_on_its_way(lab: Lab, is_made: bool) -> None:  # noqa: FBT001 - a case
    """Topics that the worker makes have the activity topic's room; of those that are there it tells."""
    world = World.with_customers(1, Promotion(promotion_id=1))
    fault = FaultRule(name="error_500", endpoint=Endpoint.LOOKUP)
    large = {"max.message.bytes": "4000000"}
    with lab.simulator(world) as simulator, lab.stage(simulator.api_url, config=large) as stage:
        if is_made:
            lab.loop.run(create_topic(lab.bootstrap_servers, stage.names.retries[0], 1, {}))
        lab.loop.call(lambda: simulator.faults.replace(fault))
        once = {"RETRY_MAX_ATTEMPTS": "1", "OUTAGE_THRESHOLD": "100", "RETRY_DELAYS_SECONDS": "1,1,1"}
        worker = stage.worker(**once, **CREDENTIALS)
        sent = stage.feed.send(event("large", {"customerId": 1}, note="x" * 2_000_000), b"1")
        stage.wait_for_outcomes(["large"])
        lab.loop.call(simulator.faults.replace)
        if is_made:
            (letter,) = stage.dead_letters.of(sent)
            assert (letter.record.value, letter.error["reason"]) == (sent.value, "retries_exhausted")
            assert "set max.message.bytes" in worker.tail()
        else:
            outcomes = stage.outcomes
            wait_until(lambda: "ENROLLED" in {one.name for one in outcomes.read()}, "it is enrolled")
            assert {each.record.value for each in stage.retries[0].read()} == {sent.value}
