"""Field by field: what the worker reads of each endpoint's body, and that all the rest may be anything."""

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from worker.capillary.catalogue_wire import read_list_page, read_status
from worker.capillary.wire import Json, read_notices, read_page, read_side_effects

BODIES = Path(__file__).parents[2] / "fixtures" / "contract"
Keys = tuple[str | int, ...]

LOOKUP = {
    "customerId",
    "pageDetails.pageSize",
    "pageDetails.totalEntries",
    "promotions.promotionId",
    "promotions.programId",
    "promotions.promotionName",
    "promotions.startDate",
    "promotions.endDate",
    "promotions.active",
    "promotions.pointsOfferType",
    *(
        f"promotions.promotionRestriction.{kind}.{name}"
        for kind in ("issualRestrictions", "earnRestrictions", "redemptionRestrictions")
        for name in ("kpi", "limitOn", "maxLimit", "currentCustomerUsage")
    ),
    "promotions.promotionRestriction.redemptionRestrictions.type",
}
TIMELINE = {
    f"promotions.customerPromotionTimelines.{name}"
    for name in ("enrollmentId", "enrollmentDate", "enrollmentExpiryDate")
}
LIST = {
    "status.code",
    "status.message",
    "pageDetails.totalEntries",
    *(
        f"data.{name}"
        for name in ("id", "name", "programId", "promotionStatus", "pointsOfferType", "startDate", "endDate")
    ),
    "data.promotionRestrictions.cappingStatus",
    *(
        f"data.promotionRestrictions.restrictions.expiryRestrictions.{name}"
        for name in ("name", "type", "value")
    ),
}
ISSUE = {
    "warnings.code",
    "warnings.message",
    "sideEffects.programId",
    "sideEffects.promotionId",
    "sideEffects.issualId",
}


def _issue(body: Json) -> object:
    return (
        read_notices(body["warnings"]),
        read_notices(body["errors"]),
        read_side_effects(body["sideEffects"]),
    )


@pytest.mark.parametrize(
    ("name", "read", "fields"),
    [
        ("lookup_v2.json", read_page, LOOKUP | TIMELINE),
        ("lookup_v2_1.json", read_page, LOOKUP | {"promotions.orgId"}),
        ("list.json", lambda body: (read_list_page(body), read_status(body)), LIST),
        ("issue.json", _issue, ISSUE),
    ],
)
def test_fields_that_matter(name: str, read: Callable[[Json], object], fields: set[str]) -> None:
    """Another value in a field that is read changes what is read; in any other field it changes nothing."""
    body = json.loads((BODIES / name).read_text())
    truth = read(body)
    changing = {_name(keys) for keys in _leaves(body) if read(_with(body, keys, _another)) != truth}
    assert changing == fields
    unread = [keys for keys in _leaves(body) if _name(keys) not in fields]
    assert len(unread) > (0 if name == "issue.json" else 10)
    for keys in unread:
        assert read(_with(body, keys, lambda _value: {"unexpected": [None]})) == truth, keys


def _leaves(node: object, keys: Keys = ()) -> Iterator[Keys]:
    match node:
        case dict():
            for key, inner in node.items():
                yield from _leaves(inner, (*keys, key))
        case list():
            for index, inner in enumerate(node):
                yield from _leaves(inner, (*keys, index))
        case _:
            yield keys


def _name(keys: Keys) -> str:
    return ".".join(key for key in keys if isinstance(key, str))


def _with(body: Any, keys: Keys, change: Callable[[Any], Any]) -> Any:  # noqa: ANN401 - JSON
    copy = deepcopy(body)
    node = copy
    for key in keys[:-1]:
        node = node[key]
    node[keys[-1]] = change(node[keys[-1]])
    return copy


def _another(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Return another value that is as good: a date stays a date, a number in a text stays one."""
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case str() if value.startswith("2026-"):
            return value.replace("2026-", "2025-", 1)
        case str() if value.replace(".", "").isdigit():
            return str(float(value) + 1)
        case str():
            return f"{value} other"
        case _:
            return "other"
