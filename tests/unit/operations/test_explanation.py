"""What `explain` says of each promotion, by the worker's own decisions."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.support.use_case.values import CUSTOMER, NOW, PROGRAM, promotion
from worker.commands.explained import as_object, lines
from worker.domain.catalogue import Expiry, ListedPromotion
from worker.domain.evidence import Evidence
from worker.domain.identity import Reenrol, idempotency_key
from worker.domain.ledger import Attempt, Enrolment, Limit, Standing
from worker.domain.limits import LimitReason
from worker.domain.plan import Objection, Policy
from worker.domain.promotions import CustomerPromotions, Promotion, Restriction, TimelineEntry
from worker.domain.settlement import Subject
from worker.domain.times import Span
from worker.enrolment.rules import Rules
from worker.ledger import format as ledger_format
from worker.ledger.entries import OrganisationEntry, StandingEntry
from worker.operations.explanation import Explained, explain, learnt, ledger_of, organisations

ORG = 1800
KEY = idempotency_key(org_id=ORG, customer_id=CUSTOMER, program_id=PROGRAM, promotion_id=57099, event_id="-")
FULL = Restriction(kpi="NUMBER_OF_ISSUALS", limit_on="CUSTOMER", max_limit=Decimal(1), usage=Decimal(1))


def entry(one: Promotion, standing: Standing, customer: int = CUSTOMER) -> dict[bytes, bytes]:
    """Return a ledger entry as the worker writes it."""
    return dict([ledger_format.write(StandingEntry(customer, Subject.of(one, ORG), standing), None)])


def explained(
    *available: Promotion,
    hidden: tuple[Promotion, ...] = (),
    ledger: dict[bytes, bytes] | None = None,
    policy: Policy | None = None,
) -> tuple[Explained, ...]:
    """Explain two readings of our customer."""
    everything = CustomerPromotions(CUSTOMER, (*available, *hidden))
    rules = Rules(policy=policy or Policy())
    return explain(
        CustomerPromotions(CUSTOMER, available), everything, ledger_of(ledger or {}), rules, ORG, Span.at(NOW)
    )


def test_what_would_be_enrolled() -> None:
    """An open promotion must be named with the key that its request would carry."""
    (one,) = explained(promotion())
    assert (one.outcome, one.key, one.verdict) == ("WOULD_ENROL", KEY, "Would be enrolled.")


def test_a_key_that_hangs_on_the_event_is_not_made_up() -> None:
    """With a key per event none must be named, as there is no event."""
    (one,) = explained(promotion(), policy=Policy(reenrol=Reenrol.EVERY_EVENT))
    assert (one.outcome, one.key) == ("WOULD_ENROL", None)
    assert dict(lines(one))["key"].startswith("hangs on the event")


def test_a_key_without_an_organisation_is_not_made_up() -> None:
    """Where neither settings nor ledger nor promotion name the organisation, the event does."""
    everything = CustomerPromotions(CUSTOMER, (promotion(1), promotion(2, org_id=ORG)))
    told = explain(everything, everything, ledger_of({}), Rules(), None, Span.at(NOW))
    assert [(one.outcome, one.key is None) for one in told] == [("WOULD_ENROL", True), ("WOULD_ENROL", False)]


@pytest.mark.parametrize(
    ("changes", "policy", "why"),
    [
        ({"offer_type": "GENERIC"}, Policy(), "OTHER_TYPE"),
        ({"active": False}, Policy(), "INACTIVE"),
        ({"starts_at": NOW + timedelta(1)}, Policy(), "NOT_BEGUN"),
        ({"ends_at": NOW - timedelta(1)}, Policy(), "ENDED"),
        ({}, Policy(program_ids=frozenset({1})), "OTHER_PROGRAM"),
        ({}, Policy(promotion_ids=frozenset({1})), "NOT_CHOSEN"),
        ({}, Policy(excluded_promotion_ids=frozenset({57099})), "EXCLUDED"),
    ],
)
def test_why_a_promotion_is_passed_over(changes: dict[str, Any], policy: Policy, why: str) -> None:
    """What is none to enrol into must be named with its reason, and lead to no outcome."""
    (one,) = explained(promotion(**changes), policy=policy)
    assert (one.outcome, one.objection) == (None, Objection(why))
    assert one.verdict.startswith("Passed over: ")


def test_what_the_api_does_not_offer() -> None:
    """A promotion that only the reading without the filter shows must be told last, as passed over."""
    first, second = explained(promotion(2), hidden=(promotion(1, timeline=[TimelineEntry(7, NOW, None)]),))
    assert (first.promotion.promotion_id, second.promotion.promotion_id) == (2, 1)
    assert not second.available
    assert second.outcome is None
    assert second.verdict == "Passed over: the API does not list it as open to this customer."


@pytest.mark.parametrize(
    ("standing", "outcome", "verdict"),
    [
        (
            Standing(Enrolment(key=KEY, event_id="evt", attempts=1, enrolment_id=9)),
            "ALREADY_ENROLLED",
            "Not again: the ledger knows",
        ),
        (
            Standing(limit=Limit(NOW, LimitReason.PROMOTION_LIMIT), settled_limits=1),
            "LIMIT_EXHAUSTED",
            "Not asked for: the promotion's limit for all customers is used up, as the API said",
        ),
        (
            Standing(attempt=Attempt(event_id="evt", key=KEY, number=1, noted=Evidence())),
            "WOULD_ENROL",
            "An earlier request",
        ),
    ],
)
def test_what_the_ledger_knows(standing: Standing, outcome: str, verdict: str) -> None:
    """The ledger's entry must decide, and be shown."""
    one = promotion()
    (told,) = explained(one, ledger=entry(one, standing))
    assert told.standing == standing
    assert told.outcome == outcome
    assert told.verdict.startswith(verdict)
    assert dict(lines(told))["ledger"] != "nothing known"
    (others,) = explained(one, ledger=entry(one, standing, customer=CUSTOMER + 1))
    assert others.verdict == "Would be enrolled."


