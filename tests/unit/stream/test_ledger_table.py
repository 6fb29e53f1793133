"""What the ledger's local copy holds: what Kafka has acknowledged, and nothing else."""

import asyncio
from collections.abc import Iterator
from os import urandom
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import faust
import pytest
from faust.types import TP
from faust.types.tuples import RecordMetadata
from rocksdict import WriteBatch

from worker.ports import PublishFailed
from worker.stream.ledger import LedgerTable, ledger_table

OURS, THEIRS = TP("changelog", 0), TP("changelog", 1)


@pytest.fixture(params=["memory", "rocksdb"])
def table(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LedgerTable]:
    """Give a table whose process has one partition."""
    app = faust.App(
        "group", store=f"{request.param}://", Table=LedgerTable, datadir=str(tmp_path), autodiscover=False
    )
    app.consumer = cast("Any", SimpleNamespace(owns=lambda tp: tp == OURS))
    table = cast("LedgerTable", app.Table("ledger", key_type=bytes, value_type=bytes, partitions=2))
    yield table
    table.data.reset_state()


def _acknowledge(table: LedgerTable, tp: TP, offset: int, value: bytes) -> None:
    sent = asyncio.get_running_loop().create_future()
    sent.set_result(RecordMetadata(tp.topic, tp.partition, tp, offset))
    kept = asyncio.get_running_loop().create_future()
    table.acknowledged(b"key", value, kept, sent)
    assert kept.result() is None


def _value(table: LedgerTable) -> object:
    return table.data.get(b"key")


@pytest.mark.asyncio
async def test_an_entry_is_held_once_it_is_acknowledged(table: LedgerTable) -> None:
    """With its offset, where the store keeps one."""
    _acknowledge(table, OURS, 0, b"first")
    assert _value(table) == b"first"
    assert table.data.persisted_offset(OURS) in {0, None}


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
    with pytest.raises(PublishFailed, match=r"^ledger: \w+$"):
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
    """A late acknowledgement must not open the database that another process may have by now."""
    _acknowledge(table, THEIRS, 0, b"late")
    assert _value(table) is None


@pytest.mark.asyncio
@pytest.mark.parametrize("table", ["rocksdb"], indirect=True)
async def test_offsets_do_not_pass_what_others_wrote(table: LedgerTable) -> None:
    """After a gap the offset stays behind, and what recovery has read already is not overwritten."""
    table.data.set_persisted_offset(OURS, 5)
    _acknowledge(table, OURS, 7, b"after a gap")
    assert (_value(table), table.data.persisted_offset(OURS)) == (b"after a gap", 5)
    _acknowledge(table, OURS, 4, b"older than what was recovered")
    assert _value(table) == b"after a gap"


def test_the_store_keeps_what_was_written_over_many_openings(tmp_path: Path) -> None:
    """A worker's life: partitions come, are written to and go. RocksDB's expiry lost entries so."""
    app = faust.App("group", store="rocksdb://", Table=LedgerTable, datadir=str(tmp_path), autodiscover=False)
    store = cast("Any", ledger_table(app, 1).data)
    written = 0
    for _ in range(8):
        for _ in range(10):
            batch = WriteBatch(raw_mode=True)
            for number in range(written, written + 300):
                batch.put(b"%d" % number, urandom(900))
            written += 300
            store._db_for_partition(0).write(batch)
        store.revoke_partitions(store.table, {TP(store.table.changelog_topic.get_topic_name(), 0)})
        assert [n for n in range(written) if store._db_for_partition(0).get(b"%d" % n) is None] == []
    store.reset_state()
