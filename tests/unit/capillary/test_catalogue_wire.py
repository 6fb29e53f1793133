"""The promotion list's bodies, with every contradiction of its page."""

from datetime import UTC, datetime
from typing import Any

import pytest

from worker.capillary.catalogue_wire import ListPage, read_list_page, read_status
from worker.domain.catalogue import Expiry, ListedPromotion

ENTRY: dict[str, Any] = {
    "id": 56796,
    "name": "Happy hour ",
    "promotionStatus": "LIVE",
    "programId": 469,
    "startDate": "2024-04-04T00:00Z",
    "endDate": "2024-04-27T23:59:59Z",
    "pointsOfferType": "LOYALTY_EARNING",
    "promotionRestrictions": {
        "restrictions": {
            "expiryRestrictions": [
                {"name": "ISSUAL_PROMOTION_EXPIRY_BASED_ON", "type": "CUSTOM", "value": 5},
                {"name": "EARN_PROMOTION_EXPIRY_BASED_ON", "type": "PROMOTION", "value": None},
            ]
        },
        "cappingStatus": True,
    },
}


def _read(*entries: object, total: object = 1) -> ListPage | None:
    return read_list_page({"data": list(entries), "pageDetails": {"totalEntries": total}})


def _one(**changes: object) -> ListedPromotion:
    page = _read(ENTRY | changes)
    assert page is not None
    return page.promotions[0]


def test_an_entry() -> None:
    """All that is used of an entry is read: ids, state, window without seconds, capping, expiry."""
    assert _one() == ListedPromotion(
        promotion_id=56796,
        program_id=469,
        name="Happy hour",
        status="LIVE",
        offer_type="LOYALTY_EARNING",
        starts_at=datetime(2024, 4, 4, tzinfo=UTC),
        ends_at=datetime(2024, 4, 27, 23, 59, 59, tzinfo=UTC),
        capped=True,
        expiries=(
            Expiry("ISSUAL_PROMOTION_EXPIRY_BASED_ON", "CUSTOM", 5),
            Expiry("EARN_PROMOTION_EXPIRY_BASED_ON", "PROMOTION", None),
        ),
    )


def test_places_of_the_table() -> None:
    """The table has restrictions one level higher than the sample, and capping beside them."""
    expiry = [{"name": "N", "type": "custom", "value": "9"}]
    found = _one(promotionRestrictions={"expiryRestrictions": expiry}, cappingStatus=False)
    assert (found.capped, found.expiries) == (False, (Expiry("N", "CUSTOM", 9),))


@pytest.mark.parametrize("nothing", [None, [], {}, "", 5, {"restrictions": None}, {"restrictions": "x"}])
def test_restrictions_that_say_nothing(nothing: object) -> None:
    """Absent and unreadable restrictions are none."""
    found = _one(promotionRestrictions=nothing)
    assert (found.capped, found.expiries) == (None, ())


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"programId": "?"}, "program_id"),
        ({"startDate": "soon"}, "starts_at"),
        ({"endDate": ""}, "ends_at"),
    ],
)
def test_details_that_cannot_be_read(changes: dict[str, object], field: str) -> None:
    """A detail that cannot be read is not known; the promotion is still there."""
    assert getattr(_one(**changes), field) is None


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"data": []},
        {"data": [], "pageDetails": {}},
        {"data": [], "pageDetails": {"totalEntries": "many"}},
        {"data": [{"id": "?"}], "pageDetails": {"totalEntries": 1}},
        {"data": "none", "pageDetails": {"totalEntries": 0}},
        {"pageDetails": {"totalEntries": 0}},
    ],
)
def test_what_is_no_page(body: dict[str, object]) -> None:
    """Without the total, or with an entry that cannot be named, nobody could tell what is missing."""
    assert read_list_page(body) is None


@pytest.mark.parametrize("data", [None, [], {}])
def test_an_empty_page(data: object) -> None:
    """A page may be empty."""
    assert read_list_page({"data": data, "pageDetails": {"totalEntries": 0}}) == ListPage((), 0)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({"code": 200, "message": "success"}, (200, "success")),
        ({"code": "4054"}, (4054, "")),
        ({"message": "no code"}, None),
        ("success", None),
        (None, None),
    ],
)
def test_status_of_the_body(status: object, expected: object) -> None:
    """The body has a status of its own."""
    assert read_status({"status": status}) == expected
