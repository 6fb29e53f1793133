"""The API's bodies with every contradiction of its pages."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from worker.capillary.wire import (
    Json,
    Page,
    parse_object,
    read_notices,
    read_page,
    read_side_effects,
    read_token,
)
from worker.domain.promotions import Promotion, Restriction, TimelineEntry

SAMPLES = Path(__file__).parents[2] / "fixtures" / "capillary"


def _sample(name: str) -> Json:
    parsed = parse_object((SAMPLES / name).read_bytes())
    assert parsed is not None
    return parsed


def _page_of(**fields: object) -> Page | None:
    promotion = {"promotionId": 7, "programId": 3, **fields}
    body = parse_object(json.dumps({"customerId": 1, "promotions": [promotion]}).encode())
    assert body is not None
    return read_page(body)


def _promotion_of(**fields: object) -> Promotion:
    page = _page_of(**fields)
    assert page is not None
    return page.promotions[0]


def test_sample_of_an_enrolled_customer() -> None:
    """The page's sample is read in full: ids, window, restriction, timeline."""
    page = read_page(_sample("lookup_enrolled.json"))
    assert page == Page(
        customer_id=345854019,
        promotions=(
            Promotion(
                promotion_id=1119990,
                program_id=1085,
                name="Enrol & issue | LOYALTY EARNING PROMO",
                offer_type="LOYALTY_EARNING",
                active=True,
                starts_at=datetime(2024, 5, 1, tzinfo=UTC),
                ends_at=datetime(2024, 6, 30, 23, 59, 59, tzinfo=UTC),
                issual_restrictions=(
                    Restriction(
                        kpi="NUMBER_OF_ISSUALS", limit_on="CUSTOMER", max_limit=Decimal(10), usage=Decimal(1)
                    ),
                ),
                timeline=(
                    TimelineEntry(
                        1580,
                        datetime(2024, 6, 25, 12, 41, 55, tzinfo=UTC),
                        datetime(2024, 6, 30, 12, 41, 55, tzinfo=UTC),
                    ),
                ),
                earn_restrictions=(
                    Restriction(
                        kpi="NUMBER_OF_EARNS", limit_on="CUSTOMER", max_limit=Decimal(7), usage=Decimal(0)
                    ),
                ),
                redemption_restrictions=(
                    Restriction(
                        kpi="NUMBER_OF_REDEMPTIONS_PER_EARN",
                        limit_on="CUSTOMER",
                        max_limit=Decimal(10),
                        usage=Decimal(0),
                    ),
                ),
            ),
        ),
        total=1,
        page_size=10,
    )


def test_timeline_of_samples_tells_empty_from_absent() -> None:
    """An empty timeline means not enrolled; GENERIC promotions have none at all."""
    page = read_page(_sample("lookup_not_enrolled.json"))
    mixed = read_page(_sample("lookup_three_types.json"))
    assert page is not None
    assert mixed is not None
    assert page.promotions[0].timeline == ()
    assert [(p.offer_type, p.timeline is None) for p in mixed.promotions] == [
        ("LOYALTY_EARNING", False),
        ("LOYALTY", False),
        ("GENERIC", True),
    ]


def test_sample_of_a_page_with_metadata() -> None:
    """Metadata as an array, absent metadata and a total beyond the page do not disturb."""
    page = read_page(_sample("lookup_metadata_169.json"))
    assert page is not None
    assert (page.total, page.page_size, len(page.promotions)) == (169, 2, 2)


