"""What each answer of the API makes of a promotion."""

from typing import Any

import pytest

from tests.support.use_case.values import NOW, PROGRAM, promotion
from worker.domain.answers import (
    CustomerNotFound,
    FaultKind,
    Issued,
    Misconfigured,
    Notice,
    NotIssued,
    Refused,
    Throttled,
    Unsent,
)
from worker.domain.limits import LimitReason
from worker.domain.plan import Already, Foreign, UsedUp
from worker.domain.promotions import Restriction, TimelineEntry
from worker.domain.settlement import (
    AlreadyEnrolled,
    Enrolled,
    LimitExhausted,
    LimitUnexplained,
    Rejected,
    RejectionReason,
    Subject,
    UnknownCustomer,
    Unresolved,
    UnresolvedReason,
)
from worker.domain.settling import next_hop, settle_issue, settle_unasked

PROMOTION = promotion()
SUBJECT = Subject(57099, PROGRAM, "Promotion 57099", 1800)
LIMIT = Notice(8890, "promotion not issued")
OTHER = Notice(4711, "something new")
ERRORS = (Notice(8874, "promotion id passed is invalid"),)
RESTRICTION = Restriction(kpi="K", limit_on="CUSTOMER", max_limit=None, usage=None)


def unresolved(reason: UnresolvedReason, message: str) -> Unresolved:
    """Return what leaves our promotion unsettled."""
    return Unresolved(reason=reason, message=message, attempts=3, subject=SUBJECT, key="the-key")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Issued(3, ()), Enrolled(subject=SUBJECT, key="the-key", attempts=3, issual_id=3, warnings=())),
        (
            Issued(None, (OTHER, LIMIT)),
            Enrolled(subject=SUBJECT, key="the-key", attempts=3, issual_id=None, warnings=(OTHER, LIMIT)),
        ),
        (
            NotIssued((OTHER, LIMIT)),
            LimitUnexplained(
                LimitExhausted(
                    subject=SUBJECT,
                    reason=LimitReason.CONFIGURATION_OR_LIMIT,
                    restriction=None,
                    key="the-key",
                    attempts=3,
                    warnings=(OTHER, LIMIT),
                )
            ),
        ),
        (
            NotIssued((OTHER,)),
            Rejected(
                errors=(),
                attempts=3,
                subject=SUBJECT,
                key="the-key",
                reason=RejectionReason.NOT_ISSUED,
                warnings=(OTHER,),
            ),
        ),
        (CustomerNotFound(ERRORS), UnknownCustomer(ERRORS, 3, SUBJECT, "the-key")),
        (Refused(ERRORS), Rejected(errors=ERRORS, attempts=3, subject=SUBJECT, key="the-key")),
        (
            Unsent(FaultKind.NOT_CONNECTED, "detail"),
            unresolved(UnresolvedReason.RETRIES_EXHAUSTED, "issue: not_connected"),
        ),
        (Throttled(1.0), unresolved(UnresolvedReason.RETRIES_EXHAUSTED, "issue: throttled")),
        (
            Misconfigured("HTTP 403"),
            Unresolved(
                reason=UnresolvedReason.RETRIES_EXHAUSTED,
                message="issue: HTTP 403",
                attempts=3,
                subject=SUBJECT,
                key="the-key",
                waits=True,
            ),
        ),
    ],
    ids=lambda case: type(case).__name__,
)
def test_each_answer_to_an_issue_settles_its_promotion(answer: Any, expected: Any) -> None:  # noqa: ANN401 - any settlement
    """Every answer has one settlement; a doubtful one is the ledger's to settle."""
    assert settle_issue(SUBJECT, "the-key", answer, 3) == expected


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (Already(PROMOTION, 1800, TimelineEntry(12, NOW, None)), AlreadyEnrolled(SUBJECT, 12)),
        (
            UsedUp(PROMOTION, 1800, LimitReason.PROMOTION_LIMIT, RESTRICTION),
            LimitExhausted(subject=SUBJECT, reason=LimitReason.PROMOTION_LIMIT, restriction=RESTRICTION),
        ),
        (
            Foreign(PROMOTION, 1800),
            Rejected(errors=(), subject=SUBJECT, reason=RejectionReason.OTHER_ORGANISATION),
        ),
    ],
    ids=lambda case: type(case).__name__,
)
def test_what_needs_no_request_is_settled_without_attempts(
    step: Already | UsedUp | Foreign,
    expected: Any,  # noqa: ANN401 - any settlement
) -> None:
    """No request: no key and no attempts are told."""
    assert settle_unasked(step) == expected


def test_an_explained_limit_keeps_what_the_api_answered() -> None:
    """The second reading adds reason and restriction; key, attempts and warnings stay."""
    unexplained = settle_issue(SUBJECT, "the-key", NotIssued((LIMIT,)), 2)

    assert isinstance(unexplained, LimitUnexplained)
    assert unexplained.explained(LimitReason.CUSTOMER_LIMIT, RESTRICTION) == LimitExhausted(
        subject=SUBJECT,
        reason=LimitReason.CUSTOMER_LIMIT,
        restriction=RESTRICTION,
        key="the-key",
        attempts=2,
        warnings=(LIMIT,),
    )


@pytest.mark.parametrize(
    ("hop", "unsettled", "to"),
    [
        (0, [unresolved(UnresolvedReason.RETRIES_EXHAUSTED, "?")], 1),
        (2, [unresolved(UnresolvedReason.RETRIES_EXHAUSTED, "?")], 3),
        (3, [unresolved(UnresolvedReason.RETRIES_EXHAUSTED, "?")], None),
        (
            0,
            [unresolved(UnresolvedReason.IN_DOUBT, "?"), unresolved(UnresolvedReason.HANDLER_FAULT, "?")],
            None,
        ),
        (
            1,
            [unresolved(UnresolvedReason.IN_DOUBT, "?"), unresolved(UnresolvedReason.RETRIES_EXHAUSTED, "?")],
            2,
        ),
        (
            3,
            [
                Unresolved(
                    reason=UnresolvedReason.RETRIES_EXHAUSTED,
                    message="issue: HTTP 403",
                    attempts=3,
                    waits=True,
                )
            ],
            3,
        ),
    ],
)
def test_an_event_goes_on_to_the_next_retry_topic_for_what_another_try_may_settle(
    hop: int, unsettled: list[Unresolved], to: int | None
) -> None:
    """From the last one to the dead letters, unless our configuration is at fault: that is never one."""
    assert next_hop(hop, 3, unsettled) == to
