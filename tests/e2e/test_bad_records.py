"""Any bytes on the activity topic end as a dead letter, byte for byte, and harm no neighbour."""

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cramjam import zstd

from tests.support.e2e.events import event
from tests.support.e2e.feeds import Message
from tests.support.e2e.lab import CREDENTIALS, Lab, Stage
from tests.support.e2e.worker_process import WorkerProcess
from tests.support.kafka.batches import batch_of, raw_batch, raw_record
from tests.support.kafka.brokers import create_topic
from tests.support.waiting import wait_until
from topics.record import Headers, Record
from worker.demo.simulator import Promotion, World

_FOREIGN: Headers = (
    ("plain", b"text"),
    ("twice", b"first"),
    ("twice", b"second"),
    ("binary", bytes(range(256))),
    ("empty", b""),
    ("null", None),
    ("enrolment.error.reason", b"of an earlier life"),
)
_MALFORMED = {
    "random bytes": os.urandom(64).replace(b"{", b"#"),
    "empty": b"",
    "blanks": b" \n",
    "cut off": b'{"eventName": "transactionAdded", "customer": {"customerId": 1',
    "a list": b"[]",
    "a number": b"17",
    "not UTF-8": b'{"eventName": "transactionAdded", "customer": {"email": "\xff\xfe"}}',
    "300 KB": b"x" * 300_000,
    "deep lists": b"[" * 100_000 + b"]" * 100_000,
    "deep objects": b'{"a":' * 40_000 + b"1" + b"}" * 40_000,
    "NaN": b'{"eventName": "transactionAdded", "amount": NaN, "customer": {"customerId": 1}}',
    "a lone surrogate": b'{"eventName": "transactionAdded", "customer": {"externalId": "\\ud800"}}',
    "too long an id": event("i" * 10_000, {"customerId": 1}),
}
_NO_IDENTIFIER = {
    "nobody": event("nobody", {}),
    "of other types": event("types", {"customerId": -1, "mobile": [], "email": {}, "externalId": None}),
    "blank": event("blank", {"mobile": "  ", "customerId": ""}),
    "too long": event("long", {"externalId": "9" * 10_000}),
    "a customer that is a list": b'{"eventName": "transactionAdded", "customer": [1]}',
}


@dataclass(frozen=True)
class _Scene:
    """Everything was fed, each bad record between two good ones of its own key, and has been worked off."""

    stage: Stage
    worker: WorkerProcess
    bad: dict[str, Record]
    good: list[str]
    started: datetime


@pytest.fixture(scope="module")
def scene(lab: Lab) -> Iterator[_Scene]:
    """Feed everything, then wait for the last of it."""
    bad = {**_MALFORMED, **_NO_IDENTIFIER, "tombstone": None}
    world = World.with_customers(2 * len(bad) + 1, Promotion(promotion_id=1))
    with lab.simulator(world) as simulator, lab.stage(simulator.api_url) as stage:
        worker = stage.worker(**CREDENTIALS)
        worker.wait_ready()
        good, messages, started = [], [], datetime.now(UTC)
        for number, value in enumerate(bad.values()):
            key = None if number == 1 else b"key \xff%d" % number
            before, after = f"good-{2 * number}", f"good-{2 * number + 1}"
            messages.append(Message(event(before, {"customerId": 2 * number + 1}), key))
            messages.append(Message(value, key, _FOREIGN))
            messages.append(Message(event(after, {"customerId": 2 * number + 2}), key))
            good += [before, after]
        records = stage.feed.send_all(messages)
        stage.wait_for_outcomes(good)
        # A tombstone leaves nothing to wait for but the commit behind it.
        wait_until(lambda: stage.committed() == {0: len(records)}, "all is committed", evidence=worker.tail)
        yield _Scene(stage, worker, dict(zip(bad, records[1::3], strict=True)), good, started)


