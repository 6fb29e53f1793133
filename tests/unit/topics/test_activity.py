"""The shapes of activity with all that upstream systems do to them, and any bytes at all."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings

from tests.support.unit.activities import BINARY, CLOUD, ENVELOPED, FLAT, PLAIN
from tests.support.unit.readings import checked_activity
from tests.support.unit.strategies import RECORDS
from tests.support.use_case.values import AT, event, record
from topics.activity import UNNAMED, Activity, Malformed, Tombstone, read_activity
from topics.record import UNREADABLE, Headers, Position, Record, UnreadableOffsets

ANN = (
    ("externalId", "AB-77", "INSTORE"),
    ("mobile", "919845012345", "INSTORE"),
    ("email", "ann@example.com", "INSTORE"),
)


def read(value: object, headers: Headers = ()) -> Activity:
    """Read a value that is an event."""
    activity = read_activity(record(value, headers=headers))
    assert isinstance(activity, Activity)
    return activity


@pytest.mark.parametrize(
    ("value", "headers", "expected"),
    [
        (
            FLAT,
            (),
            (
                "0d3f9c0e-flat",
                "customerAdded",
                1800,
                datetime(2021, 4, 23, 17, 30, 42, 493000, UTC),
                (("customerId", "482579328", "INSTORE"), *ANN),
            ),
        ),
        (
            ENVELOPED,
            (),
            (
                "5b1e-enveloped",
                "transactionAdded",
                151197,
                datetime(2023, 5, 12, 7, 0, 0, 89000, UTC),
                (("customerId", "7", "ECOMMERCE"), ("mobile", "919845012345", "ECOMMERCE")),
            ),
        ),
        (
            PLAIN,
            (),
            (
                "plain-1",
                "transactionAdded",
                1,
                datetime(2026, 1, 31, 10, tzinfo=UTC),
                (("customerId", "1", "INSTORE"), *ANN),
            ),
        ),
        (
            CLOUD | {"data": FLAT["data"]},
            (),
            (
                "ce-1",
                "transactionAdded",
                None,
                datetime(2026, 1, 31, 10, tzinfo=UTC),
                (("customerId", "482579328", "INSTORE"), *ANN),
            ),
        ),
        (
            CLOUD | {"data": {"customer": PLAIN["customer"], "orgId": 5}},
            (),
            (
                "ce-1",
                "transactionAdded",
                5,
                datetime(2026, 1, 31, 10, tzinfo=UTC),
                (("customerId", "1", "INSTORE"), *ANN),
            ),
        ),
        (
            ENVELOPED["attributes"]["data"],
            BINARY,
            (
                "ce-2",
                "customerAdded",
                None,
                datetime(2026, 1, 31, 10, 0, 0, 500000, UTC),
                (("customerId", "7", "ECOMMERCE"), ("mobile", "919845012345", "ECOMMERCE")),
            ),
        ),
        (
            {"customer": {"email": "ann@example.com"}},
            BINARY,
            (
                "ce-2",
                "customerAdded",
                None,
                datetime(2026, 1, 31, 10, 0, 0, 500000, UTC),
                (("email", "ann@example.com", None),),
            ),
        ),
    ],
    ids=[
        "flat",
        "enveloped",
        "plain",
        "structured-inner-data",
        "structured-plain",
        "binary-inner-data",
        "binary-plain",
    ],
)
def test_every_shape_gives_the_same_kind_of_event(
    value: object, headers: Headers, expected: tuple[object, ...]
) -> None:
    """Each shape in the field yields identity, name, organisation, time and the customer's names in order."""
    activity = read(value, headers)

    assert (
        activity.event_id,
        activity.event_name,
        activity.org_id,
        activity.occurred_at,
        tuple(name[:3] for name in activity.customer.names),
    ) == expected


def _blanks(value: object) -> object:
    if isinstance(value, dict):
        return {f" {key}\t ": _blanks(inner) for key, inner in value.items()}
    return value


