"""What the ledger's local copy holds: what Kafka has acknowledged, and nothing else."""

import asyncio
from collections.abc import Iterator
from os import urandom
from pathlib import Path
from typing import Any, cast

import faust
import pytest
from faust.types import TP
from faust.types.tuples import RecordMetadata

from tests.support.unit.tables import table_of
from worker.enrolment.ports import PublishFailed
from worker.kafka.topic_identity import Identity
from worker.stream.ledger.guard import LedgerGuard
from worker.stream.ledger.store import Mark, fingerprint
from worker.stream.ledger.table import LedgerTable, ledger_table

ENDS: list[str] = []
"""What the process was ended with."""
OURS, THEIRS = TP("changelog", 0), TP("changelog", 1)


@pytest.fixture(params=["memory", "rocksdb"])
def table(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LedgerTable]:
    """Give a table whose process has one partition."""
    table = table_of(request.param, tmp_path, 2, ends=ENDS.append, owns=lambda *it: it == OURS)
    ENDS.clear()
    yield table
    asyncio.run(cast("Any", table.data).stop())


def _acknowledge(table: LedgerTable, tp: TP, offset: int, value: bytes) -> None:
    kept = _acknowledged(table, tp, offset, value)
    assert kept.result() is None


def _acknowledged(table: LedgerTable, tp: TP, offset: int, value: bytes) -> "asyncio.Future[None]":
    sent = asyncio.get_running_loop().create_future()
    sent.set_result(RecordMetadata(tp.topic, tp.partition, tp, offset))
    kept = asyncio.get_running_loop().create_future()
    table.acknowledged(b"key", value, kept, sent)
    return kept


def _value(table: LedgerTable, partition: int = 0) -> object:
    return table.data.value(partition, b"key")


def _offset(table: LedgerTable) -> int | None:
    mark = table.data.mark(0)
    return None if mark is None else mark.offset


@pytest.mark.asyncio
async def test_an_entry_is_held_once_it_is_acknowledged(table: LedgerTable) -> None:
    """With its offset."""
    _acknowledge(table, OURS, 0, b"first")
    assert _value(table) == b"first"
    assert _offset(table) == 0


@pytest.mark.asyncio
async def test_what_kafka_refuses_is_not_held(table: LedgerTable) -> None:
    """Nor what was given up; the writer hears of it."""
    refused, given_up = (asyncio.get_running_loop().create_future() for _ in range(2))
    refused.set_exception(RuntimeError())
    given_up.cancel()
    for sent, name in ((refused, "RuntimeError"), (given_up, "CancelledError")):
        kept = asyncio.get_running_loop().create_future()
        table.acknowledged(b"key", b"refused", kept, sent)
        with pytest.raises(PublishFailed, match=f"^ledger: {name}$"):
            kept.result()
    assert _value(table) is None


@pytest.mark.asyncio
@pytest.mark.parametrize("table", ["rocksdb"], indirect=True)
async def test_what_the_store_refuses(table: LedgerTable) -> None:
    """A writer whose entry cannot be read back must not act on it, though Kafka has it."""
    _acknowledge(table, OURS, 0, b"first")
    cast("Any", table.data)._dbs[0].close()
    sent, kept = (asyncio.get_running_loop().create_future() for _ in range(2))
    sent.set_result(RecordMetadata(OURS.topic, OURS.partition, OURS, 1))
    table.acknowledged(b"key", b"second", kept, sent)
    with pytest.raises(PublishFailed, match=r"^ledger: DbClosedError$"):
        kept.result()


@pytest.mark.asyncio
async def test_a_writer_that_has_gone(table: LedgerTable) -> None:
    """A handler that was cancelled while it waited leaves the entry in the store, and no error behind."""
    sent, kept = (asyncio.get_running_loop().create_future() for _ in range(2))
    sent.set_result(RecordMetadata(OURS.topic, OURS.partition, OURS, 0))
    kept.cancel()
    table.acknowledged(b"key", b"first", kept, sent)
    assert _value(table) == b"first"


@pytest.mark.asyncio
async def test_a_partition_that_is_not_ours_is_left_alone(table: LedgerTable) -> None:
    """A late acknowledgement must not open the database that another process may have by now.

    Nor may its writer go by it: here the entry cannot be read back.
    """
    kept = _acknowledged(table, THEIRS, 0, b"late")
    with pytest.raises(PublishFailed):
        kept.result()
    assert not getattr(table.data, "_dbs", None)
    assert _value(table, 1) is None


