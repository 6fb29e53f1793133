"""How ledger entries are written: read back as they were, and written as they were written before."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topics.origin import Origin
from topics.outcome import ActivityReference, CodeAndMessage, Outcome, OutcomeName, RestrictionUsed
from worker.domain.answers import Notice
from worker.domain.evidence import Evidence
from worker.domain.ledger import Attempt, Enrolment, Limit, Standing
from worker.domain.limits import LimitReason
from worker.domain.memory import Memory, Name, Nobody, Offer, Shown
from worker.domain.promotions import Restriction, TimelineEntry
from worker.domain.settlement import Subject
from worker.ledger import format as ledger_format
from worker.ledger.entries import (
    EventPlan,
    Foregone,
    KeyHashes,
    LedgerEntry,
    MemoryEntry,
    NameEntry,
    OrganisationEntry,
    PlanEntry,
    Request,
    Result,
    ResultEntry,
    StandingEntry,
)
from worker.ledger.format import read_key_hashes, read_plan, read_result, read_standing, write

M = TypeVar("M")

AT = datetime(2026, 1, 31, 10, 0, tzinfo=UTC)
LANE: KeyHashes = (4_294_967_295, 0)
SUBJECT = Subject(promotion_id=57099, program_id=469, name="Frühling", org_id=100)
ACTIVITY = ActivityReference(
    event_id="evt-1", event_name="transactionAdded", occurred_at=AT, topic="activity", partition=3, offset=42
)
OUTCOME = Outcome(
    outcome_id="11111111-2222-5333-8444-555555555555",
    outcome=OutcomeName.LIMIT_EXHAUSTED,
    severity="warning",
    reason="CUSTOMER_LIMIT",
    promotion_id=57099,
    attempts=1,
    cached=True,
    warnings=(CodeAndMessage(code=8890, message="not issued"),),
    restriction=RestrictionUsed(
        kpi="NUMBER_OF_ISSUALS", limit_on="CUSTOMER", max_limit=2, current_customer_usage=2.5
    ),
    activity=ACTIVITY,
    occurred_at=AT,
)
PLAN = EventPlan(
    origin=Origin(activity=ACTIVITY, org_id=100, customer_id=482579328, customer_ref="ab12"),
    customer_id=482579328,
    steps=(Request(subject=SUBJECT, key="key-1", noted=Evidence((1580, 1581), 2)), Foregone(OUTCOME)),
    source="INSTORE",
)
STANDING = Standing(
    enrolment=Enrolment(key="key-1", event_id="evt-0", attempts=2, enrolment_id=1580),
    limit=Limit(
        AT,
        LimitReason.CUSTOMER_LIMIT,
        Restriction(
            kpi="NUMBER_OF_ISSUALS", limit_on="CUSTOMER", max_limit=Decimal(2), usage=Decimal("2.50")
        ),
    ),
    settled_limits=1,
    attempt=Attempt(event_id="evt-1", key="key-2", number=1, noted=Evidence(None, None)),
)

_REFERENCE_JSON = (
    b'{"event_id":"evt-1","event_name":"transactionAdded","occurred_at":"2026-01-31T10:00:00Z",'
    b'"topic":"activity","partition":3,"offset":42}'
)
_ACTIVITY_JSON = (
    b'{"eventId":"evt-1","eventName":"transactionAdded","occurredAt":"2026-01-31T10:00:00Z",'
    b'"topic":"activity","partition":3,"offset":42}'
)
_OUTCOME_JSON = (
    b'{"outcomeId":"11111111-2222-5333-8444-555555555555","outcome":"LIMIT_EXHAUSTED","severity":"warning",'
    b'"reason":"CUSTOMER_LIMIT","promotionId":57099,"attempts":1,"cached":true,'
    b'"warnings":[{"code":8890,"message":"not issued"}],"restriction":{"kpi":"NUMBER_OF_ISSUALS",'
    b'"limitOn":"CUSTOMER","maxLimit":2,"currentCustomerUsage":2.5},"activity":'
    + _ACTIVITY_JSON
    + b',"occurredAt":"2026-01-31T10:00:00Z"}'
)
OFFER = Offer(promotion_id=7, program_id=8)
WRITTEN: list[tuple[LedgerEntry, bytes, bytes]] = [
    (
        PlanEntry("evt-1", PLAN),
        b"plan/evt-1",
        b'{"origin":{"activity":'
        + _REFERENCE_JSON
        + b',"org_id":100,"customer_id":482579328,"customer_ref":"ab12"},"customer_id":482579328,"steps":['
        b'{"subject":{"promotion_id":57099,"program_id":469,"name":"Fr\xc3\xbchling","org_id":100},'
        b'"key":"key-1","noted":{"enrolment_ids":[1580,1581],"issuals":2}},'
        b'{"outcome":{"outcome_id":"11111111-2222-5333-8444-555555555555","outcome":"LIMIT_EXHAUSTED",'
        b'"severity":"warning","reason":"CUSTOMER_LIMIT","promotion_id":57099,"attempts":1,"cached":true,'
        b'"warnings":[{"code":8890,"message":"not issued"}],"restriction":{"kpi":"NUMBER_OF_ISSUALS",'
        b'"limit_on":"CUSTOMER","max_limit":2,"current_customer_usage":2.5},"activity":'
        + _REFERENCE_JSON
        + b',"occurred_at":"2026-01-31T10:00:00Z"}}],"source":"INSTORE"}',
    ),
    (ResultEntry("evt-1", SUBJECT, Result(OUTCOME)), b"result/469/57099/evt-1", _OUTCOME_JSON),
    (
        StandingEntry(482579328, SUBJECT, STANDING),
        b"standing/100/482579328/469/57099",
        (
            b'{"enrolment":{"key":"key-1","event_id":"evt-0","attempts":2,"enrolment_id":1580},'
            b'"limit":{"since":"2026-01-31T10:00:00Z","reason":"CUSTOMER_LIMIT","restriction":'
            b'{"kpi":"NUMBER_OF_ISSUALS","limit_on":"CUSTOMER","max_limit":"2","usage":"2.50"}},'
            b'"settled_limits":1,"attempt":{"event_id":"evt-1","key":"key-2","number":1,"noted":{}}}'
        ),
    ),
    (StandingEntry(5, SUBJECT, Standing()), b"standing/100/5/469/57099", b"{}"),
    (
        MemoryEntry(
            5, Memory(Shown(read_at=AT, offers=(Offer(promotion_id=7, program_id=8),), live=(7,)), AT)
        ),
        b"memory/5",
        (
            b'{"seen":{"read_at":"2026-01-31T10:00:00Z","offers":[{"promotion_id":7,"program_id":8}],'
            b'"live":[7]},"forgotten_at":"2026-01-31T10:00:00Z"}'
        ),
    ),
    (
        MemoryEntry(5, Memory(Nobody(read_at=AT))),
        b"memory/5",
        b'{"seen":{"read_at":"2026-01-31T10:00:00Z"}}',
    ),
    (
        NameEntry("ab12", Name(read_at=AT, customer_id=5)),
        b"name/ab12",
        b'{"read_at":"2026-01-31T10:00:00Z","customer_id":5}',
    ),
]


def test_a_learnt_organisation_is_its_partitions_and_no_lanes() -> None:
    """It must be found whatever key the event had that taught it, and be told from all other entries."""
    key, value = write(OrganisationEntry(3, 1800), LANE)
    assert (key, value) == (b"organisation/3", b'{"entry":{"org_id":1800}}')
    assert (ledger_format.read_organisation(value), read_key_hashes(value)) == (1800, None)
    others = [written[1] for written in WRITTEN]
    assert [ledger_format.is_organisation_key(each) for each in (key, *others)] == [True] + 7 * [False]
    assert ledger_format.read_organisation(b'{"entry":{"org_id":1800,"later":1},"later":2}') == 1800


@pytest.mark.parametrize(("entry", "key", "body"), WRITTEN)
def test_the_format_is_what_it_was(entry: LedgerEntry, key: bytes, body: bytes) -> None:
    """Ledgers that exist must go on being read: a change here needs readers of both."""
    assert write(entry, LANE) == (key, b'{"lane":[4294967295,0],"entry":' + body + b"}")
    assert write(entry, None) == (key, b'{"entry":' + body + b"}")


def test_an_outcome_keeps_what_its_request_is_traced_by() -> None:
    """A replay tells the identical outcome, so the entry holds the id; older entries have none."""
    traced = OUTCOME.model_copy(update={"api_request_id": "a63f"})
    _, value = write(ResultEntry("evt-1", SUBJECT, Result(traced)), LANE)
    assert b'"offset":42},"apiRequestId":"a63f","occurredAt":' in value
    assert read_result(value).outcome == traced
    assert read_result(value.replace(b'"apiRequestId":"a63f",', b"")).outcome == OUTCOME

    nothing = replace(PLAN, steps=(), request_id="b713")
    _, value = write(PlanEntry("evt-1", nothing), None)
    assert value.endswith(b',"steps":[],"source":"INSTORE","request_id":"b713"}}')
    assert read_plan(value) == nothing
    foregone = replace(PLAN, steps=(Foregone(traced),))
    _, value = write(PlanEntry("evt-1", foregone), None)
    assert read_plan(value) == foregone


def test_a_reopened_result_says_so_beside_the_outcome() -> None:
    """An earlier release must find the outcome where it always was."""
    entry = ResultEntry("evt-1", SUBJECT, Result(OUTCOME, 2, reopened=True))
    body = b'"opening":2,"reopened":true,"entry":' + _OUTCOME_JSON + b"}"
    assert write(entry, LANE)[1] == b'{"lane":[4294967295,0],' + body
    assert write(entry, None)[1] == b"{" + body


@pytest.mark.parametrize(("key", "body"), [written[1:] for written in WRITTEN])
def test_what_a_later_release_adds_is_passed_over(key: bytes, body: bytes) -> None:
    """Entries with fields that this release does not know must be read, or nobody could go back to it."""
    read = {
        b"plan": read_plan,
        b"result": read_result,
        b"standing": read_standing,
        b"memory": ledger_format.read_memory,
        b"name": ledger_format.read_name,
    }[key.split(b"/")[0]]
    value = b'{"entry":' + body + b"}"
    later = json.dumps(_with_more(json.loads(value))).encode()
    assert read(later) == read(value)


def _with_more(part: Any) -> Any:  # noqa: ANN401 - what JSON holds
    match part:
        case dict():
            return {name: _with_more(value) for name, value in part.items()} | {"later": {"x": 1}}
        case list():
            return [_with_more(value) for value in part]
        case _:
            return part


@pytest.mark.parametrize("value", [b"", b"{}", b"null", b'{"settled_limits":0}', b'{"lane":[1],"entry":{}}'])
def test_what_was_not_written_is_refused(value: bytes) -> None:
    """A value without its envelope must not pass for an entry that knows nothing."""
    for read in (read_plan, read_result, read_standing, read_key_hashes, ledger_format.read_organisation):
        with pytest.raises(ValueError, match="validation error"):
            read(value)


_IDS = st.integers(-(2**63), 2**63 - 1)
_TEXTS = st.text(st.characters(codec="utf-8"), max_size=8)
_TIMES = st.datetimes(timezones=st.just(UTC))
_LANES = st.none() | st.tuples(*[st.integers(0, 2**32 - 1)] * 2)
_SUBJECTS = st.builds(Subject, _IDS, _IDS, _TEXTS, _IDS)
_EVIDENCE = st.builds(
    Evidence, st.none() | st.lists(_IDS, max_size=3).map(tuple), st.none() | st.integers(0, 2**31)
)
_AMOUNTS = st.none() | st.decimals(allow_nan=False, allow_infinity=False)
_STANDINGS = st.builds(
    Standing,
    st.none()
    | st.builds(
        Enrolment,
        key=_TEXTS,
        event_id=_TEXTS,
        attempts=_IDS,
        enrolment_id=st.none() | _IDS,
        settled_at=st.none() | _TIMES,
        issual_id=st.none() | _IDS,
        revoked_at=st.none() | _TIMES,
    ),
    st.none()
    | st.builds(
        Limit,
        _TIMES,
        st.sampled_from(LimitReason),
        st.none() | st.builds(Restriction, kpi=_TEXTS, limit_on=_TEXTS, max_limit=_AMOUNTS, usage=_AMOUNTS),
    ),
    st.integers(0, 2**31),
    st.none()
    | st.builds(
        Attempt,
        event_id=_TEXTS,
        key=_TEXTS,
        number=st.integers(1, 2**31),
        noted=_EVIDENCE,
        opening=st.none() | st.integers(0, 99),
        begun_at=st.none() | _TIMES,
    ),
    st.integers(0, 99),
    st.lists(_TEXTS, max_size=3).map(tuple),
)
_NOTICES = st.lists(st.builds(Notice, _IDS, _TEXTS), max_size=2).map(tuple)
_OFFERS = st.builds(
    Offer,
    promotion_id=_IDS,
    program_id=_IDS,
    name=_TEXTS,
    org_id=st.none() | _IDS,
    active=st.booleans(),
    starts_at=st.none() | _TIMES,
    ends_at=st.none() | _TIMES,
    timeline=st.lists(st.builds(TimelineEntry, _IDS, st.none() | _TIMES, st.none() | _TIMES), max_size=2).map(
        tuple
    ),
    used_up=st.lists(
        st.builds(Restriction, kpi=_TEXTS, limit_on=_TEXTS, max_limit=_AMOUNTS, usage=_AMOUNTS), max_size=1
    ).map(tuple),
)
_IDS_OF_LIST = st.lists(_IDS, max_size=3).map(tuple)
_MEMORIES = st.builds(
    Memory,
    st.none()
    | st.builds(
        Shown,
        read_at=_TIMES,
        offers=st.lists(_OFFERS, max_size=2).map(tuple),
        live=st.none() | _IDS_OF_LIST,
        programs=_IDS_OF_LIST,
    )
    | st.builds(Nobody, read_at=_TIMES, errors=_NOTICES),
    st.none() | _TIMES,
)
_NAMES = st.builds(Name, read_at=_TIMES, customer_id=st.none() | _IDS, errors=_NOTICES)


def _made(kind: Callable[..., M], **fields: st.SearchStrategy[object]) -> st.SearchStrategy[M]:
    """Return models made by their fields' names, where `builds` would also fill in the aliases."""
    return st.fixed_dictionaries(fields).map(lambda given: kind(**given))