@pytest.mark.parametrize(
    "shape",
    [FLAT, ENVELOPED, PLAIN, CLOUD | {"data": FLAT["data"]}],
    ids=["flat", "enveloped", "plain", "structured"],
)
def test_stray_blanks_around_key_names_change_nothing(shape: dict[str, object]) -> None:
    """Published samples have blanks in key names: they are read as if they had none."""
    assert read(_blanks(shape)) == read(shape)


@pytest.mark.parametrize(
    ("changes", "name", "org"),
    [
        ({"eventName": "150698_customerAdded", "orgId": None}, "customerAdded", 150698),
        ({"eventName": "150698_customerAdded", "orgId": 9}, "customerAdded", 9),
        ({"eventName": "150698_", "orgId": None}, "150698_", None),
        ({"eventName": "_customerAdded", "orgId": None}, "_customerAdded", None),
        ({"eventName": "customer_Added", "orgId": None}, "customer_Added", None),
        ({"eventName": " customerAdded ", "orgId": "1800"}, "customerAdded", 1800),
        ({"eventName": "9" * 40 + "_customerAdded", "orgId": None}, "customerAdded", None),
        ({"eventName": "٣_customerAdded", "orgId": None}, "customerAdded", None),
        ({"eventName": None, "orgId": 0}, UNNAMED, None),
        ({"eventName": ["a"], "orgId": -5}, UNNAMED, None),
        ({"eventName": "  ", "orgId": True}, UNNAMED, None),
        ({"eventName": "x", "orgId": 2**63}, "x", None),
        ({"eventName": "x", "orgId": 2**63 - 1}, "x", 2**63 - 1),
        ({"eventName": "x", "orgId": 1800.0}, "x", 1800),
        ({"eventName": "x", "orgId": 1800.5}, "x", None),
    ],
)
def test_names_may_be_prefixed_by_the_organisation(
    changes: dict[str, object], name: str, org: int | None
) -> None:
    """`<org>_<name>` is split; an organisation that the event names itself is believed before the prefix."""
    activity = read(event(**changes))

    assert (activity.event_name, activity.org_id) == (name, org)


def test_an_event_type_alone_names_an_enveloped_event() -> None:
    """Without an inner eventName, the envelope's eventType is the name and may hold the organisation."""
    attributes = {k: v for k, v in ENVELOPED["attributes"].items() if k not in ("eventName", "orgId")}
    activity = read(ENVELOPED | {"attributes": attributes})

    assert (activity.event_name, activity.org_id) == ("transactionAdded", 150698)


@pytest.mark.parametrize(
    ("value", "headers", "identity"),
    [
        (event(eventId="own"), BINARY, "own"),
        (event(eventId=None), BINARY, "ce-2"),
        (event(eventId="   "), (("ce_id", b" ce-3 "),), "ce-3"),
        (event(eventId=77), (), "77"),
        (event(eventId=None), (), "customer-activity-3-42"),
        (event(eventId=None), (("ce_id", b"  "),), "customer-activity-3-42"),
        (event(eventId=None), (("ce_id", b"\xff\xfe"),), "customer-activity-3-42"),
        (event(eventId=None), (("ce_id", None),), "customer-activity-3-42"),
        (event(eventId=None), (("ce_id", b"first"), ("ce_id", b"last")), "last"),
        (CLOUD | {"data": event(eventId="own")}, (), "own"),
        (CLOUD | {"data": event(eventId=None)}, (("ce_id", b"header"),), "ce-1"),
        (CLOUD | {"id": None, "data": event(eventId=None)}, (), "customer-activity-3-42"),
        (CLOUD | {"data": ENVELOPED}, (), "5b1e-enveloped"),
        (event(eventId="x" * 512), (), "x" * 512),
    ],
    ids=[
        "own-before-ce",
        "ce-header",
        "blank-own",
        "number",
        "position",
        "blank-ce",
        "ce-not-utf8",
        "ce-null",
        "repeated-header",
        "structured-own",
        "structured-id",
        "structured-none",
        "structured-around-envelope",
        "longest",
    ],
)
def test_identity_is_the_events_own_then_cloudevents_then_the_position(
    value: object, headers: Headers, identity: str
) -> None:
    """EventId, else the CloudEvents id, else topic-partition-offset: the same on every reading."""
    assert read(value, headers).event_id == identity


