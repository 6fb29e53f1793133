"""What is remembered of a customer, and when it is not enough."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.domain.answers import Notice
from worker.domain.catalogue import ListedPromotion, Listing, NotAsked, Unread
from worker.domain.evidence import Evidence
from worker.domain.identity import Reenrol
from worker.domain.known import Ask, Doubt, Known, Trust, recall
from worker.domain.ledger import Attempt, Enrolment, Limit, Standing
from worker.domain.limits import LimitReason
from worker.domain.memory import Memory, Name, Nobody, shown
from worker.domain.plan import Policy
from worker.domain.promotions import (
    ENROL_AND_ISSUE,
    CustomerPromotions,
    Promotion,
    Restriction,
    TimelineEntry,
)
from worker.domain.settlement import (
    AlreadyEnrolled,
    LimitExhausted,
    NothingAvailable,
    Rejected,
    RejectionReason,
    Settlement,
    Subject,
    UnknownCustomer,
)
from worker.domain.times import Span

NOW: Final = datetime(2026, 1, 31, 10, tzinfo=UTC)
SECOND: Final = timedelta(seconds=1)
READ_AT: Final = NOW - 100 * SECOND
PROGRAM: Final = 3
ENROLLED: Final = Standing(Enrolment(key="key", event_id="old", attempts=1, enrolment_id=7))
ELSEWHERE: Final = Standing(Enrolment(key="", event_id="told", attempts=0, issual_id=9))
ENROLMENT: Final = Enrolment(key="key", event_id="old", attempts=1, revoked_at=NOW - 50 * SECOND)
REVOKED: Final = Standing(ENROLMENT, revocations=1)
LIMITED: Final = Standing(limit=Limit(NOW - 3599 * SECOND, LimitReason.CUSTOMER_LIMIT))
OVER: Final = Standing(limit=Limit(NOW - 3600 * SECOND, LimitReason.CUSTOMER_LIMIT))
OPEN: Final = Attempt(event_id="another", key="key", number=1, noted=Evidence())
FULL: Final = Restriction(
    kpi="NUMBER_OF_ISSUALS", limit_on="CUSTOMER", max_limit=Decimal(1), usage=Decimal(1)
)
TIMELINE: Final = (TimelineEntry(7, NOW - 9 * SECOND, NOW + 5 * SECOND),)
EXPIRING: Final = (TimelineEntry(7, READ_AT, NOW),)
TRUST: Final = Trust(
    seconds=101, policy=Policy(org_id=1), cool_down=timedelta(hours=1), always=frozenset({"customerAdded"})
)
AFTER_EXPIRY: Final = replace(TRUST, policy=Policy(org_id=1, reenrol=Reenrol.AFTER_EXPIRY))
AFTER_REVOKE: Final = replace(TRUST, policy=Policy(org_id=1, reenrol_after_revoke=True))


def promotion(promotion_id: int = 1, **more: Any) -> Promotion:  # noqa: ANN401 - any field of the promotion
    """Return a promotion as a lookup lists it."""
    usual: dict[str, Any] = {
        "name": f"Offer {promotion_id}",
        "offer_type": ENROL_AND_ISSUE,
        "active": True,
        "starts_at": None,
        "ends_at": None,
        "issual_restrictions": (),
        "timeline": (),
    }
    return Promotion(promotion_id=promotion_id, program_id=PROGRAM, **(usual | more))


def listed(promotion_id: int = 1, **more: Any) -> ListedPromotion:  # noqa: ANN401 - likewise
    """Return a promotion as the list has it."""
    usual: dict[str, Any] = {
        "name": "",
        "status": "LIVE",
        "offer_type": ENROL_AND_ISSUE,
        "starts_at": None,
        "ends_at": None,
        "capped": None,
    }
    return ListedPromotion(promotion_id=promotion_id, program_id=PROGRAM, **(usual | more))


def memory(
    *promotions: Promotion, live: tuple[int, ...] | None = None, read_at: datetime = READ_AT
) -> Memory:
    """Return what is remembered of a lookup that showed these."""
    seen = shown(CustomerPromotions(17, promotions), NotAsked(), Span.at(read_at))
    return Memory(replace(seen, live=live))


def said(
    of: Memory,
    standing: Standing = Standing(),  # noqa: B008 - a value
    trust: Trust = TRUST,
    listing: Listing | Unread | NotAsked = NotAsked(),  # noqa: B008 - likewise
    event_name: str = "transactionAdded",
    now: Span = Span.at(NOW),  # noqa: B008 - likewise
) -> Known | Doubt:
    """Return what an event leads to, or why it asks."""
    answer = recall(
        of,
        trust,
        event_name=event_name,
        listing=listing,
        standing=lambda _: standing,
        learnt_org=None,
        now=now,
    )
    return answer.why if isinstance(answer, Ask) else answer


ONE: Final = memory(promotion())
SUBJECT: Final = Subject(1, PROGRAM, "Offer 1", 1)


@pytest.mark.parametrize(
    ("of", "standing", "trust", "expected"),
    [
        (memory(), Standing(), TRUST, NothingAvailable(cached=True)),
        (ONE, ENROLLED, TRUST, AlreadyEnrolled(SUBJECT, 7, cached=True)),
        (ONE, ELSEWHERE, TRUST, AlreadyEnrolled(SUBJECT, None, cached=True)),
        (ONE, REVOKED, TRUST, AlreadyEnrolled(SUBJECT, None, cached=True)),
        (memory(promotion(timeline=TIMELINE)), Standing(), TRUST, AlreadyEnrolled(SUBJECT, 7, cached=True)),
        (
            memory(promotion(timeline=TIMELINE)),
            ENROLLED,
            AFTER_EXPIRY,
            AlreadyEnrolled(SUBJECT, 7, cached=True),
        ),
        (
            ONE,
            LIMITED,
            TRUST,
            LimitExhausted(subject=SUBJECT, reason=LimitReason.CUSTOMER_LIMIT, restriction=None, cached=True),
        ),
        (
            memory(promotion(issual_restrictions=(FULL,))),
            Standing(),
            TRUST,
            LimitExhausted(subject=SUBJECT, reason=LimitReason.CUSTOMER_LIMIT, restriction=FULL, cached=True),
        ),
        (
            memory(promotion(issual_restrictions=(FULL,))),
            ENROLLED,
            TRUST,
            AlreadyEnrolled(SUBJECT, 7, cached=True),
        ),
        (
            memory(promotion(org_id=2)),
            Standing(),
            TRUST,
            Rejected(
                errors=(),
                subject=replace(SUBJECT, org_id=2),
                reason=RejectionReason.OTHER_ORGANISATION,
                cached=True,
            ),
        ),
        (memory(promotion(ends_at=NOW - SECOND)), Standing(), TRUST, NothingAvailable(cached=True)),
        (memory(promotion(offer_type="GENERIC")), Standing(), TRUST, NothingAvailable(cached=True)),
        (
            ONE,
            Standing(),
            replace(TRUST, policy=Policy(org_id=1, excluded_promotion_ids=frozenset({1}))),
            NothingAvailable(cached=True),
        ),
        (
            Memory(Nobody(read_at=NOW - 59 * SECOND, errors=(Notice(8015, "x"),))),
            Standing(),
            TRUST,
            UnknownCustomer((Notice(8015, "x"),), None, cached=True),
        ),
    ],
)
def test_what_is_known(of: Memory, standing: Standing, trust: Trust, expected: object) -> None:
    """It is what a lookup would have led to, and says that none was made."""
    known = said(of, standing, trust)
    assert isinstance(known, Known)
    assert known.settlements == (expected,)
    assert known.by_feedback is (standing is ELSEWHERE)


DOUBTS: Final[list[tuple[Doubt, Callable[[], object]]]] = [
    (Doubt.NOTHING_REMEMBERED, lambda: said(Memory())),
    (Doubt.FORGOTTEN, lambda: said(Memory(None, NOW))),
    (Doubt.FORGOTTEN, lambda: said(replace(ONE, forgotten_at=READ_AT), ENROLLED)),
    (Doubt.TOO_OLD, lambda: said(memory(promotion(), read_at=NOW - 101 * SECOND), ENROLLED)),
    (Doubt.TOO_OLD, lambda: said(memory(promotion(), read_at=NOW + SECOND), ENROLLED)),
    (Doubt.TOO_OLD, lambda: said(ONE, ENROLLED, now=Span(NOW - SECOND, NOW + SECOND))),
    (Doubt.TOO_OLD, lambda: said(Memory(Nobody(read_at=NOW - 60 * SECOND)))),
    (
        Doubt.TOO_OLD,
        lambda: said(Memory(Nobody(read_at=NOW - 9 * SECOND)), trust=replace(TRUST, seconds=9)),
    ),
    (Doubt.ALWAYS, lambda: said(ONE, ENROLLED, event_name="customerAdded")),
    (
        Doubt.EVERY_EVENT,
        lambda: said(
            memory(promotion(timeline=TIMELINE)),
            trust=replace(TRUST, policy=Policy(reenrol=Reenrol.EVERY_EVENT)),
        ),
    ),
    (Doubt.OTHER_PROGRAMS, lambda: said(_asked_for(PROGRAM), ENROLLED)),
    (Doubt.OTHER_PROGRAMS, lambda: said(_asked_for(PROGRAM), ENROLLED, _of_programs(PROGRAM, 4))),
    (Doubt.NO_LIST, lambda: said(memory(promotion(), live=(1,)), ENROLLED, listing=Unread())),
    (Doubt.NO_LIST, lambda: said(ONE, ENROLLED, listing=Listing((listed(),)))),
    (
        Doubt.NEW_PROMOTION,
        lambda: said(memory(promotion(), live=(1,)), ENROLLED, listing=Listing((listed(), listed(2)))),
    ),
    (
        Doubt.NEW_PROMOTION,
        lambda: said(
            memory(promotion(), live=(1,)),
            ENROLLED,
            listing=Listing((listed(2, status="", starts_at=NOW + timedelta(hours=14)),)),
        ),
    ),
    (Doubt.UNSETTLED, lambda: said(ONE)),
    (Doubt.UNSETTLED, lambda: said(ONE, REVOKED, AFTER_REVOKE)),
    (Doubt.UNSETTLED, lambda: said(memory(promotion(timeline=TIMELINE)), REVOKED, AFTER_REVOKE)),
    (Doubt.UNSETTLED, lambda: said(ONE, ENROLLED, AFTER_EXPIRY)),
    (Doubt.UNSETTLED, lambda: said(memory(promotion(starts_at=NOW)))),
    (Doubt.UNSETTLED, lambda: said(memory(promotion(active=False)))),
    (
        Doubt.NEW_PROMOTION,
        lambda: said(
            memory(promotion(), live=(1,)),
            ENROLLED,
            listing=Listing((listed(),), {1: READ_AT + SECOND}),
        ),
    ),
    (Doubt.ATTEMPT_OPEN, lambda: said(ONE, replace(ENROLLED, attempt=OPEN))),
    (Doubt.LIMIT_OVER, lambda: said(ONE, OVER)),
    (
        Doubt.LIMIT_OVER,
        lambda: said(
            memory(promotion(issual_restrictions=(FULL,))), trust=replace(TRUST, cool_down=100 * SECOND)
        ),
    ),
    (Doubt.EXPIRED, lambda: said(memory(promotion(timeline=EXPIRING)), trust=AFTER_EXPIRY)),
]


@pytest.mark.parametrize(("expected", "ask"), DOUBTS)
def test_why_an_event_asks(expected: Doubt, ask: Callable[[], object]) -> None:
    """Each doubt alone is enough."""
    assert ask() is expected


def test_programs_that_were_asked_for_are_known() -> None:
    """Also if by now fewer of them count."""
    for programs in ((PROGRAM,), (PROGRAM, 4)):
        assert isinstance(said(_asked_for(*programs), ENROLLED, _of_programs(PROGRAM)), Known)


def _asked_for(*programs: int) -> Memory:
    seen = shown(CustomerPromotions(17, (promotion(),)), NotAsked(), Span.at(READ_AT), programs=programs)
    return Memory(seen)


def _of_programs(*programs: int) -> Trust:
    return replace(TRUST, policy=Policy(org_id=1, program_ids=frozenset(programs)))


def test_every_doubt_is_shown_above() -> None:
    """A doubt without a row fails."""
    assert {expected for expected, _ in DOUBTS} == set(Doubt)


def test_a_list_that_says_no_more_than_it_did() -> None:
    """A promotion that left the list, or was live when the customer was read, opens nothing."""
    known = said(
        memory(promotion(), live=(1, 2, 5)), ENROLLED, listing=Listing((listed(), listed(5)), {5: READ_AT})
    )
    assert isinstance(known, Known)


def test_what_certainly_is_live_is_noted_alone() -> None:
    """What may begin within the trust must be found: a start that hangs on a time zone has not begun."""
    listing = Listing(
        (
            listed(5),
            listed(2),
            listed(3, status="", starts_at=NOW - timedelta(hours=13)),
            listed(4, status="", starts_at=NOW - timedelta(hours=14)),
            listed(6, status="LIVE", starts_at=NOW + timedelta(hours=15)),
            listed(7, status="", starts_at=None),
        )
    )
    assert shown(CustomerPromotions(17, ()), listing, Span.at(NOW)).live == (2, 4, 5, 7)


def test_what_is_read_after_a_change_was_told_counts_whatever_the_clocks_say() -> None:
    """Who hears of a change reads later than it was made."""
    seen = shown(CustomerPromotions(17, ()), NotAsked(), Span.at(NOW), forgotten_at=NOW + SECOND)
    assert Memory(seen, NOW + SECOND).valid is seen


def test_a_reading_is_as_old_as_any_clock_says() -> None:
    """In doubt it began earlier."""
    now = Span(NOW - SECOND, NOW)
    assert shown(CustomerPromotions(17, ()), NotAsked(), now).read_at == NOW - SECOND


def test_a_timeline_that_was_read_after_a_revocation_counts() -> None:
    """It shows an enrolment that was made since."""
    revoked = replace(REVOKED, enrolment=replace(ENROLMENT, revoked_at=READ_AT - SECOND))
    assert isinstance(said(memory(promotion(timeline=TIMELINE)), revoked, AFTER_REVOKE), Known)


def test_an_enrolment_that_had_expired_by_then_ends_no_trust() -> None:
    """The lookup knew it."""
    over = TimelineEntry(6, None, READ_AT - SECOND)
    assert isinstance(said(memory(promotion(timeline=(over, *TIMELINE))), trust=AFTER_EXPIRY), Known)


@pytest.mark.parametrize(
    ("read_at", "forgotten_at", "holds"),
    [
        (READ_AT, None, True),
        (READ_AT, READ_AT, False),
        (READ_AT, READ_AT - SECOND, True),
        (NOW - 101 * SECOND, None, False),
    ],
)
def test_how_long_a_name_holds(read_at: datetime, forgotten_at: datetime | None, holds: bool) -> None:  # noqa: FBT001 - a table
    """As long as the trust, and until its customer was forgotten."""
    assert Name(read_at=read_at, customer_id=17).holds(TRUST.length, Span.at(NOW), forgotten_at) is holds


@dataclass(frozen=True)
class Campaign:
    """A promotion for all, live from one second to another, and whether the customer is enrolled."""

    begins: int
    ends: int
    zone: int
    """How many hours the list's time is off."""
    status: str
    enrolled: bool

    def is_live(self, at: int) -> bool:
        """Whether it is live at that second."""
        return self.begins <= at < self.ends