_REFERENCES = _made(
    ActivityReference,
    event_id=_TEXTS,
    event_name=st.none() | _TEXTS,
    occurred_at=st.none() | _TIMES,
    topic=_TEXTS,
    partition=_IDS,
    offset=_IDS,
)
_OUTCOMES = _made(
    Outcome,
    outcome_id=_TEXTS,
    outcome=st.sampled_from(OutcomeName),
    severity=st.sampled_from(["info", "warning", "error"]),
    reason=st.none() | _TEXTS,
    customer_id=st.none() | _IDS,
    customer_ref=st.none() | _TEXTS,
    promotion_id=st.none() | _IDS,
    promotion_name=st.none() | _TEXTS,
    attempts=st.none() | _IDS,
    reconciled=st.none() | st.booleans(),
    errors=st.none() | st.tuples(_made(CodeAndMessage, code=_IDS, message=_TEXTS)),
    activity=_REFERENCES,
    occurred_at=_TIMES,
)
_PLANS = st.builds(
    EventPlan,
    origin=st.builds(
        Origin,
        activity=_REFERENCES,
        org_id=st.none() | _IDS,
        customer_id=st.none() | _IDS,
        customer_ref=st.none() | _TEXTS,
        identity=st.none() | _TEXTS,
    ),
    customer_id=_IDS,
    steps=st.lists(
        st.builds(
            Request,
            subject=_SUBJECTS,
            key=_TEXTS,
            noted=_EVIDENCE,
            after=st.none() | _TEXTS,
            revocations=st.integers(0, 99),
        )
        | st.builds(Foregone, _OUTCOMES),
        max_size=3,
    ).map(tuple),
    source=st.none() | _TEXTS,
    read_at=st.none() | _TIMES,
    marks=st.lists(st.tuples(_TEXTS, _TEXTS), max_size=2).map(tuple),
)