TAKEN_BACK: Enrolment = Enrolment(
    key="", event_id="told\x1b", attempts=0, settled_at=NOW, issual_id=8, revoked_at=NOW
)


@pytest.mark.parametrize(
    ("enrolment", "after_revoke", "verdict", "shown"),
    [
        (
            replace(TAKEN_BACK, revoked_at=None),
            False,
            "Not again: the ledger knows an enrolment that another channel made.",
            "enrolled by another channel, as notification told told; taken back 2 times in all",
        ),
        (
            TAKEN_BACK,
            False,
            "Not again: the ledger knows an enrolment that another channel made, and it counts although",
            "enrolled by another channel, as notification told told; taken back at 2026-01-31T10:00:00Z",
        ),
        (
            replace(TAKEN_BACK, key=KEY, event_id="evt"),
            True,
            "Would be enrolled.",
            f"enrolled by event evt, key {KEY}; taken back at 2026-01-31T10:00:00Z; taken back 2 times",
        ),
    ],
)
def test_what_notifications_told(
    enrolment: Enrolment, *, after_revoke: bool, verdict: str, shown: str
) -> None:
    """Who made an enrolment, and that it was taken back, must be shown, with what follows from it."""
    one = promotion()
    ledger = entry(one, Standing(enrolment, revocations=2))
    (told,) = explained(one, ledger=ledger, policy=Policy(reenrol_after_revoke=after_revoke))
    assert told.verdict.startswith(verdict)
    assert dict(lines(told))["ledger"].startswith(shown)
    known = as_object(told)["ledger"]
    assert known["revocations"] == 2
    assert known["enrolment"] == {
        "idempotencyKey": enrolment.key or None,
        "eventId": enrolment.event_id,
        "attempts": 0,
        "enrollmentId": None,
        "issualId": 8,
        "byAnotherChannel": enrolment.is_anothers,
        "settledAt": "2026-01-31T10:00:00Z",
        "revokedAt": enrolment.revoked_at and "2026-01-31T10:00:00Z",
    }