CAMPAIGNS: Final = st.lists(
    st.builds(
        Campaign,
        begins=st.integers(-5, 60),
        ends=st.integers(20, 200),
        zone=st.integers(-14, 14),
        status=st.sampled_from(["LIVE", ""]),
        enrolled=st.booleans(),
    ),
    max_size=4,
)


@given(
    campaigns=CAMPAIGNS,
    moments=st.lists(st.integers(0, 60), min_size=3, max_size=3).map(sorted),
    refresh=st.integers(1, 40),
    trust=st.integers(1, 60),
)
def test_nothing_that_the_list_tells_is_missed(
    campaigns: Sequence[Campaign], moments: Sequence[int], refresh: int, trust: int
) -> None:
    """Whoever is known is enrolled into all that was live, for all, when the list that holds was read."""
    first_list, looked_up, event = moments
    second_list = max(first_list, event - refresh + 1)

    def reading(at: int) -> Listing:
        return Listing(
            tuple(
                listed(
                    number,
                    status=each.status,
                    starts_at=_at(each.begins) + timedelta(hours=each.zone),
                    ends_at=_at(each.ends) + timedelta(hours=each.zone),
                )
                for number, each in enumerate(campaigns)
                # The API lists what is live; without a status also what is not.
                if each.is_live(at) or not each.status
            )
        )

    offered = [promotion(number) for number, each in enumerate(campaigns) if each.is_live(looked_up)]
    seen = shown(CustomerPromotions(17, tuple(offered)), reading(first_list), Span.at(_at(looked_up)))
    answer = recall(
        Memory(seen),
        replace(TRUST, seconds=trust),
        event_name="transactionAdded",
        listing=reading(second_list),
        standing=lambda subject: ENROLLED if campaigns[subject.promotion_id].enrolled else Standing(),
        learnt_org=None,
        now=Span.at(_at(event)),
    )
    if isinstance(answer, Known):
        assert event - looked_up < trust
        shown_then = {each.promotion_id for each in offered}
        for number, each in enumerate(campaigns):
            if each.is_live(second_list) and each.is_live(event):
                assert number in shown_then
                assert each.enrolled