@pytest.mark.parametrize("kind", [*_MALFORMED, *_NO_IDENTIFIER])
def test_bad_record(scene: _Scene, kind: str) -> None:
    """A bad record must come out as it went in, with what is known of the fault beside it."""
    record = scene.bad[kind]
    (letter,) = scene.stage.dead_letters.of(record)
    assert (letter.record.key, letter.record.value) == (record.key, record.value)
    assert letter.foreign == _FOREIGN
    message, first, last = (
        letter.error.pop(name) for name in ("message", "first_failed_at", "last_failed_at")
    )
    assert letter.error == {
        "reason": "no_identifier" if kind in _NO_IDENTIFIER else "malformed_event",
        "topic": record.position.topic,
        "partition": "0",
        "offset": str(record.position.offset),
        "timestamp": str(record.timestamp_ms),
        "group": scene.stage.names.group_id,
        "attempts": "1",
    }
    assert message.partition(":")[0] in {"value", "eventId", "customer"}
    assert scene.started <= datetime.fromisoformat(first) == datetime.fromisoformat(last)


@pytest.mark.parametrize("kind", [*_MALFORMED, *_NO_IDENTIFIER])
def test_outcome_of_a_bad_record(scene: _Scene, kind: str) -> None:
    """Whoever follows outcomes must learn of the dead letter, by the record's place if it has no identity."""
    record = scene.bad[kind]
    told = [
        one
        for one in scene.stage.outcomes.read()
        if one.value["activity"]["offset"] == record.position.offset
    ]
    (outcome,) = told
    assert (outcome.name, outcome.value["severity"]) == ("DEAD_LETTERED", "error")
    assert outcome.value["reason"] == scene.stage.dead_letters.of(record)[0].error["reason"]
    named = json.loads(record.value or b"{}").get("eventId") if kind in list(_NO_IDENTIFIER)[:4] else None
    assert outcome.event_id == (named or str(record.position))


def test_neighbours_are_unharmed(scene: _Scene) -> None:
    """Every good event between the bad ones must have led to its enrolment, once."""
    names = {event_id: [one.name for one in scene.stage.outcomes.of(event_id)] for event_id in scene.good}
    assert names == {event_id: ["ENROLLED"] for event_id in scene.good}


def test_tombstone(scene: _Scene) -> None:
    """A null value must be passed over: counted, and nothing else."""
    record = scene.bad["tombstone"]
    offsets = [one.value["activity"]["offset"] for one in scene.stage.outcomes.read()]
    assert record.position.offset not in offsets
    assert scene.stage.dead_letters.of(record) == []
    assert scene.worker.metric("enrolment_activity_total", result="tombstone") == 1


def test_dead_letters_are_counted(scene: _Scene) -> None:
    """The metric must agree with the topic."""
    for reason, count in (("malformed_event", len(_MALFORMED)), ("no_identifier", len(_NO_IDENTIFIER))):
        assert scene.worker.metric("enrolment_dead_letters_total", reason=reason) == count


def test_records_too_large_for_the_dead_letter_topic(lab: Lab) -> None:
    """A value that the topic cannot take must be left out, a header say so, and the worker go on."""
    world = World.with_customers(3, Promotion(promotion_id=1))
    with lab.simulator(world) as simulator, lab.stage(simulator.api_url) as stage:
        small = {"max.message.bytes": "100000"}
        lab.loop.run(create_topic(lab.bootstrap_servers, stage.names.dead_letters, 1, small))
        stage.worker(**CREDENTIALS).wait_ready()
        oversize = Message(b"x" * 200_000, b"key", _FOREIGN)
        good = [Message(event(f"good-{who}", {"customerId": who}), b"key") for who in (1, 2, 3)]
        records = stage.feed.send_all([good[0], oversize, good[1], oversize, Message(b"bad"), good[2]])
        stage.wait_for_outcomes(["good-1", "good-2", "good-3", str(records[4].position)])
        for record in (records[1], records[3]):
            (letter,) = stage.dead_letters.of(record)
            assert (letter.record.key, letter.record.value) == (b"key", b"")
            assert letter.foreign == _FOREIGN
            assert letter.error["value_omitted"]
        (kept,) = stage.dead_letters.of(records[4])
        assert (kept.record.value, kept.error.get("value_omitted")) == (b"bad", None)


