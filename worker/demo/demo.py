"""The demo from its beginning to its end, whichever end that is."""

import asyncio
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import replace
from types import FrameType
from typing import Final

from rich.console import Console

from worker.demo.broker import Broker, running_broker
from worker.demo.cast import Cast, PartEnded
from worker.demo.errors import BrokerFailed, BrokerUnavailable
from worker.demo.kafka_io import KafkaError, delete_topics
from worker.demo.light_broker import LightBroker, find_binary
from worker.demo.options import DemoOptions
from worker.demo.scenario import LATENCY
from worker.demo.stage import Ports, Stage
from worker.demo.story import StoryFailed, tell

_LIGHT_EVENTS: Final = 300
_START_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 0.2


def run_demo(options: DemoOptions) -> int:
    """Run the demo on this terminal; returns its exit status.

    0: every generated event has its outcome and nobody was enrolled twice. 1: anything else, told in a
    line. Ends on SIGINT, SIGTERM and SIGHUP, and leaves nothing behind however it ends: see `Household`.
    """
    console = Console(highlight=False)
    with _ended_by_signals():
        try:
            return _run(options, console)
        except KeyboardInterrupt:
            console.print("\nstopped before its end; nothing is left behind", style="yellow")
        except PartEnded as ended:
            _fail(console, str(ended), ended.log)
        except (BrokerUnavailable, BrokerFailed, StoryFailed) as failed:
            what, _, log = str(failed).partition("\n")
            _fail(console, what, log)
        except KafkaError as failed:
            _fail(console, f"Kafka: {type(failed).__name__}", "")
    return 1


def _run(options: DemoOptions, console: Console) -> int:
    started = time.monotonic()
    with Cast() as cast, ExitStack() as stack:
        ports = Ports.free()
        with console.status("preparing"):
            # It starts while the broker does.
            cast.program("simulator", *_simulator(options, ports))
            broker = stack.enter_context(_broker(options, cast, console))
        if broker.kind == "light broker":
            options = replace(options, events=min(options.events, _LIGHT_EVENTS))
        stage = Stage.of(broker, ports, cast.folder)
        stack.callback(_clear, stage)
        stack.callback(cast.kill_all)
        _introduce(console, options, broker)
        status = asyncio.run(tell(options, stage, cast, console, started))
        if options.keep:
            _keep(console, stage, cast)
        return status


def _introduce(console: Console, options: DemoOptions, broker: Broker) -> None:
    console.print(f"[bold]{broker.kind}[/] at {broker.bootstrap_servers} after {broker.started_in:.1f} s")
    if broker.kind == "light broker":
        # Why it is this one has been said when it was started.
        console.print(
            f"[yellow]light broker:[/] {options.events} events, one worker, and one that is killed "
            "blocks the next",
            soft_wrap=True,
        )


def _keep(console: Console, stage: Stage, cast: Cast) -> None:
    """Wait for Ctrl-C; raises `PartEnded` if a part ends before."""
    console.print("\n[bold]Everything is running. Ctrl-C ends it.[/]\n")
    for what, where in stage.addresses():
        console.print(f"  [dim]{what:<18}[/]{where}", soft_wrap=True, markup=True)
    with suppress(KeyboardInterrupt):
        while True:
            cast.check()
            time.sleep(_POLL_SECONDS)
    console.print("\nstopping; nothing is left behind", style="dim")


def _simulator(options: DemoOptions, ports: Ports) -> tuple[str, ...]:
    return (
        "simulate",
        *("--port", str(ports.api)),
        *("--control-port", str(ports.control)),
        *("--seed", str(options.seed)),
        *("--latency", LATENCY),
    )


def _broker(options: DemoOptions, cast: Cast, console: Console) -> AbstractContextManager[Broker]:
    def progress(line: str) -> None:
        console.print(line, style="dim", soft_wrap=True)

    if options.light:
        return _light(cast, progress)
    return running_broker(allow_light=True, household=cast, progress=progress)


@contextmanager
def _light(cast: Cast, progress: Callable[[str], None]) -> Iterator[Broker]:
    began = time.monotonic()
    server = LightBroker(cast, find_binary())
    progress("starting the light broker")
    server.start(_START_SECONDS)
    try:
        yield Broker(
            kind="light broker",
            bootstrap_servers=server.bootstrap_servers,
            started_in=time.monotonic() - began,
            server=server,
        )
    finally:
        server.kill()


def _clear(stage: Stage) -> None:
    """Take our topics from a cluster that is not ours; the others go with their broker."""
    if stage.broker.kind == "existing":
        with suppress(KafkaError, TimeoutError):
            asyncio.run(delete_topics(stage.broker.bootstrap_servers, stage.topics))


def _fail(console: Console, what: str, log: str) -> None:
    if log:
        console.print(log.rstrip(), style="dim", soft_wrap=True, markup=False)
    console.print(f"the demo failed: {what}", style="red", soft_wrap=True, markup=False)


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP do what Ctrl-C does, even if a shell made us ignore SIGINT."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        signal.raise_signal(signal.SIGINT)

    before = {signal.SIGINT: signal.signal(signal.SIGINT, signal.default_int_handler)}
    for number in (signal.SIGTERM, signal.SIGHUP):
        # nohup ignores SIGHUP, and means it.
        if signal.getsignal(number) is not signal.SIG_IGN:
            before[number] = signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
