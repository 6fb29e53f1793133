"""What hypothesis draws from: records as hostile as a topic that anyone may write to."""

import json

from hypothesis import strategies as st

from topics.record import Position, Record

NAMES = st.sampled_from(
    [
        *("eventId", "eventName", "eventType", "orgId", "createdAt", "occurredAt", "timeStamp", "attributes"),
        *(
            "data",
            "customer",
            "customerIdentifiers",
            "customerId",
            "instore",
            "mobile",
            "email",
            "externalId",
        ),
        *("source", "specversion", "id", "type", "time", " data ", "mobile\t", "1_x"),
    ]
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from([10**400, "9" * 30, "150698_customerAdded", "2026-01-31T10:00:00Z", "\x1c1", "\u00a0"])
)
JSON_OBJECTS = st.dictionaries(
    NAMES,
    st.recursive(
        SCALARS,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=6),
        max_leaves=20,
    ),
    max_size=10,
)
HEADERS = st.lists(
    st.tuples(
        st.sampled_from(["ce_id", "ce_specversion", "ce_type", "ce_time", "other"]),
        st.none() | st.binary(max_size=20) | st.sampled_from([b"1.0", b"a.b", b"2026-01-31T10:00:00Z"]),
    ),
    max_size=5,
).map(tuple)
VALUES = st.none() | st.binary(max_size=60) | JSON_OBJECTS.map(lambda body: json.dumps(body).encode())
RECORDS = st.builds(
    Record,
    position=st.just(Position("customer-activity", 3, 42)),
    timestamp_ms=st.integers(-(2**63), 2**63 - 1),
    key=st.none() | st.binary(max_size=10),
    value=VALUES,
    headers=HEADERS,
)