@pytest.mark.parametrize(
    ("value", "headers", "identity"),
    [
        (event(eventId="own"), BINARY, "own"),
        (event(eventId=None), BINARY, "/pos/12#ce-2"),
        (event(eventId=None), (("ce_id", b"ce-3"), ("ce_source", b" /till ")), "/till#ce-3"),
        (event(eventId=None), (("ce_id", b"ce-3"), ("ce_source", b" ")), "ce-3"),
        (event(eventId=None), (("ce_source", b"/till"),), "customer-activity-3-42"),
        (CLOUD | {"source": "/till", "data": event(eventId="own")}, (), "own"),
        (CLOUD | {"source": "/till", "data": event(eventId=None)}, (("ce_source", b"/web"),), "/till#ce-1"),
        (CLOUD | {"source": 5, "data": event(eventId=None)}, (), "5#ce-1"),
        (CLOUD | {"source": None, "data": event(eventId=None)}, (), "ce-1"),
        (CLOUD | {"source": "s" * 512, "data": event(eventId=None)}, (), "s" * 512 + "#ce-1"),
    ],
)
def test_a_cloudevents_id_counts_for_its_source(value: object, headers: Headers, identity: str) -> None:
    """Two sources may use one id: the identity names both, what is told upstream's id alone."""
    activity = read(value, headers)
    assert activity.identity == identity
    assert activity.event_id == identity.rpartition("#")[2]


def test_a_source_is_bounded_like_an_id() -> None:
    """It is part of names in the ledger and of every outcome's id."""
    reading = read_activity(record(CLOUD | {"source": "s" * 513, "data": event(eventId=None)}))
    assert reading == Malformed("source: longer than 512 characters")


@pytest.mark.parametrize(
    ("customer", "names"),
    [
        ({"customerId": "482579328"}, [("customerId", "482579328", None)]),
        ({"customerId": "7\x1f"}, [("customerId", "7", None)]),
        ({"customerId": " 7 ", "source": " ecommerce "}, [("customerId", "7", "ECOMMERCE")]),
        ({"customerId": 0, "mobile": 919845012345}, [("mobile", "919845012345", None)]),
        ({"customerId": -1, "externalId": 0}, [("externalId", "0", None)]),
        ({"customerId": 2**63, "email": "a@b"}, [("email", "a@b", None)]),
        ({"customerId": "9" * 5000, "email": "a@b"}, [("email", "a@b", None)]),
        ({"customerId": 1.5, "email": "a@b"}, [("email", "a@b", None)]),
        ({"customerId": True, "mobile": False, "email": None}, []),
        ({"customerId": "٣"}, []),
        ({"customerId": {"a": 1}, "mobile": ["1"]}, []),
        ({"mobile": "  ", "email": ""}, []),
        ({"mobile": 2**63, "email": "a@b"}, [("email", "a@b", None)]),
        ({"externalId": "x" * 513, "mobile": "1"}, [("mobile", "1", None)]),
        ({"externalId": "x" * 512}, [("externalId", "x" * 512, None)]),
        (
            {"email": "e", "mobile": "m", "externalId": "x"},
            [("externalId", "x", None), ("mobile", "m", None)],
        ),
        ({"source": 5, "mobile": "1"}, [("mobile", "1", "5")]),
    ],
    ids=lambda case: json.dumps(case)[:40] if isinstance(case, dict) else "",
)
def test_names_are_read_tolerantly_and_strongest_first(
    customer: dict[str, object], names: list[tuple[str, str, str | None]]
) -> None:
    """Numbers serve as text, what is no usable name is passed over, and the order is the contract's."""
    found = [name[:3] for name in read(event(customer=customer)).customer.names]
    assert found[: len(names)] == names
    assert bool(found) == bool(names)


