"""How an event names its customer: every form of identifiers that upstream systems publish."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.use_case.values import event, record
from topics.activity import Activity, read_activity
from worker.enrolment.admission import lane_of

Names = list[tuple[str, str, str | None, str | None]]


def names_in(value: object) -> Names:
    """Return the names that an event gives its customer: name, value, source, account."""
    reading = read_activity(record(value))
    assert isinstance(reading, Activity)
    return [tuple(each) for each in reading.customer.names]  # type: ignore[misc]  # they have four parts


def raw(**identifiers: object) -> dict[str, object]:
    """Return a flat notification whose `customerIdentifiers` are these."""
    return {"eventName": "transactionAdded", "data": {"customerIdentifiers": identifiers}}


def account(account_id: object, *identifiers: tuple[str, object]) -> dict[str, object]:
    """Return an account of a source."""
    found = [{"identifierType": name, "identifierValue": value} for name, value in identifiers]
    return {"accountId": account_id, "identifiers": found}


@pytest.mark.parametrize(
    ("identifiers", "names"),
    [
        (
            {"wechat": {"accounts": [account("WX-1", ("mobile", "919800000001"))]}},
            [("mobile", "919800000001", "WECHAT", "WX-1")],
        ),
        (
            {
                "ecommerce": {"accounts": [account(7, ("email", "kim@example.com"))]},
                "facebook": {"accounts": [account("F", ("mobile", 919800000001), ("externalId", "EX"))]},
            },
            [
                ("externalId", "EX", "FACEBOOK", "F"),
                ("mobile", "919800000001", "FACEBOOK", "F"),
                ("email", "kim@example.com", "ECOMMERCE", "7"),
            ],
        ),
        (
            {"customerId": 5, "line": {"accounts": [account("L", ("email", "k@e"))]}},
            [("customerId", "5", "LINE", "L"), ("email", "k@e", "LINE", "L")],
        ),
        (
            {"customerId": 5, "loyaltyType": {"x": 1}, "firstName": "Kim", "instore": {"mobile": "1"}},
            [("customerId", "5", "INSTORE", None), ("mobile", "1", "INSTORE", None)],
        ),
        (
            {"instore": {"cardNumbers": ["1"], "cardnumber": "2", "id": 9, "mobile": "3"}},
            [("mobile", "3", "INSTORE", None)],
        ),
        (
            {"jd": {"accounts": [account("A", ("mobile", " ")), account("B", ("mobile", "2"))]}},
            [("mobile", "2", "JD", "B")],
        ),
        ({"jd": {"accounts": account(None, ("mobile", "2"))}}, [("mobile", "2", "JD", None)]),
        (
            {"jd": {"accounts": [[account("A", ("MOBILE ", "2"))]]}},
            [("mobile", "2", "JD", "A")],
        ),
        (
            {"jd": {"accounts": [{"identifiers": {"identifierType": "mobile", "identifierValue": "2"}}]}},
            [("mobile", "2", "JD", None)],
        ),
        (
            {"toabao": {"accounts": [account("T", ("mobile", "2"))]}},
            [("mobile", "2", "TAOBAO", "T")],
        ),
        ({"instore": [{"mobile": "2"}]}, [("mobile", "2", "INSTORE", None)]),
        ({"jd": {"accounts": [None, 5, "x", account("A", ("cuid", "2"), ("", None))]}}, []),
        ({"jd": {"accounts": [account("A" * 513, ("mobile", "2"))]}}, [("mobile", "2", "JD", None)]),
        ({" instore ": {"mo bile": "2", "external Id": "E"}}, [
            ("externalId", "E", "INSTORE", None),
            ("mobile", "2", "INSTORE", None),
        ]),
    ],
    ids=lambda case: json.dumps(case)[:50] if isinstance(case, dict) else "",
)  # fmt: skip
def test_raw_identifiers(identifiers: dict[str, object], names: Names) -> None:
    """By strength first, then in the payload's order; source and account are those of the name."""
    assert names_in(raw(**identifiers)) == names
    assert names_in({"attributes": raw(**identifiers)}) == names


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("+91 98000 00001", "919800000001"),
        ("(91) 98000-00001", "919800000001"),
        (" 919800000001\n", "919800000001"),
        ("\u202a+91\u00a098000\u201100001\u202c", "919800000001"),
        (919800000001, "919800000001"),
        (9.19800000001e11, "919800000001"),
        (9.8e11, "980000000000"),
        ("no number", "no number"),
        ("+no number", "no number"),
        ("+", None),
        (-919800000001, None),
        (9.5, None),
        (1e300, None),
        (2**63, None),
        (True, None),
        (["919800000001"], None),
        ("-- ()", None),
    ],
)
def test_a_mobile_number_however_it_is_written(written: object, read: str | None) -> None:
    """As the API knows it: digits alone; it is the same customer's lane in whatever form it comes."""
    names = names_in(event(customer={"mobile": written}))
    assert [value for _, value, *_ in names] == ([] if read is None else [read])
    if read is not None:
        lanes = {lane_of(record(event(customer={"mobile": each}), key=None)) for each in (written, read)}
        assert len(lanes) == 1


