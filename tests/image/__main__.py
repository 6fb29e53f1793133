"""`python -m tests.image`: build the image and run it as a cluster would; exit status 1 for a fault.

Where the machine cannot build or run containers it says so and exits with 0, or with --required with 1.
"""

import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import click

from tests.image.base import Unavailable
from tests.image.container import Container, assert_contents
from tests.image.engine import Engine, find_engine
from tests.support.e2e.events import event
from tests.support.e2e.lab import CREDENTIALS, Stage, running_lab
from worker.demo.broker import running_broker
from worker.demo.simulator import Customer, Promotion, World

_ROOT: Final = Path(__file__).resolve().parents[2]
_NAME: Final = "localhost/enrolment-worker:test"


@click.command()
@click.option("--required", is_flag=True, help="Fail where the machine cannot build or run the image.")
def main(*, required: bool) -> None:
    """Build the image, look into it, and let it enrol a customer."""
    dockerfile = (_ROOT / "Dockerfile").read_text(encoding="utf-8")
    base = re.findall(r"^ARG BASE=(\S+)", dockerfile, re.MULTILINE)[0].partition("@")[0]
    try:
        engine = find_engine(base)
    except Unavailable as reason:
        click.echo(f"SKIPPED: the image was neither built nor run. {reason}", err=True)
        sys.exit(1 if required else 0)
    started = time.monotonic()
    build(engine, base)
    click.echo(f"built by {engine.program} in {time.monotonic() - started:.0f} s")
    sizes = [int(engine("image", "inspect", "--format", "{{.Size}}", name)) for name in (_NAME, base)]
    click.echo(f"image size: {sizes[0] / 1e6:.0f} MB, {(sizes[0] - sizes[1]) / 1e6:.0f} MB over its base")
    assert_contents(engine, _NAME)
    with running_broker(allow_light=True) as broker, running_lab(broker.bootstrap_servers) as lab:
        world = World()
        world.customers.add(Customer.synthetic(1))
        world.put_promotion(Promotion(promotion_id=17, name="Offer", customer_ids=frozenset({1})))
        with lab.simulator(world) as simulator, lab.stage(simulator.api_url) as stage:
            enrol(engine, stage)


def build(engine: Engine, base: str) -> None:
    """Build the image from the working tree."""
    git = ["git", "-C", str(_ROOT), "rev-parse", "HEAD"]
    revision = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()  # noqa: S603 - ours
    arguments = {"BASE": base, "REVISION": revision or "unknown"}
    options = [part for name, value in arguments.items() for part in ("--build-arg", f"{name}={value}")]
    engine("build", *engine.build_options, *options, "--tag", _NAME, str(_ROOT), seconds=900)


def enrol(engine: Engine, stage: Stage) -> None:
    """Run the image read-only and without capabilities: one event in, ENROLLED out, SIGTERM, exit 0."""
    with Container(engine, _NAME, stage.settings | CREDENTIALS) as worker:
        started = time.monotonic()
        worker.wait_ready()
        click.echo(f"ready {time.monotonic() - started:.1f} s after the start")
        stage.feed.send(event("image-1", {"customerId": 1}), key=b"1")
        worker.wait_until(lambda: stage.outcomes.of("image-1") != [], "the event has an outcome")
        told = [outcome.name for outcome in stage.outcomes.of("image-1")]
        assert told == ["ENROLLED"], f"{told}\n{worker.log()}"
        begun = time.monotonic()
        assert worker.stop() == 0, worker.log()
        click.echo(f"one customer enrolled; exit status 0, {time.monotonic() - begun:.1f} s after SIGTERM")
        assert stage.committed() == {0: 1}, stage.committed()


if __name__ == "__main__":
    main()