def test_each_source_object_lends_its_name() -> None:
    """A name's source is the upper-cased key of the object it stands in; strength goes before sources."""
    identifiers = {"instore": {"email": "e@x"}, "noise": 3, "ecommerce": {"externalId": 5, "email": "f@x"}}

    names = read({"data": {"customerIdentifiers": identifiers}}).customer.names

    assert names == (
        ("externalId", "5", "ECOMMERCE", None),
        ("email", "e@x", "INSTORE", None),
        ("email", "f@x", "ECOMMERCE", None),
    )


def test_foreign_customer_details_do_not_hide_the_identifiers() -> None:
    """A notification's data may hold more than is read: `customerIdentifiers` is what names the customer."""
    data = FLAT["data"] | {"customer": {"firstName": "Ann"}}

    assert read(FLAT | {"data": data}) == read(FLAT)


@pytest.mark.parametrize(
    ("given_time", "expected"),
    [
        ("2026-01-31T10:00:00Z", datetime(2026, 1, 31, 10, tzinfo=UTC)),
        (" 2026-01-31T10:00Z ", datetime(2026, 1, 31, 10, tzinfo=UTC)),
        ("2026-01-31T15:30:00.250+05:30", datetime(2026, 1, 31, 10, 0, 0, 250000, UTC)),
        ("2026-01-31T10:00:00", datetime(2026, 1, 31, 10, tzinfo=UTC)),
        (1769853600000, datetime(2026, 1, 31, 10, tzinfo=UTC)),
        (1769853600000.0, datetime(2026, 1, 31, 10, tzinfo=UTC)),
        ("yesterday", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("9999-12-31T23:59:59-14:00", None),
        (10**30, None),
        (-1, None),
        (0, None),
        (True, None),
        ([], None),
    ],
)
def test_times_are_rfc_3339_or_epoch_milliseconds(given_time: object, expected: datetime | None) -> None:
    """A time that cannot be read is as if absent, never a reason to refuse the event."""
    assert read(event(occurredAt=given_time)).occurred_at == expected


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (b"", "value: empty"),
        (b" \n", "value: empty"),
        (b"\xff\xfe\x00", "value: not JSON"),
        (b'{"eventId": "\xff"}', "value: not JSON"),
        (b'{"eventId": "\\ud800"}', "value: not JSON"),
        (b'{"eventId": "a"', "value: not JSON"),
        (b'{"a": NaN}', "value: not JSON"),
        (b'{"a": Infinity}', "value: not JSON"),
        (b'{"a": ' + b"9" * 5000 + b"}", "value: not JSON"),
        (b"\xef\xbb\xbf{}", "value: not JSON"),
        ('{"eventId": "a"}'.encode("utf-16"), "value: not JSON"),
        (b'{"eventId": "' + b"x" * 4_194_304 + b'"}', "value: larger than 4194304 bytes"),
        (b" " * 4_194_305, "value: larger than 4194304 bytes"),
        (b'{"a": ' * 5000 + b"1" + b"}" * 5000, "value: not JSON"),
        (b"[{}]", "value: not a JSON object"),
        (b'"eventId"', "value: not a JSON object"),
        (b"null", "value: not a JSON object"),
        (json.dumps({"eventId": "x" * 513}).encode(), "eventId: longer than 512 characters"),
        (json.dumps({"eventName": "x" * 513}).encode(), "eventName: longer than 512 characters"),
    ],
    ids=lambda case: case[:24].decode("latin1") if isinstance(case, bytes) else "",
)
def test_what_is_no_event_is_named_by_field_and_fault(value: bytes, message: str) -> None:
    """Malformed values are told by field and fault; what they hold is not repeated."""
    assert read_activity(record(value)) == Malformed(message)


