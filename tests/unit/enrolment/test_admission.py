"""What a record is good for, before anything is asked of anyone."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings

from tests.support.unit.strategies import RECORDS
from tests.support.use_case.values import NOW, event, record
from topics.dead_letter import DeadLetterReason
from topics.record import Headers, Record
from worker.domain.plan import Policy
from worker.domain.promotions import IdentifierName
from worker.domain.settlement import NothingAvailable
from worker.enrolment.admission import Admitted, PassOver, TooOld, Unusable, admit, lane_of
from worker.enrolment.outcomes import tell
from worker.enrolment.rules import Rules

EVERYTHING = Rules(triggers=frozenset({"*"}))
HASH = "7d0f1df800446483c778cda08ec369de8fe0cace484a153fa534e29afd0efe78"
"""HMAC-SHA-256 of `mobile:919845012345` under `a key`, computed independently."""


@pytest.mark.parametrize(
    ("name", "rules", "kind"),
    [
        ("transactionAdded", Rules(), Admitted),
        ("customerAdded", Rules(), Admitted),
        ("150698_customerAdded", Rules(), Admitted),
        ("transactionadded", Rules(), PassOver),
        ("pointsIssued", Rules(), PassOver),
        (None, Rules(), PassOver),
        ("pointsIssued", EVERYTHING, Admitted),
        (None, EVERYTHING, Admitted),
        ("pointsIssued", Rules(triggers=frozenset({"pointsIssued"})), Admitted),
        ("customerAdded", Rules(triggers=frozenset({"pointsIssued"})), PassOver),
    ],
)
def test_triggers_lead_to_a_lookup_and_others_are_passed_over(
    name: str | None, rules: Rules, kind: type
) -> None:
    """Event names are compared exactly, without their organisation; `*` stands for all."""
    assert type(admit(record(event(eventName=name)), rules, NOW)) is kind


@pytest.mark.parametrize(
    ("value", "rules", "reason", "message"),
    [
        (b"\xff", Rules(), "malformed_event", "value: not JSON"),
        (b"", Rules(), "malformed_event", "value: empty"),
        (b"[]", Rules(), "malformed_event", "value: not a JSON object"),
        (
            event(customer={"mobile": " "}),
            Rules(),
            "no_identifier",
            "customer: none of customerId, externalId, mobile, email is usable",
        ),
        (
            {},
            Rules(),
            "no_identifier",
            "customer: none of customerId, externalId, mobile, email is usable",
        ),
        (
            event(orgId=7),
            Rules(policy=Policy(org_id=1800)),
            "other_organisation",
            "orgId: not the organisation that ENROLMENT_ORG_ID names",
        ),
    ],
    ids=["not-json", "empty", "array", "no-identifier", "no-event-at-all", "other-organisation"],
)
def test_what_nothing_can_be_done_with_is_put_away(
    value: object, rules: Rules, reason: str, message: str
) -> None:
    """The reason is the contract's; the message names the field and the fault and no value."""
    admission = admit(record(value), rules, NOW)

    assert isinstance(admission, Unusable)
    assert (admission.reason, admission.message) == (DeadLetterReason(reason), message)


def test_an_event_that_is_no_trigger_may_lack_everything_else() -> None:
    """Only triggering events must name a customer: others are passed over as they are."""
    admission = admit(record({"eventName": "targetCompleted"}), Rules(), NOW)

    assert isinstance(admission, PassOver)
    assert (admission.event_name, admission.why) == ("targetCompleted", "passed_over")


def test_a_tombstone_is_passed_over() -> None:
    """A null value says that nothing happened."""
    admission = admit(record(None), Rules(), NOW)

    assert isinstance(admission, PassOver)
    assert (admission.event_name, admission.why) == ("", "tombstone")


@pytest.mark.parametrize(
    ("event_org", "rules", "told"),
    [
        (1800, Rules(), 1800),
        (None, Rules(), None),
        (None, Rules(policy=Policy(org_id=7)), 7),
        (7, Rules(policy=Policy(org_id=7)), 7),
    ],
)
def test_the_configured_organisation_stands_in_for_the_events(
    event_org: int | None, rules: Rules, told: int | None
) -> None:
    """An event that names no organisation is of the configured one."""
    assert admit(record(event(orgId=event_org)), rules, NOW).origin.org_id == told


@pytest.mark.parametrize(
    ("customer", "name", "value"),
    [
        ({"customerId": 5, "externalId": "x", "mobile": "m", "email": "e"}, IdentifierName.CUSTOMER_ID, "5"),
        ({"externalId": "x", "mobile": "m", "email": "e"}, IdentifierName.EXTERNAL_ID, "x"),
        ({"mobile": "m", "email": "e"}, IdentifierName.MOBILE, "m"),
        ({"email": "e"}, IdentifierName.EMAIL, "e"),
    ],
    ids=["customerId", "externalId", "mobile", "email"],
)
def test_the_strongest_name_is_looked_up(customer: dict[str, Any], name: IdentifierName, value: str) -> None:
    """CustomerId (asked for as `id`), then externalId, mobile, email; the source goes along."""
    admission = admit(record(event(customer=customer | {"source": "line"})), Rules(), NOW)

    assert isinstance(admission, Admitted)
    identifier = admission.identifier
    assert (identifier.name, identifier.value, identifier.source) == (name, value, "LINE")


