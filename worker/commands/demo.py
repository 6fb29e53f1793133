"""`enrolment-worker demo`."""

import re
from collections.abc import Callable, Iterable, Iterator
from importlib import metadata

import click

from worker.commands.failure import CommandFailed
from worker.demo.options import DemoOptions

_DISTRIBUTION = "enrolment-worker"
_DEFAULTS = DemoOptions()


@click.command(short_help="Show everything on this machine, with nothing configured.")
@click.option(
    "--keep", is_flag=True, help="Leave it running afterwards, until Ctrl-C, and print the addresses."
)
@click.option("--light", is_flag=True, help="Use the light broker instead of Apache Kafka.")
@click.option("--events", type=click.IntRange(min=1), default=_DEFAULTS.events, show_default=True)
@click.option("--customers", type=click.IntRange(min=1), default=_DEFAULTS.customers, show_default=True)
@click.option("--seed", type=int, default=_DEFAULTS.seed, show_default=True, help="Same seed, same events.")
def command(*, keep: bool, light: bool, events: int, customers: int, seed: int) -> None:
    """Show everything on this machine: Kafka, a simulated API, customers, the worker.

    \b
      enrolment-worker demo
      enrolment-worker demo --events 5000 --customers 800 --keep

    Starts its own Apache Kafka (the first time it fetches it; KAFKA=host:port takes a running one), asks
    nothing of the environment and leaves nothing behind. Exit status 0: every event has its outcome and
    nobody was enrolled twice.
    """  # noqa: D301 - \b is click's mark for lines that are not to be wrapped
    missing = tuple(missing_packages(_requirements(), _is_installed))
    if missing:
        remedy = f"pip install '{_DISTRIBUTION}[demo]'"
        raise CommandFailed(f"the demo also needs {', '.join(missing)}: {remedy}")
    from worker.demo.demo import run_demo  # noqa: PLC0415 - imports the packages that may be missing

    options = DemoOptions(keep=keep, light=light, events=events, customers=customers, seed=seed)
    raise SystemExit(run_demo(options))


def missing_packages(requirements: Iterable[str], is_installed: Callable[[str], bool]) -> Iterator[str]:
    """Yield the names of the demo's extra requirements that are not installed."""
    for requirement in requirements:
        name = re.match(r"[\w.-]+", requirement)
        if (
            name is not None
            and re.search(r"extra == ['\"]demo['\"]", requirement)
            and not is_installed(name[0])
        ):
            yield name[0]


def _requirements() -> list[str]:
    try:
        return metadata.requires(_DISTRIBUTION) or []
    except metadata.PackageNotFoundError:  # run from a checkout that is not installed
        return []


def _is_installed(name: str) -> bool:
    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return False
    return True