@pytest.mark.parametrize(
    ("mark", "message"),
    [
        (UnreadableOffsets(b"17-21"), "record batch: offsets 17-21 cannot be read; the value is the batch"),
        (b"17-21", "value: not JSON"),
        (None, "value: not JSON"),
    ],
)
def test_what_stands_for_an_unreadable_batch_says_so(mark: bytes | None, message: str) -> None:
    """The offsets that are missing are told; a header of upstream's with that name says nothing."""
    assert read_activity(record(b"\0", headers=((UNREADABLE, mark),))) == Malformed(message)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b'{"eventId": "first", "eventId": "last"}', ("last", None, None)),
        (b'{"eventId": "first", " eventId": "last"}', ("last", None, None)),
        (b'{"eventId": 1180591620717411303424, "orgId": 1180591620717411303424}', (str(AT), None, None)),
        (b'{"eventId": "a", "occurredAt": "0000-01-01T00:00:00Z"}', ("a", None, None)),
        (
            b'{"eventId": "a", "occurredAt": "0001-01-01T00:00:00Z"}',
            ("a", None, datetime(1, 1, 1, tzinfo=UTC)),
        ),
        (b'{"eventId": "a\\u0000b", "orgId": 1e3}', ("a\0b", 1000, None)),
        (b'{"eventId": "' + b"x" * 3_000_000 + b'"', None),
    ],
    ids=["twice", "twice-with-blanks", "2-to-the-70", "year-0", "year-1", "null-character", "cut-off"],
)
def test_odd_values(value: bytes, expected: tuple[str, int | None, datetime | None] | None) -> None:
    """The last of two equal keys counts; what is out of range is as if absent."""
    reading = read_activity(record(value))
    found = (reading.event_id, reading.org_id, reading.occurred_at) if isinstance(reading, Activity) else None
    assert found == expected


def test_only_a_null_value_is_a_tombstone() -> None:
    """A null value means that nothing happened."""
    assert read_activity(record(None)) == Tombstone()


def test_a_giant_exponent_is_not_an_identifier() -> None:
    """Numbers beyond any id, as 1e400, neither raise nor name a customer."""
    value = b'{"eventName": "x", "createdAt": 1e400, "orgId": 1e400, "customer": {"mobile": 1e400}}'

    activity = read(value)

    assert (activity.org_id, activity.occurred_at, activity.customer.names) == (None, None, ())


@pytest.mark.parametrize(
    "value",
    ["919845012345", "ann@example.com", "AB-77"],
)
def test_names_stay_out_of_every_repr(value: str) -> None:
    """Records and events can be printed without showing who they are about."""
    source = record(PLAIN, key=value.encode(), headers=(("who", value.encode()),))

    assert value not in repr(source) + repr(read_activity(source))


def test_a_position_reads_as_topic_partition_offset() -> None:
    """The position's text is part of the contract: it identifies events that have no id."""
    assert str(Position("customer-activity", 0, 12)) == "customer-activity-0-12"


@pytest.mark.parametrize("timestamp_ms", [-1, -(2**63), 2**63 - 1, 1_700_000_000_000_000])
def test_any_timestamp_of_a_record_is_a_time(timestamp_ms: int) -> None:
    """Producers stamp what they like (nothing, microseconds): the record's time is clamped, no error."""
    assert record(b"", timestamp_ms=timestamp_ms).timestamp.tzinfo is UTC


@given(RECORDS)
@settings(max_examples=150, deadline=None)
def test_any_bytes_are_read_without_raising(source: Record) -> None:
    """Whatever lies on the topic ends as an event, a tombstone or a malformed value, within bounds."""
    assert checked_activity(source) == read_activity(source)
