"""Faust, mode and aiokafka still are what the running stream replaces and reaches into.

Each class of ours below one of theirs is found by itself, and what it replaces is compared with the release
that is installed: with what is written here of the release that the code was written for, and with ours.
"""

import ast
import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import aiokafka
import pytest
from aiokafka.client import AIOKafkaClient
from aiokafka.consumer import fetcher
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.record import default_records
from faust.stores import memory, rocksdb
from faust.tables.manager import TableManager
from faust.transport.consumer import Consumer as AnyConsumer
from faust.transport.consumer import ThreadDelegateConsumer
from faust.transport.drivers import aiokafka as driver
from mode.worker import Worker

import worker.kafka
import worker.stream

_OURS: Final = ("worker", "tests")
_FRAMEWORKS: Final = ("faust", "mode", "aiokafka")
_NOBODYS: Final = ("builtins", "typing", "abc", "collections")
_MADE_BY_PYTHON: Final = frozenset({"__init__", "_abc_impl", "__module__", "__doc__", "__orig_bases__"}) | {
    "__parameters__",
    "__subclasshook__",
    "_is_protocol",
    "__annotations__",
    "__abstractmethods__",
    "__static_attributes__",
    "__firstlineno__",
    # mode's, for each service.
    "logger",
    "_tasks",
}
"""The constructor is called by us alone, or passes all on."""
_CALLED_WITHOUT: Final = frozenset({"_read_msg"})
"""What its class calls without the parameter that it offers."""

REPLACED: Final[dict[str, dict[str, str]]] = {
    "kafka.errors.Unreached": {"__str__": "(self)"},
    "kafka.protocol_guess.WrongProtocol": {"__str__": "(self)"},
    "kafka.log_extent._EpochEnds": {"build": "(self, request_struct_class)"},
    "kafka.log_extent._EpochEndsRequest": {"SCHEMA": "Schema"},
    "kafka.log_extent._EpochEndsResponse": {
        "API_KEY": "property",
        "API_VERSION": "property",
        "SCHEMA": "Schema",
    },
    "kafka.raw_batches._ByHand": {
        "_maybe_uncompress": "(self)",
        "_read_msg": "(self, decode_varint=Ellipsis)",
    },
    "kafka.raw_batches._PartitionRecords": {"_unpack_records": "(self)"},
    "kafka.raw_batches._RememberingRecords": {"next_batch": "(self)"},
    "kafka.raw_headers._RawBatch": {
        "_set_producer_state": "(self, producer_id, producer_epoch, base_sequence)"
    },
    "kafka.topic_ids.TopicMetadata": {"build": "(self, request_struct_class)"},
    "kafka.topic_ids._MetadataRequest": {"FLEXIBLE_VERSION": "bool", "SCHEMA": "Schema"},
    "kafka.topic_ids._MetadataResponse": {
        "API_KEY": "property",
        "API_VERSION": "property",
        "SCHEMA": "Schema",
    },
    "kafka.topic_ids._TopicId": {"decode": "(cls, data)", "encode": "(cls, value)"},
    "stream.driver.application.WorkerApp": {
        "FlowControlQueue": "(self, maxsize=None, *, clear_on_resume=False)",
        "_on_partitions_revoked": "(self, revoked)",
        "_on_rebalance_when_stopped": "(self)",
        "on_stop": "(self)",
    },
    "stream.driver.buffer.Buffer": {
        "_get": "(self)",
        "_put": "(self, item)",
        "clear": "(self)",
        "qsize": "(self)",
    },
    "stream.driver.consumer.Consumer": {
        "_commit": "(self, offsets)",
        "_filter_tps_with_pending_acks": "(self, topics=None)",
        "_getmany": "(self, active_partitions, timeout)",
        "_new_consumer_thread": "(self)",
        "_new_offset": "(self, tp)",
        "_should_commit": "(self, tp, offset)",
        "_wait_next_records": "(self, timeout)",
        "on_partitions_assigned": "(self, assigned, generation_id=0)",
        "perform_seek": "(self)",
        "verify_all_partitions_active": "(self)",
        "wait_empty": "(self)",
    },
    "stream.driver.consumer_thread.ConsumerThread": {
        "_create_worker_consumer": "(self, transport)",
        "on_start": "(self)",
        "on_thread_stop": "(self)",
        "topic_partitions": "(self, topic)",
    },
    "stream.driver.transport.Transport": {
        "create_consumer": "(self, callback, **kwargs)",
        "create_producer": "(self, **kwargs)",
    },
    "stream.driver.producer.Producer": {
        "_new_producer": "(self, transactional_id=None)",
        "_settings_extra": "(self)",
        "flush": "(self)",
        "on_start": "(self)",
    },
    "stream.driver.producer.Withheld": {"retriable": "bool"},
    "stream.driver.recovery.RawRecovery": {
        "_build_offsets": "(self, consumer, tps, destination, title)",
        "_wait": "(self, coro, timeout=None)",
    },
    "stream.driver.recovery.RebuildingTables": {"on_start": "(self)", "recovery": "property"},
    "stream.health.watchdog.Watchdog": {"on_start": "(self)", "on_stop": "(self)"},
    "stream.ledger.disk.DiskLedger": {
        "_open_for_partition": "(self, partition)",
        "offset_key": "bytes",
        "persisted_offset": "(self, tp)",
        "revoke_partitions": "(self, table, tps)",
        "set_persisted_offset": "(self, tp, offset)",
        "stop": "(self)",
    },
    "stream.ledger.follower.LedgerFollower": {"on_start": "(self)", "on_stop": "(self)"},
    "stream.ledger.store.MemoryLedger": {
        "on_rebalance": "(self, assigned, revoked, newly_assigned, generation_id=0)"
    },
    "stream.ledger.table.LedgerTable": {"_new_store_by_url": "(self, url)"},
    "stream.process.Closing": {"on_stop": "(self)"},
    "stream.process.Process": {"install_signal_handlers": "(self)"},
}
"""Of each class of ours: what it replaces, with the parameters that the framework has."""

