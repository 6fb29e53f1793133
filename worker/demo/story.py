"""The story of the demo: activity goes in, the worker works, the books are closed and compared."""

import asyncio
import time
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

import aiohttp
from pydantic import ValidationError
from rich.console import Console

from topics.outcome import Outcome
from topics.record import Position, Record
from worker.demo.cast import Cast
from worker.demo.generator import Event, Generator, PassedOver
from worker.demo.kafka_io import KafkaIO
from worker.demo.options import DemoOptions
from worker.demo.probes import Probes
from worker.demo.processes import ChildProcess
from worker.demo.progress import Progress
from worker.demo.reconcile import Books, Produced, Report, reconcile
from worker.demo.scenario import faults_json, world_json
from worker.demo.stage import Stage
from worker.demo.summary import Timing, print_samples, print_summary
from worker.demo.view import view_for

_T = TypeVar("_T")
_ACTIVITY_SECONDS: Final = 10.0
"""How long the activity goes on; more of it comes faster, not longer."""
_SLOWEST_RATE: Final = 50.0
_TICK_SECONDS: Final = 0.05
_AGE: Final = timedelta(minutes=5)
"""How long before the demo its first event happened."""
_LOOK_SECONDS: Final = 0.2
_LAG_EVERY: Final = 3
_STALL_SECONDS: Final = 20.0
_PART_SECONDS: Final = 30.0


class StoryFailed(Exception):  # noqa: N818 - reads as what happened
    """A step did not succeed; one line, then the end of a log if there is one."""


@dataclass(slots=True, kw_only=True)
class _Run:
    """What happens while the worker works."""

    stage: Stage
    kafka: KafkaIO
    probes: Probes
    progress: Progress
    produced: list[Produced] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    first_outcome: float | None = None


async def tell(options: DemoOptions, stage: Stage, cast: Cast, console: Console, started: float) -> int:
    """Play it on the stage; returns 0 if the books agree, else 1.

    `started` is the monotonic time of the command. Raises `PartEnded` if a part ended by itself,
    `StoryFailed` if a step did not succeed, `KafkaError`.
    """
    return await _watched(cast, _tell(options, stage, cast, console, started))


async def _tell(options: DemoOptions, stage: Stage, cast: Cast, console: Console, started: float) -> int:
    async with Probes(stage.control_url, stage.worker_url) as probes:
        with console.status("preparing"):
            worker = await _prepare(options, stage, cast, probes)
        names = stage.names
        async with KafkaIO(stage.broker.bootstrap_servers, (names.outcomes, names.dead_letters)) as kafka:
            run = _Run(stage=stage, kafka=kafka, probes=probes, progress=Progress(total=options.events))
            await _watch(run, console, options)
            handled, log = time.monotonic(), worker.log_tail(15)
            if not options.keep:
                await _stop_worker(cast)
            run.records += await kafka.read_to_end()
        report = await _close_books(run)
        print_samples(console, report.told, _of(run, names.dead_letters))
        print_summary(
            console,
            report,
            Timing(
                broker=stage.broker.started_in,
                first_outcome=(run.first_outcome or handled) - started,
                all_handled=handled - started,
                end=time.monotonic() - started,
            ),
            await probes.requests(),
        )
        if report.findings:
            console.print(f"\nThe end of the worker's log:\n{log}", style="dim", markup=False, soft_wrap=True)
        return 1 if report.findings else 0


async def _prepare(options: DemoOptions, stage: Stage, cast: Cast, probes: Probes) -> ChildProcess:
    """Make the topics, start the worker, and tell the simulator whom it has to do with."""
    topics = cast.program("topics", "topics", "create", settings=stage.settings())
    await _in_time(probes.api_answers(), "the simulated API does not answer")
    await probes.put("/world", world_json(options.customers))
    await probes.put("/faults", faults_json())
    await _in_time(_ended(topics), "creating the topics takes too long")
    if topics.poll() != 0:
        raise StoryFailed(f"the topics were not created\n{topics.log_tail(20)}")
    return cast.program("worker", "run", settings=stage.settings())