@pytest.mark.parametrize("spelling", ["orgId", "orgID"])
def test_organisation_in_both_spellings(spelling: str) -> None:
    """v2.1's sample says orgId, its table orgID."""
    assert _promotion_of(**{spelling: 50405}).org_id == 50405
    page = read_page(_sample("lookup_v2_1.json"))
    assert page is not None
    assert page.promotions[0].org_id == 50405


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-10-31T18:30:00.000Z", datetime(2024, 10, 31, 18, 30, tzinfo=UTC)),
        ("2024-10-31T18:30Z", datetime(2024, 10, 31, 18, 30, tzinfo=UTC)),
        ("2024-11-01T00:00:00+05:30", datetime(2024, 10, 31, 18, 30, tzinfo=UTC)),
        ("2024-10-31T18:30:00", datetime(2024, 10, 31, 18, 30, tzinfo=UTC)),
        ("", None),
        ("soon", None),
        (None, None),
    ],
)
def test_dates(text: str | None, expected: datetime | None) -> None:
    """Dates come with and without seconds; what is no date is an open end."""
    assert _promotion_of(endDate=text).ends_at == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("10", 10),
        (10, 10),
        ("4990.000", 4990),
        ("-1", -1),
        (" 3 ", 3),
        ("", None),
        ("NaN", None),
        ("1e99", None),
        ([], None),
    ],
)
def test_limits(value: object, expected: int | None) -> None:
    """Limits and usages come as texts or numbers; what cannot be read is as if not told."""
    restriction = {"kpi": "NEW_KPI", "maxLimit": value, "currentCustomerUsage": value, "limitOn": "Customer"}
    found = _promotion_of(promotionRestriction={"issualRestrictions": [restriction]}).issual_restrictions
    assert found == (Restriction(kpi="NEW_KPI", limit_on="CUSTOMER", max_limit=expected, usage=expected),)  # type: ignore[arg-type] # an int equals its Decimal


@pytest.mark.parametrize(
    ("kind", "periodic"),
    [("PERIOD_BASED", True), ("period_based", True), ("NON_PERIOD_BASED", False), (None, False), (5, False)],
)
def test_periods(kind: object, periodic: bool) -> None:  # noqa: FBT001 - a table
    """A restriction of a moving window is told from one that only grows."""
    restriction = {"kpi": "K", "limitOn": "CUSTOMER", "type": kind}
    (found,) = _promotion_of(promotionRestriction={"issualRestrictions": [restriction]}).issual_restrictions
    assert found.periodic is periodic


@pytest.mark.parametrize(
    "value", [None, [], {}, "", {"issualRestrictions": None}, {"issualRestrictions": ["x", 5]}, [1]]
)
def test_restrictions_that_say_nothing(value: object) -> None:
    """Absent, empty and unreadable restrictions restrict nothing."""
    assert _promotion_of(promotionRestriction=value).issual_restrictions == ()


def test_lone_object_where_an_array_is_sent() -> None:
    """The tables call arrays objects; one object is read as an array of one."""
    restriction = {"kpi": "K", "limitOn": "EVENT", "maxLimit": "5"}
    found = _promotion_of(promotionRestriction={"issualRestrictions": restriction})
    assert found.issual_restrictions == (
        Restriction(kpi="K", limit_on="EVENT", max_limit=Decimal(5), usage=None),
    )


@pytest.mark.parametrize(
    ("field", "value"),
    [("promotionId", ""), ("promotionId", None), ("programId", "x"), ("programId", -1), ("programId", 2**63)],
)
def test_promotion_without_usable_ids(field: str, value: object) -> None:
    """An entry that cannot be named makes the page unusable."""
    assert _page_of(**{field: value}) is None


def test_ids_as_texts() -> None:
    """Ids come as texts too."""
    assert _promotion_of(promotionId="57099", programId=" 469 ").promotion_id == 57099


@pytest.mark.parametrize("timeline", ["x", ["x"], [{"enrollmentDate": "2024-06-25T12:41:55.000Z"}]])
def test_unreadable_timeline(timeline: object) -> None:
    """A timeline is evidence of enrolments: one that cannot be read makes the page unusable."""
    assert _page_of(customerPromotionTimelines=timeline) is None


def test_unreadable_dates_in_a_timeline() -> None:
    """The id alone is evidence enough."""
    timeline = [{"enrollmentId": "9", "enrollmentDate": "?", "enrollmentExpiryDate": ""}]
    assert _promotion_of(customerPromotionTimelines=timeline).timeline == (TimelineEntry(9, None, None),)


