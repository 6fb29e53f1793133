"""`enrolment-worker explain`."""

import asyncio
import json
import logging
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import click

from topics.customer_names import normal
from worker.commands.configured import refused, settings_or_exit
from worker.commands.failure import Failure
from worker.domain.promotions import CustomerPromotions, Identifier, IdentifierName
from worker.settings import Settings, SettingsError

if TYPE_CHECKING:
    from worker.capillary.client import CapillaryClient
    from worker.operations.explanation import Explained

_NAMES: Final = {
    **{name.value.lower(): name for name in IdentifierName},
    "customerid": IdentifierName.CUSTOMER_ID,
}


class _Named(click.ParamType):
    """A customer's name as NAME=VALUE. No message repeats what was given: it is personal."""

    name = "NAME=VALUE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Identifier:  # noqa: ANN401 - click's signature
        name, _, text = str(value).partition("=")
        known = _NAMES.get(name.strip().lower())
        if known is None or not text.strip():
            self.fail("give mobile=, email=, externalId= or customerId= and the value", param, ctx)
        if known is IdentifierName.CUSTOMER_ID and not text.strip().isdecimal():
            self.fail("a customerId is a number", param, ctx)
        return Identifier(known, normal(known.value, text) or text.strip())


@dataclass(frozen=True, slots=True)
class _Question:
    """Who is asked for, and what is known of the records that would name them."""

    identifier: Identifier
    key: str | None
    partitioner: str
    org_id: int | None


@dataclass(frozen=True, slots=True)
class _Explanation:
    """What there is to show."""

    customer_id: int
    org_id: int | None
    ledger: str
    promotions: "tuple[Explained, ...]"


@click.command(short_help="Tell what the worker would do for a customer, and why.")
@click.option(
    "--identifier", type=_Named(), help="The customer: mobile=, email=, externalId= or customerId=."
)
@click.option("--customer-id", type=click.IntRange(min=1), help="The customer, by the id.")
@click.option("--source", help="Source of the identifier, such as INSTORE; else ENROLMENT_API_SOURCE.")
@click.option(
    "--org-id", type=click.IntRange(min=1), help="Organisation of the events, without ENROLMENT_ORG_ID."
)
@click.option("--key", help="Key of the customer's activity records: only its partition is read.")
@click.option(
    "--partitioner",
    type=click.Choice(["murmur2", "crc32"]),
    default="murmur2",
    show_default=True,
    help="With --key: how upstream's client chooses a partition.",
)
@click.option("--json", "as_json", is_flag=True, help="For programs; without a terminal always.")
def command(
    *,
    identifier: Identifier | None,
    customer_id: int | None,
    source: str | None,
    org_id: int | None,
    key: str | None,
    partitioner: str,
    as_json: bool,
) -> None:
    """Tell, promotion by promotion, what the worker would do for a customer now, and why.

    \b
      enrolment-worker explain --customer-id 482579328
      enrolment-worker explain --identifier mobile=919800000001 --key 919800000001 --json

    Needs the settings of the worker. Reads the API and the ledger, writes nothing, enrols nobody, joins no
    group; the identifier's value is not repeated. Exit status: 0, or 1 where it could not be told.
    """  # noqa: D301 - \b is click's mark for lines that are not to be wrapped
    if (identifier is None) == (customer_id is None):
        raise click.UsageError("give either --identifier or --customer-id")
    asked = identifier or Identifier(IdentifierName.CUSTOMER_ID, str(customer_id))
    asked = Identifier(asked.name, asked.value, source.upper() if source else None)
    settings = settings_or_exit(Settings)
    # Its lines are for logs; what matters of them is in our own.
    logging.getLogger("aiokafka").addHandler(logging.NullHandler())
    from worker.kafka.errors import KafkaFailed  # noqa: PLC0415 - brings Faust, 0.5 s

    try:
        told = asyncio.run(_explain(settings, _Question(asked, key, partitioner, org_id)))
    except SettingsError as error:
        raise refused(error) from None
    except KafkaFailed as error:
        raise Failure(str(error)) from None
    if as_json or not sys.stdout.isatty():
        click.echo(json.dumps(_as_object(told), indent=2))
    else:
        _show(told)


