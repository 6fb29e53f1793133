"""What a worker at 256 in flight needs when things pile up: a long lag, an outage, a large ledger."""

import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

from tests.bench.api import Api, running_api
from tests.bench.compare import AT_ONCE, LATENCY_SECONDS
from tests.bench.contest import PARTITIONS, SAMPLER
from tests.bench.fill import customer_of, fill_activity, fill_ledger
from tests.bench.machine import description
from tests.bench.memory import PROMISED_MIB, cpu_seconds, disk_bytes, mb, peak_mib, resident_mib
from tests.support.e2e.events import event
from tests.support.e2e.feeds import Message
from tests.support.e2e.lab import CREDENTIALS, Lab, Stage
from tests.support.e2e.worker_process import WorkerProcess
from tests.support.waiting import wait_until

_EVENTS: Final = 2_000
"""Worked off in each measurement but the outage's."""
_WARM: Final = 512
_LAG: Final = 1_000_000
_ENTRIES: Final = 1_000_000
_BEFORE_SECONDS: Final = 2
_OUTAGE_SECONDS: Final = 60
_EVENTS_A_SECOND: Final = 100
_FILL_SECONDS: Final = 600.0
_PATIENCE_SECONDS: Final = 240.0


@dataclass(frozen=True, slots=True)
class _Memory:
    """Resident memory of a worker, at its peak and at the end, in MiB."""

    what: str
    peak: float
    end: float


@dataclass(frozen=True, slots=True)
class _Work:
    """How the same events went with a ledger of so many entries."""

    entries: int
    ready_seconds: float
    rate: float
    cpu_ms: float
    peak: float


def measure_endurance(lab: Lab) -> bool:
    """Print memory with and without a lag and over an outage, and work with either ledger; judge memory."""
    print(description())
    print(f"ledger on RocksDB, a tenth of the traces sent, {AT_ONCE} in flight, ", end="")
    print(f"{PARTITIONS} partitions, {LATENCY_SECONDS * 1000:.0f} ms a request", flush=True)
    with running_api(lab, LATENCY_SECONDS) as api:
        memory = [_with_lag(lab, api, _EVENTS), _with_lag(lab, api, _LAG), _through_outage(lab, api)]
        work = [_with_ledger(lab, api, entries) for entries in (0, _ENTRIES)]
    _print_memory(memory)
    _print_work(work)
    return all(each.peak <= PROMISED_MIB for each in memory)


def _with_lag(lab: Lab, api: Api, lag: int) -> _Memory:
    """Let a worker start on a lag and work off the first events of it."""
    with lab.stage(api.url, PARTITIONS) as stage:
        lab.loop.run(fill_activity(stage, "lagging", lag), _FILL_SECONDS)
        served = _issued(api)
        worker = _worker(stage, api)
        _wait_until_issued(api, worker, served + _EVENTS)
        return _memory(worker, f"{_EVENTS:,} events of a lag of {lag:,}")


def _through_outage(lab: Lab, api: Api) -> _Memory:
    """Let the API be out while events go on; raises AssertionError where one is not enrolled."""
    with lab.stage(api.url, PARTITIONS) as stage:
        worker = _worker(stage, api)
        worker.wait_ready()
        _work_off(stage, api, worker, "warm", _WARM)
        served, refused = _issued(api), api.served()["unavailable"]
        seconds = _BEFORE_SECONDS + _OUTAGE_SECONDS
        names = [f"outage-{number}" for number in range(seconds * _EVENTS_A_SECOND)]
        before = _BEFORE_SECONDS * _EVENTS_A_SECOND
        _feed_slowly(stage, names[:before])
        with api.outage():
            _feed_slowly(stage, names[before:])
            assert _issued(api) <= served + before, "the API was not out"
            refused = api.served()["unavailable"] - refused
        began = time.monotonic()
        _wait_until_issued(api, worker, served + len(names))
        stage.wait_for_outcomes(names)
        took = time.monotonic() - began
        print(f"outage of {_OUTAGE_SECONDS} s: {refused:,} requests answered 503, ", end="")
        print(f"all of {len(names):,} events enrolled {took:.0f} s after it", flush=True)
        enrolled = sum(outcome.name == "ENROLLED" for outcome in stage.outcomes.read())
        issued = _issued(api) - served
        assert enrolled - _WARM == issued == len(names), f"{enrolled - _WARM} enrolled, {issued} issued"
        return _memory(worker, f"an outage of {_OUTAGE_SECONDS} s, {len(names) - before:,} events meanwhile")


