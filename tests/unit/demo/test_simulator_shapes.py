"""The simulated API's JSON against samples of the reference pages."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from worker.demo.simulator.answers import answer_lookup_v2, answer_page
from worker.demo.simulator.catalogue import Status, list_answer, status_of
from worker.demo.simulator.model import Customer, Enrolment, Issual, OfferType, Promotion, RedemptionLimit
from worker.demo.simulator.queries import CustomerStatus, read_lookup_v2, read_page
from worker.demo.simulator.shapes import (
    Naming,
    error_answer,
    issued_answer,
    lookup_answer,
    not_issued_answer,
    promotion_v2,
    promotion_v21,
)
from worker.demo.simulator.world import World

_FIXTURES = Path(__file__).parents[2] / "fixtures" / "simulator"
_ENROL_AND_ISSUE = Promotion(
    promotion_id=1119990,
    name="Enrol & issue | LOYALTY EARNING PROMO",
    program_id=1085,
    starts=datetime(2024, 5, 1, tzinfo=UTC),
    ends=datetime(2024, 6, 30, 23, 59, 59, tzinfo=UTC),
    identifier="7ff82c46-dd7e-45d7-b09a-eb58aed3d714",
    limit_per_customer=10,
    earn_limit=7,
    enrolment_lasts=timedelta(days=5),
)
_DIRECT_ISSUE = Promotion(
    promotion_id=1119509,
    name="Direct issue | LOYALTY PROMO",
    description='include "L+DIRECT_PROMO" in Txn notes to earn this',
    program_id=1085,
    starts=datetime(2024, 5, 1, tzinfo=UTC),
    ends=datetime(2024, 7, 31, 23, 59, 59, tzinfo=UTC),
    identifier="d1a3a7ec-b4c6-46f2-ba1f-adbe2e01e31d",
    offer_type=OfferType.LOYALTY,
    limit_per_customer=100,
    redemptions=(RedemptionLimit(kpi="NUMBER_OF_REDEMPTIONS_PER_EARN", max_limit=3),),
)
_PERIODS = Promotion(
    promotion_id=67247,
    name="duplicate_test_5",
    description="Welcome offer for first-time customers with specific conditions",
    starts=datetime(2023, 12, 30, 18, 30, tzinfo=UTC),
    ends=datetime(2024, 12, 30, 18, 30, tzinfo=UTC),
    identifier="e823c904-34bf-4b8a-8124-16085183177f",
    offer_type=OfferType.GENERIC,
    limit_per_customer=None,
    metadata=(("preferred language", "en"), ("testt", "vall")),
    redemptions=(
        RedemptionLimit(kpi="NUMBER_OF_POINTS", max_limit=150, limit_on="EVENT"),
        RedemptionLimit(kpi="NUMBER_OF_TIMES", max_limit=20, period_unit="MONTHLY"),
        RedemptionLimit(kpi="NUMBER_OF_POINTS", max_limit=200, period_unit="DAILY"),
        RedemptionLimit(kpi="NUMBER_OF_POINTS", max_limit=1000, limit_on="PROMOTION", period_unit="WEEKLY"),
        RedemptionLimit(kpi="NUMBER_OF_REDEMPTIONS_PER_EARN", max_limit=100),
    ),
)
_ALL_USAGE = Promotion(
    promotion_id=79555,
    name="2X Points",
    description="2X Points",
    program_id=973,
    starts=datetime(2025, 1, 20, tzinfo=UTC),
    ends=datetime(2025, 2, 28, 23, 59, 59, tzinfo=UTC),
    identifier="33c82f8f-f6b3-4264-9b72-3ecb969a03bf",
    offer_type=OfferType.GENERIC,
    limit_per_customer=None,
    redemptions=(),
    points_used="4990.000",
    times_used=4,
)


def _sample(name: str) -> Any:  # noqa: ANN401 - JSON
    return json.loads((_FIXTURES / f"{name}.json").read_text())


def _shape(value: object) -> object:
    """Reduce JSON to keys and types; of a list, the first entry's."""
    match value:
        case dict():
            return {key: _shape(inner) for key, inner in value.items()}
        case [first, *_]:
            return [_shape(first)]
        case _:
            return type(value).__name__