async def _watch(run: _Run, console: Console, options: DemoOptions) -> None:
    """Produce, and show what comes of it, until everything is handled or nothing moves any more."""
    began = changed = time.monotonic()
    before: object = None
    look = 0
    events = Generator(options.customers, options.seed, datetime.now(UTC) - _AGE).events(options.events)
    producing = asyncio.create_task(_produce(run, list(events)))
    try:
        with view_for(console) as view:
            while True:
                await asyncio.sleep(_LOOK_SECONDS)
                await _look(run, time.monotonic() - began)
                if look % _LAG_EVERY == 0:
                    run.progress.lag = await run.kafka.lag(run.stage.names.group_id)
                look += 1
                view.show(run.progress)
                if producing.done():
                    producing.result()
                    if _all_handled(run):
                        return
                now = (run.progress.handled, run.progress.lag, len(run.records), len(run.produced))
                if now != before:
                    before, changed = now, time.monotonic()
                elif time.monotonic() - changed > _STALL_SECONDS:
                    console.print(f"[red]nothing has moved for {_STALL_SECONDS:.0f} s[/]")
                    return
    finally:
        producing.cancel()
        await asyncio.gather(producing, return_exceptions=True)


async def _produce(run: _Run, events: list[Event]) -> None:
    """Publish the events at an even pace; a customer's events keep their order."""
    rate = max(_SLOWEST_RATE, len(events) / _ACTIVITY_SECONDS)
    began = time.monotonic()
    sending: list[tuple[Event, asyncio.Future[Position]]] = []
    try:
        for number, event in enumerate(events):
            early = number / rate - (time.monotonic() - began)
            if early > 0:
                await asyncio.sleep(early)
            sent = await run.kafka.send(run.stage.names.activity, event.key, event.value, event.headers)
            sending.append((event, asyncio.ensure_future(sent)))
            run.progress.produced = number + 1
        run.produced += [Produced(event, await position) for event, position in sending]
    finally:
        for _, position in sending:
            position.cancel()
        await asyncio.gather(*(position for _, position in sending), return_exceptions=True)


async def _look(run: _Run, elapsed: float) -> None:
    found = await run.kafka.read()
    run.records += found
    run.progress.count(_outcomes(run, found))
    if run.first_outcome is None and run.progress.outcomes:
        run.first_outcome = time.monotonic()
    figures = await run.probes.figures()
    if figures is not None:
        run.progress.look(elapsed, figures.handled, figures.in_flight, figures.retries)
    else:
        run.progress.elapsed = elapsed


def _all_handled(run: _Run) -> bool:
    wanted = {one.position for one in run.produced if not isinstance(one.event.fate, PassedOver)}
    return wanted <= run.progress.answered and run.progress.lag == 0


def _outcomes(run: _Run, records: Iterable[Record]) -> Iterable[tuple[str, Any, Position]]:
    for record in records:
        if record.position.topic == run.stage.names.outcomes:
            try:
                told = Outcome.model_validate_json(record.value or b"")
            except ValidationError:
                continue
            place = told.activity
            yield told.outcome_id, told.outcome, Position(place.topic, place.partition, place.offset)


async def _stop_worker(cast: Cast) -> None:
    """Let the worker drain, as an operator would."""
    worker = cast.dismiss("worker")
    await _in_time(_ended(worker), "the worker was told to end and did not")
    if worker.poll() != 0:
        raise StoryFailed(
            f"the worker was told to end and did so with status {worker.poll()}\n{worker.log_tail(20)}"
        )


async def _close_books(run: _Run) -> Report:
    return reconcile(
        Books(
            produced=run.produced,
            outcomes=_of(run, run.stage.names.outcomes),
            dead_letters=_of(run, run.stage.names.dead_letters),
            enrolments=await run.probes.enrolments(),
            overlaps=await run.probes.overlaps(),
        )
    )


def _of(run: _Run, topic: str) -> list[Record]:
    return [record for record in run.records if record.position.topic == topic]


async def _ended(child: ChildProcess) -> None:
    while child.poll() is None:  # noqa: ASYNC110 - another process tells no event of ours
        await asyncio.sleep(_TICK_SECONDS)


async def _in_time(work: Coroutine[Any, Any, None], otherwise: str) -> None:
    try:
        await asyncio.wait_for(work, _PART_SECONDS)
    except TimeoutError:
        raise StoryFailed(f"{otherwise} ({_PART_SECONDS:.0f} s)") from None


async def _watched(cast: Cast, work: Coroutine[Any, Any, _T]) -> _T:
    """Do the work; raises `PartEnded` as soon as a part has ended, which explains whatever else fails."""
    task = asyncio.create_task(work)
    try:
        while not (await asyncio.wait({task}, timeout=_LOOK_SECONDS))[0]:
            cast.check()
        if task.exception() is not None:
            await asyncio.sleep(_LOOK_SECONDS)
            cast.check()
        return task.result()
    except aiohttp.ClientError as error:
        raise StoryFailed(f"the simulated API: {type(error).__name__}") from None
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