def test_header_names_that_are_no_text(lab: Lab) -> None:
    """Such records must be handled like any others, and come out of the dead-letter topic byte for byte."""
    odd: Headers = ((b"caf\xe9".decode(errors="surrogateescape"), b"\xff"), *_FOREIGN)
    world = World.with_customers(3, Promotion(promotion_id=1))
    good = [event(f"good-{who}", {"customerId": who}) for who in (1, 2, 3)]
    with lab.simulator(world) as simulator, lab.stage(simulator.api_url) as stage:
        worker = stage.worker(**CREDENTIALS)
        first = stage.feed.send_raw(
            batch_of([(b"1", good[0], ()), (b"1", b"bad", odd), (b"1", good[1], odd), (b"1", None, odd)])
        )
        stage.feed.send(good[2], b"1")
        stage.wait_for_outcomes(["good-1", "good-2", "good-3"])
        (letter,) = stage.dead_letters.read()
        assert letter.error["offset"] == str(first.offset + 1)
        assert (letter.record.key, letter.record.value) == (b"1", b"bad")
        assert letter.foreign == odd
        wait_until(lambda: stage.committed() == {0: 5}, "all is committed", evidence=worker.tail)
        assert worker.stop() == 0


def test_large_records_leave_memory_bounded(lab: Lab) -> None:
    """A gigabyte of bad records must be dead-lettered one by one, in the memory of a few."""
    size, count = 10_000_000, 100
    config = {"max.message.bytes": str(2 * size)}
    world = World.with_customers(1, Promotion(promotion_id=1))
    with lab.simulator(world) as simulator, lab.stage(simulator.api_url, config=config) as stage:
        # One by one they are as large as the topic allows; packed, 200 KB on the wire are a gigabyte.
        text = b'{"eventName": "%b"}' % (b"x" * size)
        stage.feed.send_all([Message(text, b"1")] * 10)
        for _ in range(count - 10):
            stage.feed.send_raw(raw_batch(bytes(zstd.compress(raw_record(0, b"1", text))), 1, codec=4))
        stage.feed.send(event("good", {"customerId": 1}), b"1")
        worker = stage.worker(**CREDENTIALS)
        stage.wait_for_outcomes(["good"], seconds=120)
        wait_until(lambda: stage.committed() == {0: count + 1}, "all is committed", evidence=worker.tail)
        # 230 MiB of them, seen; without a bound in bytes a fetch alone brought it to a gigabyte.
        assert _peak_mebibytes(worker.pid) < 450
        letters = stage.dead_letters.read()
        assert len(letters) == count
        assert {letter.error["message"] for letter in letters} == {"value: larger than 4194304 bytes"}


def _peak_mebibytes(pid: int) -> int:
    """Return the most memory that a process has held so far."""
    (kibibytes,) = re.findall(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(kibibytes) // 1024


def test_odd_but_usable(lab: Lab) -> None:
    """What is merely odd must lead to its enrolment: large, repeated, out of range where nobody looks."""
    odd = {
        "key twice": (
            event("@", {}).replace(b"{}", b'{"customerId": "7"}, "customer": {"customerId": 0}'),
            b"1",
            (),
        ),
        "2 to the 70": (event("@", {"customerId": 0}, amount=2**70), b"1", ()),
        "year 0": (event("@", {"customerId": 0}, createdAt="0000-01-01T00:00:00Z"), b"1", ()),
        "wrong types": (event("@", {"customerId": 0, "mobile": [], "email": {}}, orgId=[1]), b"1", ()),
        "700 KB": (event("@", {"customerId": 0}, note="x" * 700_000), b"1", ()),
        "a large key": (event("@", {"customerId": 0}), b"k" * 500_000, ()),
        "many headers": (event("@", {"customerId": 0}), b"1", tuple((f"h{n}", b"x") for n in range(50_000))),
        "a large header": (event("@", {"customerId": 0}), None, (("h" * 30_000, b"\xff" * 500_000),)),
    }
    world = World.with_customers(len(odd), Promotion(promotion_id=1))
    with lab.simulator(world) as simulator, lab.stage(simulator.api_url) as stage:
        worker = stage.worker(**CREDENTIALS)
        stage.feed.send_all(
            Message(
                value.replace(b"@", name.encode()).replace(b'"customerId": 0', b'"customerId": %d' % who),
                key,
                headers,
            )
            for who, (name, (value, key, headers)) in enumerate(odd.items(), start=1)
        )
        stage.wait_for_outcomes(odd)
        assert {name: [one.name for one in stage.outcomes.of(name)] for name in odd} == {
            name: ["ENROLLED"] for name in odd
        }
        assert stage.dead_letters.read() == []
        assert worker.stop() == 0
