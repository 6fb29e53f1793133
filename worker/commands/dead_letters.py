"""`enrolment-worker dead-letters`: looking at them, and sending them back."""

import asyncio
import json
import logging
import re
import sys
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from functools import reduce, wraps
from typing import Any, Final, TypeVar

import click

from topics.dead_letter import DeadLetterReason
from worker.commands.configured import settings_or_exit
from worker.commands.dead_letter_report import as_object, plain, plan_lines, summary, table
from worker.commands.failure import CommandFailed
from worker.commands.progress import Progress
from worker.kafka.errors import KafkaFailed
from worker.operations.dead_letters import find
from worker.operations.redrive import Redriven, prepare, redrive
from worker.operations.redrive_plan import Wanted
from worker.settings import KafkaSettings
from worker.timing import utc_now

T = TypeVar("T")

_AGE: Final = re.compile(r"([0-9]{1,6})([mhd])", re.ASCII)
_UNITS: Final = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}


class _When(click.ParamType):
    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:  # noqa: ANN401 - click's signature
        age = _AGE.fullmatch(value)
        try:
            if age is not None:
                return utc_now() - int(age[1]) * _UNITS[age[2]]
            time = datetime.fromisoformat(value)
            return time if time.tzinfo else time.replace(tzinfo=UTC)
        except (ValueError, OverflowError):
            self.fail(
                "must be a time such as 2026-01-31T10:00:00Z, or an age such as 90m, 12h or 7d", param, ctx
            )


_FILTERS: Final = (
    click.option(
        "--reason",
        "reasons",
        type=click.Choice([reason.value for reason in DeadLetterReason]),
        multiple=True,
        help="Only of this reason; may be repeated.",
    ),
    click.option("--since", type=_When(), help="Dead-lettered then or later: a time (UTC) or an age (7d)."),
    click.option("--until", type=_When(), help="Dead-lettered before then: a time (UTC) or an age (12h)."),
    click.option("--customer-id", type=click.IntRange(min=1), help="Only of this customer."),
    click.option("--count", type=click.IntRange(min=1), help="Only the oldest so many of these."),
)


def _filtered(command: Callable[..., None]) -> Callable[..., None]:
    """Give the command the options that choose dead letters; it takes what they say as `wanted`."""

    @wraps(command)
    def with_wanted(
        *,
        reasons: tuple[str, ...],
        since: datetime | None,
        until: datetime | None,
        customer_id: int | None,
        count: int | None,
        **options: bool,
    ) -> None:
        chosen = frozenset(map(DeadLetterReason, reasons))
        command(
            wanted=Wanted(reasons=chosen, since=since, until=until, customer_id=customer_id, count=count),
            **options,
        )

    return reduce(lambda decorated, option: option(decorated), reversed(_FILTERS), with_wanted)


@click.group(short_help="Look at dead letters, send them back to be handled again.")
def command() -> None:
    """Look at dead letters, and send them back to be handled again.

    \b
      export ENROLMENT_KAFKA_BOOTSTRAP_SERVERS=kafka-1:9092
      enrolment-worker dead-letters list --since 24h
      enrolment-worker dead-letters redrive --reason retries_exhausted --dry-run
      enrolment-worker dead-letters redrive --reason retries_exhausted

    Only those of the own group (ENROLMENT_GROUP_ID). Needs the settings of Kafka and of the topics only
    (`enrolment-worker run --help` lists them).
    """  # noqa: D301 - \b is click's mark for lines that are not to be wrapped


@command.command("list")
@_filtered
@click.option("--json", "as_json", is_flag=True, help="For programs: a list with one object per dead letter.")
def list_letters(*, wanted: Wanted, as_json: bool) -> None:
    """Show dead letters, the oldest first.

    Personal data is left out: of key, value and foreign headers there is nothing but sizes, the event's id
    and name, and the customer's id.
    """
    settings = settings_or_exit(KafkaSettings)
    with Progress() as progress:
        found = _run(find(settings, wanted, progress))
    if as_json:
        click.echo(json.dumps([as_object(letter) for letter in found.letters], indent=2))
        return
    for line in (table if sys.stdout.isatty() else plain)(found.letters):
        click.echo(line)
    click.echo(summary(found.letters, found.not_ours), err=True)


@command.command("redrive")
@_filtered
@click.option("--dry-run", is_flag=True, help="Only show what it would do.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--past-retention",
    is_flag=True,
    help="Also those that may have been redriven so long ago that the activity topic no longer tells.",
)
def redrive_letters(*, wanted: Wanted, dry_run: bool, yes: bool, past_retention: bool) -> None:
    """Send dead letters back to where they came from on the activity topic, each once.

    Shows what it will do and asks. What was redriven before is left out, so it may be interrupted and
    repeated at any moment. Promotions that were enrolled or at their limit stay as they are.
    """
    settings = settings_or_exit(KafkaSettings)
    if not (dry_run or yes or sys.stdin.isatty()):
        raise CommandFailed("there is no terminal to ask on: add --yes, or --dry-run to look first")
    with Progress() as progress:
        found = _run(find(settings, wanted, progress))
        prepared = _run(prepare(settings, found.letters, progress, also_forgotten=past_retention))
    for line in plan_lines(prepared.plan, settings.activity_topic, len(found.letters)):
        click.echo(line)
    if dry_run or not prepared.plan.to_send:
        return
    if not (yes or click.confirm("Redrive them?")):
        raise CommandFailed("nothing was redriven")
    done = Redriven()
    try:
        with Progress() as progress:
            _run(redrive(settings, prepared, done, progress))
    except KeyboardInterrupt:
        raise CommandFailed(f"interrupted; redriven so far: {done.sent}. Repeat it for the rest") from None
    click.echo(
        f"redriven: {done.sent}"
        + (f"; by another redrive meanwhile: {done.by_another}" if done.by_another else "")
        + (f"; no longer there: {done.gone}" if done.gone else "")
    )


def _run(work: Coroutine[Any, Any, T]) -> T:
    # Its lines are for logs; what matters of them is in our own line.
    logging.getLogger("aiokafka").addHandler(logging.NullHandler())
    try:
        return asyncio.run(work)
    except KafkaFailed as error:
        raise CommandFailed(str(error)) from None