REACHED: Final[dict[str, Any]] = {
    "_DefaultRecordBatchBuilderPy": default_records,
    "_DefaultRecordBatchPy": default_records,
    "_acked": AnyConsumer,
    "_acked_index": AnyConsumer,
    "_buffer": default_records._DefaultRecordBatchPy,
    "_client": aiokafka.AIOKafkaConsumer,
    "_committed_offset": AnyConsumer,
    "_connections_max_idle_ms": AIOKafkaClient,
    "_conns": AIOKafkaClient,
    "_consumer": driver.AIOKafkaConsumerThread,
    "_consumer_record": fetcher.PartitionRecords,
    "_closed": Fetcher,
    "_closing": GroupCoordinator,
    "_coordination_task": GroupCoordinator,
    "_coordinator": aiokafka.AIOKafkaConsumer,
    "_db_for_partition": rocksdb.Store,
    "_dbs": rocksdb.Store,
    "_do_heartbeat": GroupCoordinator,
    "_do_rejoin_group": GroupCoordinator,
    "_ensure_consumer": driver.AIOKafkaConsumerThread,
    "_ensure_producer": driver.Producer,
    "_fetch_task": Fetcher,
    "_fetch_max_wait_ms": aiokafka.AIOKafkaConsumer,
    "_fetcher": aiokafka.AIOKafkaConsumer,
    "_gap": AnyConsumer,
    "_get_active_partitions": AnyConsumer,
    "_isolation_level": aiokafka.AIOKafkaConsumer,
    "_key_partition": memory.Store,
    "_md_synchronizer": AIOKafkaClient,
    "_on_join_complete": GroupCoordinator,
    "_partition": aiokafka.AIOKafkaProducer,
    "_partition_records": fetcher.FetchResult,
    "_producer": driver.Producer,
    "_push_error_to_user": GroupCoordinator,
    "_records": Fetcher,
    "_recovery": TableManager,
    "_request_timeout_ms": AIOKafkaClient,
    "_schedule_shutdown": Worker,
    "_send_req": GroupCoordinator,
    "_send_request": aiokafka.admin.AIOKafkaAdminClient,
    "_set_error": Fetcher,
    "_subscription": aiokafka.AIOKafkaConsumer,
    "_sync_task": AIOKafkaClient,
    "_thread": ThreadDelegateConsumer,
    "_tp": fetcher.PartitionRecords,
    "_txn_manager": aiokafka.AIOKafkaProducer,
    "_unacked_messages": AnyConsumer,
    "_update_channels": TableManager,
    "_wait_on_metadata": AIOKafkaClient,
}
"""Each name of theirs that begins with an underscore and is used, with whoever has it."""


def _modules() -> Iterator[ModuleType]:
    for package in (worker.stream, worker.kafka):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            yield importlib.import_module(found.name)


def _is_of(kind: type, *packages: str) -> bool:
    return kind.__module__.split(".")[0] in packages


def _classes() -> dict[str, type]:
    """Return the classes of ours that are below one of a framework's."""
    return {
        f"{module.__name__.removeprefix('worker.')}.{name}": kind
        for module in _modules()
        for name, kind in vars(module).items()
        if isinstance(kind, type)
        and kind.__module__ == module.__name__
        and any(_is_of(base, *_FRAMEWORKS) for base in kind.__mro__)
    }


def _replaced(kind: type) -> dict[str, object]:
    """Return what the class replaces, by name, as those above it have it."""
    above = [base for base in kind.__mro__ if not _is_of(base, *_OURS, *_NOBODYS)]
    found = {name: next((base for base in above if name in vars(base)), None) for name in vars(kind)}
    return {
        name: vars(base)[name]
        for name, base in found.items()
        if base is not None and name not in _MADE_BY_PYTHON
    }