@pytest.mark.parametrize(
    ("customer", "pii_key", "key"),
    [
        ({"customerId": 5, "mobile": "919845012345"}, b"a key", b"5"),
        ({"customerId": 5}, None, b"5"),
        ({"mobile": "919845012345"}, b"a key", HASH.encode()),
        ({"mobile": "919845012345"}, None, b"evt-1"),
        ({}, b"a key", b"evt-1"),
    ],
    ids=["id-with-key", "id-without-key", "hash", "no-key", "nobody"],
)
@pytest.mark.parametrize("max_event_age", [None, timedelta(seconds=1)], ids=["recent", "old"])
def test_outcomes_are_keyed_by_the_customer_as_far_as_known(
    customer: dict[str, Any], pii_key: bytes | None, key: bytes, max_event_age: timedelta | None
) -> None:
    """Customer id, else keyed hash, else event identity: also where nothing was looked up."""
    rules = Rules(pii_key=pii_key, max_event_age=max_event_age)

    assert admit(record(event(customer=customer)), rules, NOW).origin.key == key


@pytest.mark.parametrize(
    ("occurred_at", "timestamp_ms", "hours", "kind"),
    [
        ("2026-01-31T08:59:59Z", 0, 1, TooOld),
        ("2026-01-31T09:00:00Z", 0, 1, Admitted),
        ("2030-01-01T00:00:00Z", 0, 1, Admitted),
        ("2001-01-01T00:00:00Z", 0, None, Admitted),
        (None, 1_769_853_600_000 - 3_600_001, 1, TooOld),
        (None, 1_769_853_600_000 - 3_600_000, 1, Admitted),
        (None, -1, 1, TooOld),
        ("2030-01-01T00:00:00Z", 1_769_853_600_000 - 3_600_001, 1, TooOld),
        ("2026-01-31T15:30:00", 1_769_853_600_000 - 3_600_001, 1, Admitted),
        ("2026-01-31T09:00:60Z", 0, 1, Admitted),
        ("2026-01-31T08:58:60Z", 0, 1, TooOld),
        (None, 2**63 - 1, 1, Admitted),
        (None, 2**63 - 1, None, Admitted),
    ],
)
def test_events_beyond_the_age_are_not_acted_on(
    occurred_at: str | None, timestamp_ms: int, hours: int | None, kind: type
) -> None:
    """The event's own time counts, its record's where it has none or one that is days ahead."""
    rules = Rules(max_event_age=None if hours is None else timedelta(hours=hours))
    source = record(event(occurredAt=occurred_at), timestamp_ms=timestamp_ms)

    assert type(admit(source, rules, NOW)) is kind


@pytest.mark.parametrize(
    ("headers", "identity"),
    [
        ((("ce_id", b" ce-9 "),), "ce-9"),
        ((("ce_id", b" "),), "customer-activity-3-42"),
        ((("ce_id", None),), "customer-activity-3-42"),
        ((("ce_id", b"x" * 513),), "customer-activity-3-42"),
    ],
    ids=["ce", "blank", "null", "endless"],
)
@pytest.mark.parametrize("value", [b"", None, b"{}"], ids=["malformed", "tombstone", "nobody"])
def test_a_record_that_cannot_be_read_has_an_identity_within_bounds(
    headers: Headers, identity: str, value: bytes | None
) -> None:
    """CloudEvents id, else position, read the same way whether or not the value can be."""
    assert admit(record(value, headers=headers), Rules(), NOW).origin.activity.event_id == identity


def test_personal_names_stay_out_of_the_admissions_repr() -> None:
    """What is passed on may be printed."""
    admission = admit(record(event()), Rules(pii_key=b"a key"), NOW)

    assert "919845012345" not in repr(admission)
    assert HASH not in repr(admission)


@pytest.mark.parametrize(
    ("key", "value", "lane"),
    [
        (b"k", event(), b"k"),
        (b"", event(), b""),
        (None, event(), b"mobile:919845012345"),
        (None, event(customer={"customerId": 5, "mobile": "1"}), b"id:5"),
        (None, event(customer={}), b"customer-activity-3-42"),
        (None, b"\xff", b"customer-activity-3-42"),
        (None, None, b"customer-activity-3-42"),
    ],
    ids=["key", "empty-key", "name", "id", "nobody", "malformed", "tombstone"],
)
def test_the_lane_is_the_key_or_the_customer(key: bytes | None, value: object, lane: bytes) -> None:
    """Records with one key share a lane; without a key the customer's strongest name keeps them in order."""
    assert lane_of(record(value, key=key)) == lane


@given(RECORDS)
@settings(max_examples=150, deadline=None)
def test_any_bytes_are_admitted_passed_over_or_put_away(source: Record) -> None:
    """No record raises, every outcome stays within bounds, and what names nothing is never passed over."""
    for rules in (
        Rules(),
        Rules(triggers=frozenset({"*"}), max_event_age=timedelta(hours=1), pii_key=b"a key"),
        Rules(policy=Policy(org_id=1800), triggers=frozenset({"*"})),
    ):
        admission = admit(source, rules, NOW)
        if isinstance(admission, PassOver):
            nobody = isinstance(admit(source, EVERYTHING, NOW), Unusable)
            assert source.value is None or admission.event_name or not nobody
        outcome = tell(admission.origin, NothingAvailable(), NOW)
        assert json.loads(outcome.to_json())["activity"]["eventId"]
        assert len(outcome.to_json()) < 16_384
        assert 0 < len(admission.origin.key) <= 2048
    assert isinstance(lane_of(replace(source, key=None)), bytes)