def _at(second: int) -> datetime:
    return NOW + second * SECOND


@given(
    st.lists(
        st.builds(
            promotion,
            st.integers(1, 9),
            org_id=st.sampled_from([None, 1, 2]),
            active=st.booleans(),
            starts_at=st.sampled_from([None, NOW - SECOND, NOW + SECOND]),
            ends_at=st.sampled_from([None, NOW - SECOND, NOW + SECOND]),
            issual_restrictions=st.sampled_from([(), (FULL,), (replace(FULL, usage=Decimal(0)),)]),
            timeline=st.sampled_from([None, (), TIMELINE, EXPIRING]),
            offer_type=st.sampled_from([ENROL_AND_ISSUE, "GENERIC"]),
        ),
        max_size=3,
        unique_by=lambda each: each.promotion_id,
    ),
    st.sampled_from([Standing(), ENROLLED, ELSEWHERE, REVOKED, LIMITED, OVER, Standing(attempt=OPEN)]),
    st.sampled_from([TRUST, AFTER_EXPIRY, AFTER_REVOKE]),
)
def test_known_promotions_are_those_that_a_lookup_acts_on(
    promotions: list[Promotion], standing: Standing, trust: Trust
) -> None:
    """Each promotion of ours that is open has its settlement, and no attempt is passed over."""
    known = said(memory(*promotions), standing, trust)
    if isinstance(known, Known):
        told = [_subject(each) for each in known.settlements if not isinstance(each, NothingAvailable)]
        ours = [
            each.promotion_id
            for each in promotions
            if each.offer_type == ENROL_AND_ISSUE
            and each.active
            and (each.starts_at is None or each.starts_at <= NOW)
            and (each.ends_at is None or each.ends_at >= NOW)
        ]
        assert [subject.promotion_id for subject in told] == ours
        assert standing.attempt is None or not ours


def _subject(settlement: Settlement) -> Subject:
    assert isinstance(settlement, AlreadyEnrolled | LimitExhausted | Rejected)
    assert settlement.subject is not None
    return settlement.subject
