"""What `explain` says of a known customer, by the worker's own decision."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

import pytest

from tests.support.use_case.values import CUSTOMER, NOW, PROGRAM, promotion
from worker.commands.known_shown import known_as_object, lines_of_known
from worker.domain.answers import CatalogueRead, Misconfigured
from worker.domain.catalogue import ListedPromotion, Listing, NotAsked, Unread
from worker.domain.identity import Reenrol
from worker.domain.ledger import Enrolment, Limit, Standing
from worker.domain.limits import LimitReason
from worker.domain.memory import Memory, shown
from worker.domain.plan import Policy
from worker.domain.promotions import CustomerPromotions, Promotion, TimelineEntry
from worker.domain.settlement import Subject
from worker.domain.times import Span
from worker.enrolment.rules import Rules
from worker.ledger import format as ledger_format
from worker.ledger.entries import LedgerEntry, MemoryEntry, StandingEntry
from worker.operations.known_customer import KnownCustomer, known_customer, listing_of, memories

ORG: Final = 1800
SECOND: Final = timedelta(seconds=1)
TRUSTING: Final = Rules(trust_seconds=600.0, limit_cool_down=timedelta(seconds=60))
ENROLLED: Final = Standing(Enrolment(key="key", event_id="evt", attempts=1))
LIMITED: Final = Standing(limit=Limit(NOW - 20 * SECOND, LimitReason.CUSTOMER_LIMIT))


def written(*entries: LedgerEntry) -> dict[bytes, bytes]:
    """Return entries as the worker writes them."""
    return dict(ledger_format.write(entry, None) for entry in entries)


def remembers(
    *promotions: Promotion, standing: Standing = ENROLLED, ago: int = 100, forgotten: datetime | None = None
) -> dict[bytes, bytes]:
    """Return a partition's entries after a lookup that listed these, so many seconds ago."""
    seen = shown(CustomerPromotions(CUSTOMER, promotions), NotAsked(), Span.at(NOW - ago * SECOND))
    standings = (StandingEntry(CUSTOMER, Subject.of(each, ORG), standing) for each in promotions)
    return written(MemoryEntry(CUSTOMER, Memory(seen, forgotten)), *standings)


def known(
    *partitions: dict[bytes, bytes],
    rules: Rules = TRUSTING,
    listing: Listing | Unread | NotAsked = NotAsked(),  # noqa: B008 - a value
) -> KnownCustomer:
    """Return what is said of partitions 0 and on."""
    entries = dict(enumerate(partitions))
    return known_customer(entries, CUSTOMER, rules, listing=listing, learnt_org=ORG, now=Span.at(NOW))


def listed(promotion_id: int) -> ListedPromotion:
    """Return a live promotion of the list."""
    return ListedPromotion(
        promotion_id=promotion_id,
        program_id=PROGRAM,
        name="",
        status="LIVE",
        offer_type="",
        starts_at=None,
        ends_at=None,
        capped=None,
    )


def test_a_known_customer() -> None:
    """It must be told what an event leads to, since when that is known, and until when."""
    told = known_as_object(known(remembers(promotion(1))))
    here = {
        "partition": 0,
        "readAt": "2026-01-31T09:58:20Z",
        "trustedUntil": "2026-01-31T10:08:20Z",
        "forgottenAt": None,
        "promotions": [{"programId": PROGRAM, "promotionId": 1, "outcome": "ALREADY_ENROLLED"}],
        "asks": False,
        "why": None,
    }
    assert told == {"trustSeconds": 600.0, **here, "partitions": [here]}


def test_a_person_reads_it() -> None:
    """Lines must say the same, and which events ask all the same."""
    forgotten = written(MemoryEntry(CUSTOMER, Memory(None, NOW - 9 * SECOND)))
    event = f"known: ALREADY_ENROLLED for promotion 1 of program {PROGRAM}, asks nobody until"
    assert list(lines_of_known(known(remembers(promotion(1)), {}, forgotten))) == [
        "known for 600 s; events that always ask: customerAdded, customerUpdated",
        "  partition 0: read at 2026-01-31T09:58:20Z, promotions listed: 1",
        f"    an event now: {event} 2026-01-31T10:08:20Z",
        "  partition 2: forgotten at 2026-01-31T09:59:51Z",
        "    an event now: would ask: the customer was forgotten",
    ]