def _with_ledger(lab: Lab, api: Api, entries: int) -> _Work:
    """Let a worker that was started on its volume, with so many entries, work off the events."""
    with lab.stage(api.url, PARTITIONS) as stage:
        size = lab.loop.run(fill_ledger(stage, entries), _FILL_SECONDS)
        worker = _worker(stage, api)
        worker.wait_ready(_PATIENCE_SECONDS)
        worker.stop()
        if entries:
            disk = disk_bytes(Path(stage.settings["STATE_DIR"]))
            print(
                f"ledger of {entries:,} entries: {size / entries:.0f} bytes an entry in keys and values, ",
                end="",
            )
            print(f"{disk / entries:.0f} on the volume ({disk / 1e6:.0f} MB)", flush=True)
        began = time.monotonic()
        worker.start()
        worker.wait_ready(_PATIENCE_SECONDS)
        ready, counted = time.monotonic() - began, worker.metric("enrolment_ledger_entries")
        assert counted >= entries, f"the ledger has {counted:,.0f} entries"
        _work_off(stage, api, worker, "warm", _WARM)
        cpu = cpu_seconds(worker.pid)
        seconds = _work_off(stage, api, worker, "event", _EVENTS)
        cpu_ms = (cpu_seconds(worker.pid) - cpu) / _EVENTS * 1000
        return _Work(entries, ready, _EVENTS / seconds, cpu_ms, peak_mib(worker.pid))


def _worker(stage: Stage, api: Api) -> WorkerProcess:
    """Start a worker with the product's own limits and waits, not those of a stage's quick tests."""
    return stage.worker(
        MAX_IN_FLIGHT=str(AT_ONCE),
        REENROL="every-event",
        KAFKA_SESSION_TIMEOUT_SECONDS="45",
        API_TIMEOUT_SECONDS="10",
        RETRY_INITIAL_SECONDS="0.2",
        RECONCILE_SETTLE_SECONDS="5",
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=f"{api.url}/v1/traces",
        **SAMPLER,
        **CREDENTIALS,
    )


def _work_off(stage: Stage, api: Api, worker: WorkerProcess, name: str, events: int) -> float:
    """Produce events all at once; return how many seconds it took to have them all enrolled."""
    served, began = _issued(api), time.monotonic()
    stage.lab.loop.run(fill_activity(stage, name, events))
    _wait_until_issued(api, worker, served + events)
    return time.monotonic() - began


def _feed_slowly(stage: Stage, names: list[str]) -> None:
    """Produce events at an even pace, a second's at once."""
    began = time.monotonic()
    bounds = range(0, len(names) + 1, _EVENTS_A_SECOND)
    for second, (first, last) in enumerate(pairwise(bounds), start=1):
        numbered = [(names[number], customer_of(number)) for number in range(first, last)]
        stage.feed.send_all(Message(event(name, {"customerId": who}), b"%d" % who) for name, who in numbered)
        time.sleep(max(0.0, began + second - time.monotonic()))


def _issued(api: Api) -> int:
    return api.served()["issue"]


def _wait_until_issued(api: Api, worker: WorkerProcess, count: int) -> None:
    wait_until(
        lambda: _issued(api) >= count or worker.poll() is not None,
        f"{count} are enrolled",
        seconds=_PATIENCE_SECONDS,
        evidence=lambda: f"{_issued(api)} are\n{worker.tail()}",
    )
    assert worker.poll() is None, worker.tail()


def _memory(worker: WorkerProcess, what: str) -> _Memory:
    memory = _Memory(what, peak_mib(worker.pid), resident_mib(worker.pid))
    print(f"{what}: peak RSS {memory.peak:.0f} MiB", flush=True)
    return memory


def _print_memory(rows: list[_Memory]) -> None:
    print(f"\nResident memory; promised: a peak of {PROMISED_MIB:.0f} MiB ({mb(PROMISED_MIB):.0f} MB)\n")
    print("| | peak, MiB | peak, MB | at the end, MiB |")
    print("| --- | --- | --- | --- |")
    for row in rows:
        print(f"| {row.what} | {row.peak:.0f} | {mb(row.peak):.0f} | {row.end:.0f} |")


def _print_work(rows: list[_Work]) -> None:
    print(f"\n{_EVENTS:,} events with a ledger on its volume\n")
    print("| entries | ready after, s | events/s | CPU an event, ms | peak RSS, MiB |")
    print("| --- | --- | --- | --- | --- |")
    for row in rows:
        line = f"| {row.entries:,} | {row.ready_seconds:.1f} | {row.rate:.0f} "
        print(f"{line}| {row.cpu_ms:.2f} | {row.peak:.0f} |")