def test_the_key_after_settled_limits() -> None:
    """The key must be the one that comes after the 8890s that the ledger counts."""
    one = promotion()
    (told,) = explained(one, ledger=entry(one, Standing(settled_limits=2)))
    assert told.key == idempotency_key(
        org_id=ORG,
        customer_id=CUSTOMER,
        program_id=PROGRAM,
        promotion_id=57099,
        event_id="-",
        settled_limits=2,
    )


def test_timeline_limits_and_other_organisations() -> None:
    """What the reading itself shows must be told as the worker would."""
    taken, full = promotion(1, timeline=[TimelineEntry(7, NOW, None)]), promotion(2, restrictions=[FULL])
    foreign = promotion(3, org_id=9)
    told = explained(taken, full, foreign, policy=Policy(org_id=ORG))
    assert [one.outcome for one in told] == ["ALREADY_ENROLLED", "LIMIT_EXHAUSTED", "REJECTED"]
    assert dict(lines(told[1]))["limits"] == "NUMBER_OF_ISSUALS per CUSTOMER: 1 of 1, used up"
    assert dict(lines(told[0]))["timeline"] == "enrolment 7 of 2026-01-31T10:00:00Z"
    assert as_object(told[1])["restrictions"][0]["usedUp"] is True
    assert as_object(replace(told[0], promotion=replace(taken, timeline=None)))["timeline"] is None


def test_names_of_others_cannot_speak_to_the_terminal() -> None:
    """What the API sent must be shown without control characters."""
    (one,) = explained(promotion(restrictions=[replace(FULL, kpi="\x1b[31mRED\nline")]))
    assert dict(lines(one))["limits"].startswith("[31mRED line per CUSTOMER")


def test_organisations_of_a_ledger() -> None:
    """Entries must tell their organisations; what is no standing tells none."""
    entries = entry(promotion(), Standing(settled_limits=1)) | {
        b"plan/standing/1/2/3/4": b"",
        b"standing/x/1/1/1": b"",
    }
    assert organisations(entries) == {ORG}
    assert learnt(entries) == frozenset()
    taught = dict([ledger_format.write(OrganisationEntry(3, ORG), None)])
    assert learnt(entries | taught) == {ORG}
    assert organisations(taught) == frozenset()


@pytest.mark.parametrize(
    ("learnt_org", "connected", "outcome"),
    [(7, False, "ALREADY_ENROLLED"), (None, False, "ALREADY_ENROLLED"), (7, True, "WOULD_ENROL")],
)
def test_a_standing_counts_under_whatever_organisation_it_was_written(
    learnt_org: int | None, *, connected: bool, outcome: str
) -> None:
    """As the worker counts it; but with connected organisations another one's promotion is another."""
    one = promotion()
    ledger = ledger_of(
        entry(one, Standing(Enrolment(key=KEY, event_id="evt", attempts=1, enrolment_id=9))),
        connected=connected,
    )
    reading = CustomerPromotions(CUSTOMER, (one,))
    (told,) = explain(reading, reading, ledger, Rules(), learnt_org, Span.at(NOW))
    assert told.outcome == outcome


def test_what_the_organisations_list_says_of_rewards_is_told() -> None:
    """Capping and expiry come from the list; of a promotion that is not on it nothing is said."""
    facts = ListedPromotion(
        promotion_id=57099,
        program_id=PROGRAM,
        name="",
        status="LIVE",
        offer_type="LOYALTY_EARNING",
        starts_at=None,
        ends_at=None,
        capped=True,
        expiries=(Expiry("X", "CUSTOM", 5),),
    )
    both = CustomerPromotions(CUSTOMER, (promotion(), promotion(7)))
    one, other = explain(both, both, ledger_of({}), Rules(), ORG, Span.at(NOW), listed=[facts])

    assert dict(lines(one))["rewards"] == "capped; X: CUSTOM, 5 days"
    assert "rewards" not in dict(lines(other))
