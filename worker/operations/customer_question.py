"""The question that `explain` answers: what the API and the ledger know of one customer, and what follows."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from worker.capillary.client import CapillaryClient
from worker.capillary.config import ApiVersion
from worker.composition.from_settings import capillary_client, rules
from worker.domain.answers import CatalogueRead, CustomerNotFound, Found, Refused, Throttled
from worker.domain.identity import UNNAMED_ORG
from worker.domain.promotions import CustomerPromotions, Identifier
from worker.kafka.partitioners import Partitioner
from worker.operations.customer_standings import CustomerEntries, entries_of_customer
from worker.operations.explanation import Explained, explain, learnt, ledger_of, organisations
from worker.operations.known_customer import KnownCustomer, known_customer, listing_of
from worker.settings import Settings
from worker.timepiece import Timepiece, Unheard
from worker.timing import utc_now


class Unexplained(Exception):  # noqa: N818 - reads as the sentence that it is
    """It could not be told; the message is one line, for the operator."""


@dataclass(frozen=True, slots=True)
class Question:
    """Who is asked for, and what is known of the records that would name them."""

    identifier: Identifier
    key: str | None
    partitioner: str
    org_id: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What is known of the customer, and what would become of each promotion."""

    customer_id: int
    org_id: int | None
    ledger: str
    promotions: tuple[Explained, ...]
    known: KnownCustomer


async def explained(settings: Settings, question: Question, say: Callable[[str], object]) -> Explanation:
    """Return the answer; `say` hears how a long reading gets on. Raises Unexplained, KafkaFailed."""
    timepiece = Timepiece(utc_now, time.monotonic, Unheard())
    async with capillary_client(settings, date_heard=timepiece.heard) as client:
        available = await read_customer(client, question.identifier, available_to_enrol=True)
        everything = await read_customer(client, question.identifier, available_to_enrol=False)
        catalogue = await client.live_promotions()
    group, customer_id = settings.dry_run_ledger_group or settings.group_id, available.customer_id
    found = await entries_of_customer(
        settings,
        group,
        customer_id,
        say,
        key=None if question.key is None else question.key.encode(),
        partitioner=Partitioner(question.partitioner),
    )
    held = found or CustomerEntries({}, {})
    connected = ApiVersion(settings.api_version) is ApiVersion.V2_1
    ours, now = rules(settings), timepiece.span()
    try:
        org_id = _organisation(settings, question, held.entries, connected=connected)
        promotions = explain(
            available,
            everything,
            ledger_of(held.entries, connected=connected),
            ours,
            org_id,
            now,
            # Without it, there is less to tell and nothing to decide otherwise.
            listed=catalogue.promotions if isinstance(catalogue, CatalogueRead) else (),
        )
        known = known_customer(
            held.of_partition,
            customer_id,
            ours,
            listing=listing_of(catalogue, ours.policy, is_asked=settings.catalogue_refresh_seconds > 0),
            learnt_org=org_id,
            now=now,
            connected=connected,
        )
    except ValueError:
        raise unreadable(group) from None
    ledger = f"no ledger of group {group} yet" if found is None else f"ledger of group {group}"
    return Explanation(
        customer_id=customer_id, org_id=org_id, ledger=ledger, promotions=promotions, known=known
    )


def unreadable(group: str) -> Unexplained:
    """Return the fault of a ledger that a later release wrote to, or nobody knows who."""
    return Unexplained(f"the ledger of group {group} has an entry that this release cannot read")


def _organisation(
    settings: Settings, question: Question, entries: dict[bytes, bytes], *, connected: bool
) -> int | None:
    known = learnt(entries)
    if not known and not connected:
        known = organisations(entries) - {UNNAMED_ORG}
    org_id = settings.org_id or question.org_id or (min(known) if len(known) == 1 else None)
    if org_id is None and known:
        several = ", ".join(map(str, sorted(known)))
        raise Unexplained(f"the ledger knows of organisations {several}: say which with --org-id")
    return org_id


async def read_customer(
    client: CapillaryClient, identifier: Identifier, *, available_to_enrol: bool
) -> CustomerPromotions:
    """Return what the API shows of the customer. Raises Unexplained."""
    answer = await client.lookup(identifier, available_to_enrol=available_to_enrol)
    match answer:
        case Found(customer):
            return customer
        case CustomerNotFound():
            raise Unexplained("the API knows no such customer: the outcome would be CUSTOMER_NOT_FOUND")
        case Refused(errors):
            raise Unexplained(
                "the API refuses the lookup: the outcome would be REJECTED "
                f"({'; '.join(f'{error.code} {error.message}' for error in errors)})"
            )
        case Throttled():
            raise Unexplained("the API throttles; try again later")
        case _:
            raise Unexplained(
                f"the API gives no answer: {answer.detail}; `enrolment-worker check` tells more"
            )
