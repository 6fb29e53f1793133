"""A client under load: processes of its own on topics of its own, against an API in another process."""

import asyncio
import json
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from tests.bench.api import Api
from tests.bench.group import settled
from tests.bench.machine import busy_seconds
from tests.bench.memory import cpu_seconds, peak_mib
from tests.support.e2e.events import event
from tests.support.e2e.lab import CREDENTIALS, Lab
from tests.support.e2e.worker_process import environment
from tests.support.kafka.brokers import create_topic, delete_topics, unique
from topics.names import TopicNames
from worker.demo.ports import HOST, free_ports
from worker.demo.processes import ChildProcess

PARTITIONS: Final = 8
CUSTOMERS: Final = 2_000
_PATIENCE_SECONDS: Final = 180.0
_POLL_SECONDS: Final = 0.05
SAMPLER: Final = {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.1"}
TRACES: Final = find_spec("worker.telemetry.export") is not None
"""Whether the worker sends its spans; before it could, none were recorded."""


@dataclass(frozen=True, slots=True)
class Contestant:
    """A client, how it is started, and how many events it gets: some seconds' worth."""

    name: str
    command: tuple[str, ...]
    at_once: int
    events: int
    settings: Mapping[str, str] = field(default_factory=dict, hash=False)
    """More settings of the worker, without their prefix."""

    @property
    def is_ours(self) -> bool:
        """Whether it is the worker."""
        return self.command == OURS


OURS: Final = ("worker", "run")
BARE: Final = ("tests.bench.competitors.bare",)
FASTSTREAM: Final = ("tests.bench.competitors.faststream_app",)
FAUST: Final = ("faust", "-L", "uvloop", "-A", "tests.bench.competitors.faust_app", "worker", "-l", "warn")


@dataclass(frozen=True, slots=True)
class Run:
    """What one run showed; CPU of client, API and whole machine in seconds."""

    events: int
    seconds: float
    client_cpu: float
    api_cpu: float
    machine_cpu: float
    peak_mib: float

    @property
    def rate(self) -> float:
        """Events a second."""
        return self.events / self.seconds

    @property
    def cpu_ms(self) -> float:
        """The client's CPU for an event, in milliseconds."""
        return self.client_cpu / self.events * 1000


class Contest:
    """One contestant at work; warmed up when it is entered."""

    def __init__(self, lab: Lab, api: Api, contestant: Contestant, partitions: int = PARTITIONS) -> None:
        name = unique("bench")
        self._lab = lab
        self._api = api
        self._contestant = contestant
        self._partitions = partitions
        self._names = TopicNames(f"{name}-activity", f"{name}-outcomes", f"{name}-group")
        self._sent = 0
        self._producer: AIOKafkaProducer
        self._consumer: AIOKafkaConsumer
        self._processes: list[ChildProcess] = []

    @property
    def pid(self) -> int:
        """The client's process."""
        return self._processes[0].pid

    @contextmanager
    def running(self, replicas: int = 1) -> Iterator["Contest"]:
        """Start the client, warm it up, and leave nothing behind."""
        self._lab.loop.run(self._open())
        try:
            for number in range(replicas):
                self._processes.append(self._start(number))
            if replicas > 1:
                # A group of one needs no wait: its warming up ends when all partitions are worked on.
                self._lab.loop.run(settled(self._lab.bootstrap_servers, self._names.group_id, replicas))
            warm = 5 if self._contestant.at_once == 1 else 2 * self._contestant.at_once * replicas
            self.feed(warm)
            yield self
        finally:
            for process in self._processes:
                process.stop(grace=10.0)
            self._lab.loop.run(self._close())

    def run(self) -> Run:
        """Feed its events all at once; raises AssertionError where one was not enrolled."""
        events, served = self._contestant.events, self._api.served()
        cpu, api_cpu, machine = self._cpu(), cpu_seconds(self._api.process.pid), busy_seconds()
        seconds = self.feed(events)
        run = Run(
            events,
            seconds,
            self._cpu() - cpu,
            cpu_seconds(self._api.process.pid) - api_cpu,
            busy_seconds() - machine,
            sum(peak_mib(process.pid) for process in self._processes),
        )
        now = self._api.served()
        assert all(now[kind] - served[kind] == events for kind in ("lookup", "issue")), (served, now)
        return run

    def feed(self, events: int) -> float:
        """Produce events and wait until each has its outcome; return how many seconds that took."""
        return self._lab.loop.run(self._feed(events), _PATIENCE_SECONDS)

    def pace(self, rate: float, seconds: float) -> list[float]:
        """Produce so many events a second for so long; return each one's seconds from produce to outcome."""
        return self._lab.loop.run(self._pace(rate, seconds), seconds + _PATIENCE_SECONDS)

    def _cpu(self) -> float:
        return sum(cpu_seconds(process.pid) for process in self._processes)

    async def _feed(self, events: int) -> float:
        before, began = await self._outcomes(), time.perf_counter()
        for _ in range(events):
            await self._send()
        await self._producer.flush()
        while await self._outcomes() < before + events:
            ended = [process for process in self._processes if process.poll() is not None]
            assert not ended, ended[0].log_tail()
            await asyncio.sleep(_POLL_SECONDS)
        return time.perf_counter() - began

    async def _pace(self, rate: float, seconds: float) -> list[float]:
        await self._consumer.seek_to_end()
        for partition in self._consumer.assignment():
            await self._consumer.position(partition)
        total, sent_at, took = round(rate * seconds), dict[str, float](), list[float]()

        async def produce() -> None:
            began = time.perf_counter()
            for number in range(total):
                await asyncio.sleep(began + number / rate - time.perf_counter())
                at = time.perf_counter()
                sent_at[await self._send()] = at

        producing = asyncio.create_task(produce())
        while len(took) < total:
            batches = await self._consumer.getmany(timeout_ms=100)
            now = time.perf_counter()
            for record in [record for records in batches.values() for record in records]:
                took.append(now - sent_at[json.loads(record.value)["activity"]["eventId"]])
        await producing
        return took

    async def _send(self) -> str:
        self._sent += 1
        name, customer = f"event-{self._sent}", self._sent % CUSTOMERS + 1
        value, key = event(name, {"customerId": customer}), b"%d" % customer
        await self._producer.send(self._names.activity, value, key)
        return name

    async def _outcomes(self) -> int:
        return sum((await self._consumer.end_offsets(self._consumer.assignment())).values())

    def _start(self, number: int) -> ChildProcess:
        folder = self._lab.household.folder / f"{self._names.group_id}-{number}"
        folder.mkdir()
        variables = environment(self._settings(str(folder)) if self._contestant.is_ours else {})
        variables |= {
            "BENCH_KAFKA": self._lab.bootstrap_servers,
            "BENCH_ACTIVITY": self._names.activity,
            "BENCH_OUTCOMES": self._names.outcomes,
            "BENCH_GROUP": self._names.group_id,
            "BENCH_API": self._api.url,
            "BENCH_AT_ONCE": str(self._contestant.at_once),
            "BENCH_FOLDER": str(folder),
        }
        if self._contestant.is_ours:
            variables |= {**SAMPLER, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{self._api.url}/v1/traces"}
        command = [sys.executable, "-m", *self._contestant.command]
        return self._lab.household.start(f"{self._names.group_id}-{number}", command, variables)

    def _settings(self, folder: str) -> dict[str, str]:
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self._lab.bootstrap_servers,
            "GROUP_ID": self._names.group_id,
            "ACTIVITY_TOPIC": self._names.activity,
            "OUTCOME_TOPIC": self._names.outcomes,
            "TOPIC_PARTITIONS": str(self._partitions),
            "API_BASE_URL": self._api.url,
            "MAX_IN_FLIGHT": str(self._contestant.at_once),
            "STATE_DIR": folder,
            "HTTP_HOST": HOST,
            "HTTP_PORT": str(free_ports(1)[0]),
            # An enrolment for each event, as the others do.
            "REENROL": "every-event",
            # The API here shows at once what it applied: no event has to look once more for that.
            "RECONCILE_SETTLE_SECONDS": "0",
            **CREDENTIALS,
            **self._contestant.settings,
        }

    async def _open(self) -> None:
        servers = self._lab.bootstrap_servers
        for topic in (self._names.activity, self._names.outcomes):
            await create_topic(servers, topic, self._partitions, None)
        self._producer = AIOKafkaProducer(bootstrap_servers=servers)
        await self._producer.start()
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=servers, enable_auto_commit=False, fetch_max_wait_ms=50
        )
        await self._consumer.start()
        # The cluster tells of a new topic a little later.
        while self._names.outcomes not in await self._consumer.topics():  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(_POLL_SECONDS)
        partitions = [TopicPartition(self._names.outcomes, each) for each in range(self._partitions)]
        self._consumer.assign(partitions)
        await self._consumer.seek_to_end()

    async def _close(self) -> None:
        await self._producer.stop()
        await self._consumer.stop()
        mine: list[Any] = [self._names.activity, self._names.outcomes]
        if self._contestant.is_ours:
            mine += [self._names.dead_letters, self._names.ledger, *self._names.retries]
        await delete_topics(self._lab.bootstrap_servers, mine)
