"""`python -m tests.crash.disasters`: what may happen to logs and brokers, under load; then the books.

Each disaster is a run of its own: brokers, a simulator that loses answers, two workers. Exit status 1 if the
books of one of them disagree.
"""

import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import click

from tests.crash.broker_disasters import BROKER_DISASTERS
from tests.crash.disaster import SIZE, Disaster
from tests.crash.ground import ground
from tests.crash.log_disasters import LOG_DISASTERS

DISASTERS: Final[Mapping[str, Disaster[Any]]] = {**LOG_DISASTERS, **BROKER_DISASTERS}


@click.command()
@click.option("--seed", default=1, show_default=True)
@click.option("--only", type=click.Choice(list(DISASTERS)), help="This one alone.")
def main(seed: int, only: str | None) -> None:
    """Let each disaster happen and say whether the books agree."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    started, findings = time.monotonic(), list[str]()

    def tell(line: str) -> None:
        click.echo(f"{time.monotonic() - started:6.1f} s  {line}")

    for name, disaster in DISASTERS.items():
        if only not in {None, name}:
            continue
        tell(name)
        with ground(replace(SIZE, seed=seed, brokers=disaster.brokers), tell) as on:
            findings += [f"{name}: {finding}" for finding in disaster.on(on)]
    for finding in findings:
        click.echo(f"FAULT: {finding}")
    click.echo("the books disagree" if findings else "the books agree")
    raise SystemExit(1 if findings else 0)


if __name__ == "__main__":
    main()