def _parameters(it: object) -> str:
    """Return the parameters without annotations; for what is no method, what it is."""
    if isinstance(it, classmethod | staticmethod):
        it = it.__func__
    if not inspect.isroutine(it):
        return type(it).__name__
    signature = inspect.signature(it)
    bare = [
        each.replace(
            annotation=each.empty,
            default=... if callable(each.default) and each.default is not each.empty else each.default,
        )
        for each in signature.parameters.values()
    ]
    return str(inspect.Signature(bare))


def _takes_as_much(ours: Callable[..., object], theirs: Callable[..., object]) -> bool:
    """Whether each call of theirs, by position or by name, is one of ours too."""
    mine, its = (inspect.signature(each).parameters for each in (ours, theirs))
    kinds = {each.kind for each in mine.values()}
    if inspect.Parameter.VAR_POSITIONAL in kinds:
        return True
    if len(mine) < len(its) or any(each.default is each.empty for each in list(mine.values())[len(its) :]):
        return False
    # One of ours that is not used begins with an underscore: then nothing may give it by name.
    return all(one in (name, "_") for one, name in zip(mine, its, strict=False))


def test_what_is_replaced_is_what_is_written_here() -> None:
    """No class, method or attribute more or less, and none that the framework declares in another way."""
    found = {
        name: {one: _parameters(it) for one, it in sorted(_replaced(kind).items())}
        for name, kind in _classes().items()
    }
    assert {name: those for name, those in found.items() if those} == REPLACED


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind in _classes().values() for name in _replaced(kind)]
)
def test_what_replaces_takes_what_was_taken(kind: type, name: str) -> None:
    """Whatever calls the framework's own method can call ours."""
    ours, theirs = vars(kind)[name], _replaced(kind)[name]
    if inspect.isfunction(ours) and inspect.isroutine(theirs) and name not in _CALLED_WITHOUT:
        assert _takes_as_much(ours, theirs), f"{_parameters(ours)} for {_parameters(theirs)}"
        assert inspect.iscoroutinefunction(ours) == inspect.iscoroutinefunction(theirs)


def test_each_private_name_that_is_used_is_written_here() -> None:
    """Reaching into a framework is seen when it begins, and taken off the list when it ends."""
    assert _reached() == set(REACHED)


@pytest.mark.parametrize("name", REACHED)
def test_each_private_name_is_still_there(name: str) -> None:
    """With whoever had it: as an attribute, or set where it is made."""
    owner = REACHED[name]
    assert hasattr(owner, name) or _declares(owner, name) or _sets(owner, name)


def _declares(owner: type | ModuleType, name: str) -> bool:
    return name in getattr(owner, "__slots__", ()) or name in getattr(owner, "__annotations__", {})


def _sets(owner: type | ModuleType, name: str) -> bool:
    return re.search(rf"\bself\.{name}\b(: [^=\n]+)? = ", inspect.getsource(owner)) is not None


def _reached() -> set[str]:
    """Return the private names of others that are used: of another object, or of a framework's base."""
    ours = {name for kind in _classes().values() for name in _own(kind)}
    found = set[str]()
    for module in _modules():
        tree = ast.parse(Path(str(module.__file__)).read_text())
        below = {kind.__name__ for kind in _classes().values() if kind.__module__ == module.__name__}
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and node.name in below:
                found |= {name for name in _names(node, of_self=True) if name not in ours}
        found |= _names(tree, of_self=False)
    return {name for name in found if not name.startswith("__")}


def _own(kind: type) -> set[str]:
    """Return what the class brings itself: methods, and attributes that its constructors set."""
    source = ast.parse(Path(str(inspect.getsourcefile(kind))).read_text())
    (node,) = [
        each for each in ast.walk(source) if isinstance(each, ast.ClassDef) and each.name == kind.__name__
    ]
    made = [each for each in node.body if isinstance(each, ast.FunctionDef) and each.name == "__init__"]
    stored = {
        one.attr
        for each in made
        for one in ast.walk(each)
        if isinstance(one, ast.Attribute) and isinstance(one.ctx, ast.Store)
    }
    return (set(vars(kind)) | stored) - set(_replaced(kind))


def _names(tree: ast.AST, *, of_self: bool) -> set[str]:
    """Return the private names that are used of `self`, or of everything else, by attribute or by name."""
    found = set[str]()
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id="self" | "cls"), attr=name):
                found |= {name} if of_self else set()
            case (
                ast.Attribute(value=ast.Call(func=ast.Name(id="super")))
                | ast.Attribute(value=ast.Name(id="os"))
            ):
                pass
            case (
                ast.Attribute(attr=name)
                | ast.Call(func=ast.Name(id="getattr"), args=[_, ast.Constant(value=str(name)), *_])
            ):
                found |= set() if of_self else {name}
            case _:
                pass
    return {name for name in found if name.startswith("_")}