@pytest.mark.parametrize(
    ("customer", "read"),
    [
        ({"customerId": 5.0}, ("customerId", "5")),
        ({"customerId": "5"}, ("customerId", "5")),
        ({"customerId": "5.0"}, ("customerId", "5")),
        ({"customerId": 9.007199254740993e15, "email": "e"}, ("email", "e")),
        ({"externalId": 12345678901234567890123}, ("externalId", "12345678901234567890123")),
        ({"externalId": 1.5, "email": "e"}, ("email", "e")),
        ({"externalId": 7.0}, ("externalId", "7")),
        ({"externalId": " 000-12 3 "}, ("externalId", "000-12 3")),
        ({"email": " kim @example.com "}, ("email", "kim @example.com")),
        ({"externalId ": None, "externalId": "E"}, ("externalId", "E")),
        ({"externalId": "E", "externalId ": None}, ("externalId", "E")),
    ],
    ids=repr,
)
def test_numbers_and_texts(customer: dict[str, object], read: tuple[str, str]) -> None:
    """A number is written without an exponent, if it is exact; a text is trimmed and else as it is."""
    assert names_in(event(customer=customer))[0][:2] == read


PLAIN: dict[str, Any] = event(customer={"customerId": 5, "source": "instore"})


@pytest.mark.parametrize(
    "more",
    [
        {"data": {"amount": 5}},
        {"attributes": {"till": 3}},
        {"data": {}, "attributes": {}},
        {"attributes": {"data": {"amount": 5}}},
        {"data": {"customer": {"firstName": "Kim"}}},
        {"customerIdentifiers": {}},
        {"customerIdentifiers": {"instore": {}, "loyaltyType": "x"}},
        {"data": {"customerIdentifiers": {"customerId": None}}},
        {"data": [1], "attributes": "x"},
        {"customer": [PLAIN["customer"]]},
    ],
    ids=repr,
)
def test_what_else_a_plain_event_holds_does_not_hide_its_customer(more: dict[str, object]) -> None:
    """An object that names nobody is passed over; the rest of the event is what it was, too."""
    assert names_in(PLAIN | more) == [("customerId", "5", "INSTORE", None)]
    plain, other = read_activity(record(PLAIN)), read_activity(record(PLAIN | more))
    assert plain == other


_FLOATS = st.floats(allow_nan=False, allow_infinity=False)
_PARTS = st.recursive(
    st.none() | st.booleans() | st.integers() | _FLOATS | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["accounts", "accountId", "identifiers", "identifierType", "identifierValue", "mobile",
                 "externalId ", "email", "customerId", "instore", "jd", "customer", "data", "attributes",
                 "customerIdentifiers"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)  # fmt: skip


@given(_PARTS)
def test_any_shape_of_identifiers_is_read_within_bounds(part: object) -> None:
    """None raises, every name is clean, and strength decides the order."""
    names = names_in({"eventName": "x", "data": {"customerIdentifiers": part}, "customer": part})
    order = ["customerId", "externalId", "mobile", "email"]
    assert [each[0] for each in names] == sorted((each[0] for each in names), key=order.index)
    for name, value, source, account_id in names:
        assert 0 < len(value) <= 512
        assert value == value.strip()
        assert name != "mobile" or not value.startswith("+")
        assert source is None or source == source.upper()
        assert account_id is None or 0 < len(account_id) <= 512


@example("+-+5")
@example("+ +a")
@given(st.text("+- ()a0123456789\u00a0\u2011", max_size=20))
def test_a_mobile_number_is_read_once_for_all(written: str) -> None:
    """What was read is read again as the same."""
    names = names_in(event(customer={"mobile": written}))
    again = [names_in(event(customer={"mobile": value}))[0][:2] for _, value, *_ in names]
    assert again == [each[:2] for each in names]
