"""Vectors were computed with Python's uuid and hmac from the contract's text, independently of the code."""

from typing import Any

import pytest

from worker.domain.identity import (
    NAMESPACE,
    Reenrol,
    customer_reference,
    idempotency_key,
    organisation,
    outcome_id,
)
from worker.domain.promotions import Identifier, IdentifierName


def test_the_namespace_is_the_contracts() -> None:
    """N = UUIDv5(NAMESPACE_DNS, "enrolment-worker")."""
    assert str(NAMESPACE) == "2ab1753f-8aec-5aac-a049-fe5eb0bd00e2"


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (("evt-1", 57099, "ENROLLED"), "465a12f0-405a-53ff-afec-c6cdb8765dea"),
        (("evt-1", None, "NO_PROMOTION_AVAILABLE"), "e66d773d-2f81-5691-a7c2-eefe00809f3d"),
        (("customer-activity-3-42", None, "DEAD_LETTERED"), "8c82497b-6387-5ee4-b820-5da0b096a7a4"),
        (("evt-1", 57099, "DEFERRED", 2), "883b2ed5-af69-5c35-bd96-37e24a1d411e"),
        (("é", None, "CUSTOMER_NOT_FOUND"), "6c3cdfe9-378e-52b3-a29b-be99375d8842"),
    ],
    ids=["promotion", "event", "position", "hop", "not-ascii"],
)
def test_outcome_ids_are_those_of_the_contract(parts: tuple[Any, ...], expected: str) -> None:
    """`outcome/<event>/<promotion or ->/<outcome>[/<hop>]`, so that consumers can drop repeats."""
    assert outcome_id(*parts) == expected


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, "fc6e7381-a490-5c97-b7c6-3fd5a68cafc5"),
        ({"timeline_entries": 3}, "fc6e7381-a490-5c97-b7c6-3fd5a68cafc5"),
        ({"event_id": "evt-2"}, "fc6e7381-a490-5c97-b7c6-3fd5a68cafc5"),
        ({"settled_limits": 2}, "5f7ec93d-c733-5779-b9f9-f424d395ffd1"),
        ({"reenrol": Reenrol.AFTER_EXPIRY}, "fc6c6d4e-e3cf-5b44-9036-2fb8e476418f"),
        (
            {"reenrol": Reenrol.AFTER_EXPIRY, "timeline_entries": 3},
            "cf6dc3c2-bce2-5455-9c40-46732edc21e4",
        ),
        (
            {"reenrol": Reenrol.AFTER_EXPIRY, "timeline_entries": 3, "settled_limits": 1},
            "74d43d4b-fd14-5c48-98a8-2a55fec9013b",
        ),
        ({"reenrol": Reenrol.EVERY_EVENT}, "30c425e0-dccc-51ac-a02e-ccc51afb3c4d"),
        (
            {"org_id": 0, "customer_id": 1, "program_id": 2, "promotion_id": 3},
            "d60f6eea-236f-533f-b9a4-43d7d4b0509c",
        ),
    ],
    ids=[
        "once",
        "once-ignores-timeline",
        "once-ignores-event",
        "after-limits",
        "after-expiry-0",
        "after-expiry-3",
        "after-expiry-and-limit",
        "every-event",
        "no-organisation",
    ],
)
def test_idempotency_keys_are_those_of_the_contract(more: dict[str, Any], expected: str) -> None:
    """A change of the derivation would enrol customers twice: the vectors are literals."""
    parts: dict[str, Any] = {
        "org_id": 1800,
        "customer_id": 482579328,
        "program_id": 469,
        "promotion_id": 65777,
        "event_id": "evt-1",
    }

    assert idempotency_key(**(parts | more)) == expected


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        (
            IdentifierName.EXTERNAL_ID,
            "AB-77",
            "4f38030f4c14f5a078345047484f58582c884df02a2796fc51e44dbbe52a7c77",
        ),
        (
            IdentifierName.MOBILE,
            "919845012345",
            "7d0f1df800446483c778cda08ec369de8fe0cace484a153fa534e29afd0efe78",
        ),
        (
            IdentifierName.EMAIL,
            "ann@example.com",
            "75cdd358f1857cb593552a1107b4c9fad70a9dd14ea46239747201c88939151a",
        ),
        (
            IdentifierName.EXTERNAL_ID,
            "é",
            "5496cc9f8b468a7a62348fcce7024511ca1f353177cf6943eada20f4cc9d6af9",
        ),
    ],
    ids=["externalId", "mobile", "email", "not-ascii"],
)
def test_customer_references_are_keyed_hashes_of_name_and_value(
    name: IdentifierName, value: str, expected: str
) -> None:
    """HMAC-SHA-256 (hex) of `<name>:<value>`; the source plays no part."""
    assert customer_reference(Identifier(name, value, "INSTORE"), b"a key") == expected
    assert customer_reference(Identifier(name, value), b"another key") != expected


@pytest.mark.parametrize(
    ("promotion", "configured", "event", "expected"),
    [(1, 2, 3, 1), (None, 2, 3, 2), (None, None, 3, 3), (None, None, None, 0), (0, 2, 3, 0)],
)
def test_the_organisation_is_the_promotions_then_the_configured_then_the_events(
    promotion: int | None, configured: int | None, event: int | None, expected: int
) -> None:
    """The contract's order, ending in 0."""
    assert organisation(promotion, configured, event) == expected