@pytest.mark.parametrize(
    ("entries", "rules", "why"),
    [
        ([], TRUSTING, "nothing is remembered of the customer"),
        ([{}], TRUSTING, "nothing is remembered of the customer"),
        ([remembers(ago=600)], TRUSTING, "it is too long ago"),
        ([remembers(promotion(1), standing=Standing())], TRUSTING, "a promotion that was listed has nothing"),
        ([remembers(forgotten=NOW - 99 * SECOND)], TRUSTING, "the customer was forgotten"),
        ([remembers()], replace(TRUSTING, policy=Policy(reenrol=Reenrol.EVERY_EVENT)), "with every-event"),
        ([remembers()], replace(TRUSTING, dry_run=True), "a dry run always asks"),
        ([remembers()], Rules(), "nothing is trusted: ENROLMENT_LOOKUP_TRUST_SECONDS is 0"),
    ],
)
def test_why_an_event_would_ask(entries: list[dict[bytes, bytes]], rules: Rules, why: str) -> None:
    """The reason must be told, and no outcome be made up."""
    told = known_as_object(known(*entries, rules=rules))
    assert told["asks"] is True
    assert told["why"].startswith(why)
    assert told["trustedUntil"] is None
    assert {each["outcome"] for each in told["promotions"]} <= {None}


def test_without_trust_a_line_says_so() -> None:
    """Nothing else must be said of what would not count."""
    (line,) = lines_of_known(known(remembers(promotion(1)), rules=Rules()))
    assert line == "nothing is trusted: ENROLMENT_LOOKUP_TRUST_SECONDS is 0"


@pytest.mark.parametrize(
    ("entries", "policy", "until"),
    [
        (remembers(promotion(1)), Policy(), 500),
        (remembers(), Policy(), 500),
        (remembers(promotion(1), standing=LIMITED), Policy(), 40),
        (remembers(promotion(1, starts_at=NOW + 7 * SECOND), standing=Standing()), Policy(), 7),
        (remembers(promotion(1, starts_at=NOW + 7 * SECOND)), Policy(), 500),
        (
            remembers(promotion(1, timeline=[TimelineEntry(7, NOW, NOW + 9 * SECOND)])),
            Policy(reenrol=Reenrol.AFTER_EXPIRY),
            9,
        ),
        (remembers(promotion(1, timeline=[TimelineEntry(7, NOW, NOW + 9 * SECOND)])), Policy(), 500),
    ],
)
def test_until_when_nobody_is_asked(entries: dict[bytes, bytes], policy: Policy, until: int) -> None:
    """The first time must be told at which the worker would ask: the trust's end, or what ends sooner."""
    told = known(entries, rules=replace(TRUSTING, policy=policy)).latest
    assert (told.why, told.trusted_until) == (None, NOW + until * SECOND)


def test_each_partition_knows_for_itself() -> None:
    """A standing of one partition must count for no other; the summary is what was read last."""
    newer = remembers(promotion(1), standing=Standing(), ago=1)
    told = known(remembers(promotion(1)), newer)
    assert [each.why is None for each in told.partitions] == [True, False]
    assert (told.latest.partition, known(newer, remembers(promotion(1))).latest.partition) == (1, 0)


def test_the_promotion_list_is_held_against_it() -> None:
    """What went live since, and a list that cannot be read, must make an event ask."""
    entries = remembers(promotion(1))
    seen = shown(CustomerPromotions(CUSTOMER, ()), Listing((listed(1),)), Span.at(NOW - SECOND))
    with_list = written(MemoryEntry(CUSTOMER, Memory(seen)))
    reading = CatalogueRead((listed(1), listed(2)))
    newer = listing_of(reading, Policy(), is_asked=True)
    same = listing_of(reading, Policy(excluded_promotion_ids=frozenset({2})), is_asked=True)
    unread = listing_of(Misconfigured("HTTP 401"), Policy(), is_asked=True)
    assert known(with_list, listing=same).latest.why is None
    assert known(with_list, listing=newer).latest.why == "a promotion went live since"
    for listing, of in ((unread, with_list), (same, entries)):
        assert str(known(of, listing=listing).latest.why).startswith("there is no reading")
    assert listing_of(reading, Policy(), is_asked=False) == NotAsked()


@pytest.mark.parametrize("rules", [Rules(), TRUSTING])
def test_a_list_that_leaves_nothing_asks_nobody(rules: Rules) -> None:
    """It must go before what is known of the customer, as in the worker."""
    told = known(remembers(promotion(1)), rules=rules, listing=Listing(()))
    (outcome,) = told.latest.outcomes
    assert (outcome.outcome, outcome.reason) == ("NO_PROMOTION_AVAILABLE", "CATALOGUE")
    assert (told.latest.why, told.latest.trusted_until) == (None, None)
    assert known_as_object(told)["asks"] is False
    assert any("no promotion on the list" in line for line in lines_of_known(told))


def test_other_customers_are_not_ours() -> None:
    """What is remembered of another customer must not count."""
    other = written(MemoryEntry(CUSTOMER + 1, Memory()))
    assert memories({0: other, 3: remembers()}, CUSTOMER).keys() == {3}


@pytest.mark.parametrize("value", [b"", b"{}", b'{"entry":{"seen":{"offers":7}}}'])
def test_an_entry_that_cannot_be_read(value: Any) -> None:  # noqa: ANN401 - bytes
    """It must be a ValueError, as of the ledger's other entries."""
    with pytest.raises(ValueError, match="validation error"):
        memories({0: {ledger_format.memory_key(CUSTOMER): value}}, CUSTOMER)
