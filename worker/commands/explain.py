"""`enrolment-worker explain`."""

from typing import Any, Final

import click

from topics.customer_names import normal
from worker.commands.configured import settings_or_exit
from worker.domain.promotions import Identifier, IdentifierName
from worker.settings import Settings

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
@click.option(
    "--forget", is_flag=True, help="Let the worker forget what it remembers of the customer; explain nothing."
)
@click.option("--json", "as_json", is_flag=True, help="For programs; without a terminal always.")
def command(  # noqa: PLR0913 - one for each option
    *,
    identifier: Identifier | None,
    customer_id: int | None,
    source: str | None,
    org_id: int | None,
    key: str | None,
    partitioner: str,
    forget: bool,
    as_json: bool,
) -> None:
    """Tell, promotion by promotion, what the worker would do for a customer now, and why.

    \b
      enrolment-worker explain --customer-id 482579328
      enrolment-worker explain --identifier mobile=919800000001 --key 919800000001 --json
      enrolment-worker explain --customer-id 482579328 --forget

    Also tells what is remembered of the customer (ENROLMENT_LOOKUP_TRUST_SECONDS), and whether an event now
    would ask the API. With --forget, a record on the activity topic lets the worker forget that: the next
    event asks. It is said in a line, and with --json as an object.

    Needs the settings of the worker. Reads the API and the ledger, writes nothing without --forget, enrols
    nobody, joins no group; the identifier's value is not repeated. Exit status: 0, or 1 if it could not be
    told.
    """  # noqa: D301 - \b is click's mark for lines that are not to be wrapped
    if (identifier is None) == (customer_id is None):
        raise click.UsageError("give either --identifier or --customer-id")
    asked = identifier or Identifier(IdentifierName.CUSTOMER_ID, str(customer_id))
    asked = Identifier(asked.name, asked.value, source.upper() if source else None)
    settings = settings_or_exit(Settings)
    # The API's client takes longer to load than everything else; help and bad settings do not wait for it.
    from worker.commands.explained import tell, tell_to_forget  # noqa: PLC0415 - see above
    from worker.operations.customer_question import Question  # noqa: PLC0415 - see above

    act = tell_to_forget if forget else tell
    act(settings, Question(asked, key, partitioner, org_id), as_json=as_json)