def _enrolment(
    promotion: Promotion, number: int, at: datetime, expires: datetime, *issued: Issual
) -> Enrolment:
    return Enrolment(
        customer_id=345854019,
        promotion_id=promotion.promotion_id,
        program_id=promotion.program_id,
        enrolment_id=number,
        event_log_id=12413589 if number == 1580 else 12413647,
        issual_id=3,
        at=at,
        expires=expires,
        visible_at=at,
        issued=issued,
    )


_EARNED_AT = datetime(2024, 6, 25, 12, 44, 13, tzinfo=UTC)


def test_an_enrolled_promotion_looks_as_sampled() -> None:
    """An enrolment with what was earned under it shows in the timeline, the usages as quoted numbers."""
    at, expires = datetime(2024, 6, 25, 12, 41, 55, tzinfo=UTC), datetime(2024, 6, 30, 12, 41, 55, tzinfo=UTC)
    earned = Issual(issual_id=1583, at=_EARNED_AT, expires=expires, event_log_id=12413647)
    enrolment = _enrolment(_ENROL_AND_ISSUE, 1580, at, expires, earned)
    shown = promotion_v2(_ENROL_AND_ISSUE, [enrolment], promotion_count=1)
    assert _sample("lookup_enrol_and_issue") == shown


def test_a_direct_issue_promotion_looks_as_sampled() -> None:
    """LOYALTY promotions carry a timeline too."""
    expires = datetime(2024, 7, 31, 23, 59, 59, tzinfo=UTC)
    earned = Issual(issual_id=1582, at=_EARNED_AT, expires=expires, event_log_id=12413647)
    enrolment = _enrolment(_DIRECT_ISSUE, 1581, _EARNED_AT, expires, earned)
    shown = promotion_v2(_DIRECT_ISSUE, [enrolment], promotion_count=1)
    assert _sample("lookup_direct_issue") == shown


def test_a_generic_promotion_looks_as_sampled() -> None:
    """No timeline key for GENERIC, no usage for limits on EVENT, nothing in `limits` for periods."""
    assert _sample("lookup_periods") == promotion_v2(_PERIODS, [], promotion_count=0)


def test_all_usage_shows_disabled_restrictions() -> None:
    """With fetchAllUsage, restrictions that are not set appear with -1, and in `limits` as well."""
    assert _sample("lookup_all_usage") == promotion_v2(_ALL_USAGE, [], promotion_count=0, all_usage=True)


def test_a_lookup_page_looks_as_sampled() -> None:
    """A whole answer for a customer who can enrol, through the reader and the filter, equals the sample."""
    world = World([_ENROL_AND_ISSUE, _PERIODS], [Customer(customer_id=345853998)])
    query = {"identifierName": "id", "identifierValue": "345853998", "source": "INSTORE"}
    query["promotionStatusForCustomer"] = CustomerStatus.AVAILABLE_TO_ENROL
    answer = answer_lookup_v2(read_lookup_v2(query.items(), world), world, datetime(2024, 6, 1, tzinfo=UTC))
    assert _sample("lookup_page") == answer


def test_v21_has_the_organisation_and_no_timeline() -> None:
    """A v2.1 answer has the shape of that page's sample, also where v2 has a timeline."""
    sample = _sample("lookup_v21_page")
    generic = promotion_v21(_ALL_USAGE, [], promotion_count=0, org_id=50405)
    answer = lookup_answer(347297848, [generic], total=1, limit=10, offset=0)
    assert _shape(sample) == _shape(answer)
    enrolled = promotion_v21(_ENROL_AND_ISSUE, [], promotion_count=0, org_id=50405)
    assert _shape(sample)["promotions"][0].keys() == enrolled.keys()  # type: ignore[index]  # sample's shape