async def _explain(settings: Settings, question: _Question) -> _Explanation:
    from worker.capillary.config import ApiVersion  # noqa: PLC0415 - see above
    from worker.composition.from_settings import capillary_client, rules  # noqa: PLC0415 - see above
    from worker.domain.answers import CatalogueRead  # noqa: PLC0415 - see above
    from worker.domain.identity import UNNAMED_ORG  # noqa: PLC0415 - see above
    from worker.kafka.partitioners import Partitioner  # noqa: PLC0415 - see above
    from worker.operations.customer_standings import entries_of_customer  # noqa: PLC0415 - see above
    from worker.operations.explanation import explain, learnt, ledger_of, organisations  # noqa: PLC0415 - see above
    from worker.timepiece import Timepiece, Unheard  # noqa: PLC0415 - see above
    from worker.timing import utc_now  # noqa: PLC0415 - see above

    timepiece = Timepiece(utc_now, time.monotonic, Unheard())
    async with capillary_client(settings, date_heard=timepiece.heard) as client:
        available = await _read(client, question.identifier, available_to_enrol=True)
        everything = await _read(client, question.identifier, available_to_enrol=False)
        catalogue = await client.live_promotions()
    group = settings.dry_run_ledger_group or settings.group_id
    entries = await entries_of_customer(
        settings,
        group,
        available.customer_id,
        _progress,
        key=None if question.key is None else question.key.encode(),
        partitioner=Partitioner(question.partitioner),
    )
    connected = ApiVersion(settings.api_version) is ApiVersion.V2_1
    try:
        known = learnt(entries or {})
        if not known and not connected:
            known = organisations(entries or {}) - {UNNAMED_ORG}
        org_id = settings.org_id or question.org_id or (min(known) if len(known) == 1 else None)
        if org_id is None and known:
            several = ", ".join(map(str, sorted(known)))
            raise Failure(f"the ledger knows of organisations {several}: say which with --org-id")
        promotions = explain(
            available,
            everything,
            ledger_of(entries or {}, connected=connected),
            rules(settings),
            org_id,
            timepiece.span(),
            # Without it, there is less to tell and nothing to decide otherwise.
            listed=catalogue.promotions if isinstance(catalogue, CatalogueRead) else (),
        )
    except ValueError:
        raise Failure(f"the ledger of group {group} has an entry that this release cannot read") from None
    ledger = f"no ledger of group {group} yet" if entries is None else f"ledger of group {group}"
    return _Explanation(available.customer_id, org_id, ledger, promotions)


async def _read(
    client: "CapillaryClient", identifier: Identifier, *, available_to_enrol: bool
) -> CustomerPromotions:
    from worker.domain.answers import CustomerNotFound, Found, Refused, Throttled  # noqa: PLC0415 - see above

    answer = await client.lookup(identifier, available_to_enrol=available_to_enrol)
    match answer:
        case Found(customer):
            return customer
        case CustomerNotFound():
            raise Failure("the API knows no such customer: the outcome would be CUSTOMER_NOT_FOUND")
        case Refused(errors):
            raise Failure(
                "the API refuses the lookup: the outcome would be REJECTED "
                f"({'; '.join(f'{error.code} {error.message}' for error in errors)})"
            )
        case Throttled():
            raise Failure("the API throttles; try again later")
        case _:
            raise Failure(f"the API gives no answer: {answer.detail}; `enrolment-worker check` tells more")


def _as_object(told: _Explanation) -> dict[str, Any]:
    from worker.commands.explained import as_object  # noqa: PLC0415 - see above

    return {
        "customerId": told.customer_id,
        "orgId": told.org_id,
        "ledger": told.ledger,
        "promotions": [as_object(each) for each in told.promotions],
    }


def _show(told: _Explanation) -> None:
    from worker.commands.explained import lines, plain  # noqa: PLC0415 - see above

    org = f", organisation {told.org_id}" if told.org_id else ""
    click.echo(f"customer {told.customer_id}{org}, {told.ledger}, promotions: {len(told.promotions)}")
    for each in told.promotions:
        promotion = each.promotion
        title = f"promotion {promotion.promotion_id} of program {promotion.program_id}"
        click.echo()
        click.secho(f"{title}  {plain(promotion.name)}".rstrip(), bold=True)
        for word, text in lines(each):
            click.echo(f"  {word:9} {text}")


def _progress(line: str) -> None:
    """Show that a long reading goes on."""
    if sys.stderr.isatty() and not line.endswith("done"):
        click.echo(line, err=True)