@pytest.mark.asyncio
async def test_offsets_do_not_pass_what_others_wrote(table: LedgerTable) -> None:
    """After a gap the mark stays behind: the next recovery reads what is missing."""
    table.data.keep(0, [(b"key", b"recovered")], Mark(5, ""))
    _acknowledge(table, OURS, 7, b"after a gap")
    assert (_value(table), _offset(table)) == (b"after a gap", 5)
    assert ENDS == []


@pytest.mark.asyncio
async def test_an_entry_that_recovery_has_read_may_be_acknowledged_late(table: LedgerTable) -> None:
    """The store holds exactly what was written: its writer may go on, and nothing is wrong."""
    table.data.keep(0, [(b"key", b"recovered")], Mark(5, ""))
    _acknowledge(table, OURS, 4, b"recovered")
    assert (_value(table), _offset(table), ENDS) == (b"recovered", 5, [])


@pytest.mark.asyncio
async def test_an_entry_of_which_kafka_tells_no_offset(table: LedgerTable) -> None:
    """It was a repeat of one that Kafka had: it is kept, and what was followed to stays."""
    table.data.keep(0, [(b"key", b"held")], Mark(5, ""))
    _acknowledge(table, OURS, -1, b"repeated")
    assert (_value(table), _offset(table), ENDS) == (b"repeated", 5, [])


@pytest.mark.asyncio
@pytest.mark.parametrize(("kind", "stamp"), [(0, 17), (1, 23), (None, 17)])
async def test_a_mark_has_the_time_of_its_own_record(
    table: LedgerTable, kind: int | None, stamp: int
) -> None:
    """Ours where we stamp records (aiokafka tells a batch's first for all), else the broker's."""
    sent, kept = (asyncio.get_running_loop().create_future() for _ in range(2))
    sent.set_result(RecordMetadata(OURS.topic, OURS.partition, OURS, 0, 23, kind))
    table.acknowledged(b"key", b"value", kept, sent, sent_ms=17)
    assert table.data.mark(0) == Mark(0, fingerprint(b"key", b"value", stamp))


@pytest.mark.asyncio
async def test_an_entry_at_an_offset_that_was_taken(table: LedgerTable) -> None:
    """The changelog was cut or made anew: the writer is told so, as is the operator, once."""
    table.data.keep(0, [(b"key", b"held")], Mark(5, ""))
    for value in (b"first", b"second"):
        kept = _acknowledged(table, OURS, 0, value)
        with pytest.raises(PublishFailed):
            kept.result()
    assert (_value(table), _offset(table)) == (b"held", 5)
    (line,) = ENDS
    assert line.startswith("the ledger's topic changelog was cut or made anew under this worker (partition 0")
    assert "--new-ledger" in line


@pytest.mark.asyncio
async def test_a_late_entry_that_nobody_waits_for(table: LedgerTable) -> None:
    """We were frozen, and the next owner wrote on: its entry stays, and no topic was cut."""
    table.data.keep(0, [(b"key", b"theirs")], Mark(5, ""))
    sent, kept = (asyncio.get_running_loop().create_future() for _ in range(2))
    sent.set_result(RecordMetadata(OURS.topic, OURS.partition, OURS, 4))
    kept.cancel()
    table.acknowledged(b"key", b"ours", kept, sent)
    assert (_value(table), ENDS) == (b"theirs", [])


def test_the_store_keeps_what_was_written_over_many_openings(tmp_path: Path) -> None:
    """A worker's life: partitions come, are written to and go. RocksDB's expiry lost entries so."""
    app = faust.App("group", store="rocksdb://", datadir=str(tmp_path), autodiscover=False)
    guard = LedgerGuard("changelog", Identity(), ENDS.append)
    store = cast("Any", ledger_table(app, 1, guard, lambda *_: True).data)
    written = 0
    for _ in range(8):
        for _ in range(10):
            entries = [(b"%d" % number, urandom(900)) for number in range(written, written + 300)]
            written += 300
            store.keep(0, entries, Mark(written - 1, ""))
        store.revoke_partitions(store.table, {TP(store.table.changelog_topic.get_topic_name(), 0)})
        assert [n for n in range(written) if store.value(0, b"%d" % n) is None] == []
    asyncio.run(store.stop())