def test_v21_may_use_its_tables_names() -> None:
    """With the table's names, `orgID` and the long kpi names replace the samples'."""
    shown: Any = promotion_v21(_ENROL_AND_ISSUE, [], promotion_count=0, org_id=7, naming=Naming.TABLE)
    restrictions = shown["promotionRestriction"]
    assert shown["orgID"] == 7
    assert restrictions["issualRestrictions"][0]["kpi"] == "MAX_NUMBER_OF_ISSUALS_PER_CUSTOMER"
    assert restrictions["earnRestrictions"][0]["kpi"] == "MAX_NUMBER_OF_EARNS_PER_CUSTOMER"


def test_limits_per_promotion_show_everybodys_usage() -> None:
    """`currentCustomerUsage` of a PROMOTION limit counts all customers; EVENT limits have none."""
    promotion = Promotion(promotion_id=1, limit_per_promotion=50, limit_per_event=150)
    shown: Any = promotion_v2(promotion, [], promotion_count=50)
    event, customer, everybody = shown["promotionRestriction"]["issualRestrictions"]
    assert "currentCustomerUsage" not in event
    assert (customer["currentCustomerUsage"], customer["limitOn"]) == ("0", "CUSTOMER")
    assert (everybody["currentCustomerUsage"], everybody["limitOn"]) == ("50", "PROMOTION")


def test_issue_answers_look_as_sampled() -> None:
    """Success, the warning 8890 and errors equal the page's samples."""
    promotion = Promotion(promotion_id=57099)
    assert _sample("issue_answers") == {
        "issued": issued_answer(promotion, 3),
        "not_issued": not_issued_answer(),
        "program": error_answer(1101, "invalid programId passed", issue=True),
        "customer": error_answer(8015, "Customer not found for the given identifiers", issue=True),
    }


def test_the_list_looks_as_sampled() -> None:
    """A list page has the sample's keys and types; zero seconds are left out of its dates."""
    now = datetime(2024, 6, 1, tzinfo=UTC)
    answer: Any = list_answer([_PERIODS], now, total=88, page=1, size=5)
    wanted: Any = _shape(_sample("list_page"))
    restrictions = wanted["data"][0]["promotionRestrictions"]
    restrictions["cappingStatus"] = "NoneType"
    restrictions["restrictions"]["expiryRestrictions"] = [{"name": "str", "type": "str"}]
    restrictions["restrictions"]["redemptionRestrictions"][0] |= {"periodType": "NoneType"}
    assert wanted == _shape(answer)
    assert answer["data"][0]["startDate"] == "2023-12-30T18:30Z"
    assert answer["data"][0]["eventName"] == "TRANSACTIONADD"
    assert answer["pageDetails"] == {"pageNumber": 1, "pageSize": 5, "totalEntries": 88, "pageCount": 18}


@pytest.mark.parametrize(
    ("month", "active", "status"),
    [
        (4, True, Status.UPCOMING),
        (6, True, Status.LIVE),
        (8, True, Status.COMPLETED),
        (6, False, Status.INACTIVE),
    ],
)
def test_status_in_the_list(month: int, active: bool, status: Status) -> None:  # noqa: FBT001 - a case's value
    """Dates decide on UPCOMING, LIVE and COMPLETED; inactive is INACTIVE."""
    promotion = Promotion(
        promotion_id=1,
        starts=datetime(2024, 5, 1, tzinfo=UTC),
        ends=datetime(2024, 6, 30, tzinfo=UTC),
        active=active,
    )
    assert status_of(promotion, datetime(2024, month, 1, tzinfo=UTC)) is status


@pytest.mark.parametrize(("first_page", "offset"), [(0, 1), (1, 2)])
def test_the_lists_offset_is_a_page_number(first_page: int, offset: int) -> None:
    """The second page follows the first without gap or repeat, whichever number the first has."""
    world = World([Promotion(promotion_id=number) for number in range(1, 6)])
    asked = read_page({"limit": "2", "offset": str(offset)}.items(), world, first_page=first_page)
    answer: Any = answer_page(asked, world, datetime(2024, 6, 1, tzinfo=UTC), first_page=first_page)
    assert [entry["id"] for entry in answer["data"]] == [3, 4]
    assert answer["pageDetails"]["pageNumber"] == offset