@given(_TEXTS, _PLANS, _LANES)
def test_plans_are_read_back(event_id: str, plan: EventPlan, lane: KeyHashes | None) -> None:
    """A replay must go on from exactly the plan that was frozen."""
    key, value = write(PlanEntry(event_id, plan), lane)
    assert (key, read_plan(value)) == (ledger_format.plan_key(event_id), replace(plan, key_hashes=lane))
    assert read_key_hashes(value) == lane


@given(_TEXTS, _SUBJECTS, st.builds(Result, _OUTCOMES, st.integers(0, 99), st.booleans()), _LANES)
def test_results_are_read_back(
    event_id: str, subject: Subject, result: Result, lane: KeyHashes | None
) -> None:
    """A replay must repeat a settled outcome to the byte."""
    key, value = write(ResultEntry(event_id, subject, result), lane)
    assert (key, read_result(value)) == (ledger_format.result_key(event_id, subject), result)
    assert read_result(value).outcome.to_json() == result.outcome.to_json()
    assert read_key_hashes(value) == lane


@given(_IDS, _SUBJECTS, _STANDINGS, _LANES)
def test_standings_are_read_back(
    customer_id: int, subject: Subject, standing: Standing, lane: KeyHashes | None
) -> None:
    """What is known of a customer must not change by being written down."""
    key, value = write(StandingEntry(customer_id, subject, standing), lane)
    assert (key, read_standing(value)) == (ledger_format.standing_key(customer_id, subject), standing)
    assert read_key_hashes(value) == lane


@given(_IDS, _MEMORIES, _TEXTS, _NAMES, _LANES)
def test_what_is_remembered_is_read_back(
    customer_id: int, memory: Memory, hashed: str, name: Name, lane: KeyHashes | None
) -> None:
    """Every field of it: what is lost might have said that the API must be asked."""
    key, value = write(MemoryEntry(customer_id, memory), lane)
    assert (key, ledger_format.read_memory(value)) == (ledger_format.memory_key(customer_id), memory)
    assert read_key_hashes(value) == lane
    key, value = write(NameEntry(hashed, name), lane)
    assert (key, ledger_format.read_name(value)) == (ledger_format.name_key(hashed), name)