@pytest.mark.timeout(5)
def test_numbers_that_would_take_a_minute() -> None:
    """A short number with a huge exponent is refused at once."""
    for number in (b"1E-30000000", b"1E+30000000"):
        body = parse_object(b'{"customerId": %b, "promotions": []}' % number)
        assert body is not None
        page = read_page(body)
        assert page is None or page.customer_id == 0


@pytest.mark.parametrize(("value", "expected"), [(False, False), ("false", False), (None, True), ("?", True)])
def test_active(value: object, expected: bool) -> None:  # noqa: FBT001 - a table
    """Only a clear no makes a promotion inactive."""
    assert _promotion_of(active=value).active is expected


def test_name_loses_its_blanks() -> None:
    """Names carry trailing blanks in samples."""
    assert _promotion_of(promotionName="17 POINTS ").name == "17 POINTS"


@pytest.mark.parametrize(
    ("body", "usable"),
    [
        ({"customerId": 1, "promotions": []}, True),
        ({"customerId": "1", "promotions": [], "pageDetails": "?"}, True),
        ({"customerId": 1, "pageDetails": {"totalEntries": "0"}}, True),
        ({"customerId": 1, "promotions": None, "pageDetails": {"totalEntries": 0}}, True),
        ({"customerId": 1, "promotions": None}, False),
        ({"customerId": 1, "pageDetails": {"totalEntries": 4}}, False),
        ({"promotions": []}, False),
        ({"customerId": 1, "promotions": "none"}, False),
        ({"errors": []}, False),
        ({}, False),
    ],
)
def test_what_makes_a_page(body: dict[str, object], usable: bool) -> None:  # noqa: FBT001 - a table
    """A page names its customer and has promotions, or says that there are none."""
    assert (read_page(body) is not None) is usable


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b"5", b'{"a":', b"\xff\xfe\x00", b"[" * 100_000, b'{"a":' + b"9" * 5000 + b"}"],
)
def test_bodies_that_are_no_object(body: bytes) -> None:
    """No bytes whatever make the parser raise."""
    assert parse_object(body) is None


def test_raw_control_characters() -> None:
    """A description with an unescaped newline is read; so is a byte-order mark."""
    assert parse_object(b'\xef\xbb\xbf{"description": "a\nb"}') == {"description": "a\nb"}


@pytest.mark.parametrize(
    ("value", "codes"),
    [
        ([{"code": "8015"}], [8015]),
        ({"code": 8015.0, "message": None}, [8015]),
        ([{"message": "no code"}, {"code": 1, "message": 5}, "x", None], [1]),
        ("error", []),
        (None, []),
    ],
)
def test_notices(value: object, codes: list[int]) -> None:
    """Codes come as numbers or texts; an entry without one is none of the API's."""
    assert [notice.code for notice in read_notices(value)] == codes


def test_side_effects() -> None:
    """An effect names something; what names nothing is none."""
    effects = read_side_effects([{"issualId": "3", "promotionId": 57099.0}, {"issualId": "?"}, {}, "x"])
    assert [(e.issual_id, e.promotion_id) for e in effects] == [(3, 57099)]
    assert read_side_effects("x") == read_side_effects(None) == read_side_effects({}) == ()


@pytest.mark.parametrize(
    ("data", "ttl"),
    [({"ttlSeconds": 300}, 300), ({"ttlSeconds": "60"}, 60), ({"ttlSeconds": 0}, None), ({}, None)],
)
def test_token(data: dict[str, object], ttl: float | None) -> None:
    """A token's life may be missing, the token itself may not; neither shows in its repr."""
    grant = read_token({"data": {"accessToken": "ey.J", **data}})
    assert grant is not None
    assert (grant.access_token, grant.ttl_seconds) == ("ey.J", ttl)
    assert "ey.J" not in repr(grant)


@pytest.mark.parametrize("data", [None, {}, {"accessToken": ""}, {"accessToken": "a\r\nX-Evil: 1"}, "x"])
def test_no_token(data: object) -> None:
    """What cannot stand in a header is no token."""
    assert read_token({"data": data}) is None
