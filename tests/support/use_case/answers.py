"""Answers of the API, and what readings show, in tests of the use case."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from tests.support.use_case.values import NOW, promotion
from worker.domain.answers import (
    CustomerNotFound,
    Doubtful,
    FaultKind,
    IssueAnswer,
    Issued,
    Notice,
    NotIssued,
    Refused,
    Unsent,
)
from worker.domain.promotions import Restriction, TimelineEntry

LIMIT = NotIssued((Notice(8890, "promotion not issued"),))
UNKNOWN = CustomerNotFound((Notice(8015, "customer not found"),))
REFUSED = Refused((Notice(8874, "promotion id passed is invalid"),))
DOUBTFUL = Doubtful(FaultKind.TIMEOUT, "slow")
FULL = Restriction(kpi="NUMBER_OF_ISSUALS", limit_on="CUSTOMER", max_limit=Decimal(10), usage=Decimal(10))
PROMOTION_FULL = Restriction(
    kpi="NUMBER_OF_ISSUALS", limit_on="PROMOTION", max_limit=Decimal(5), usage=Decimal(5)
)
STANDING = TimelineEntry(12, NOW, None)
BLIND = promotion(1, timeline=None)
"""A promotion that shows neither timeline nor usage: nothing tells whether an enrolment happened."""

ISSUED_ANY: Mapping[int, Sequence[IssueAnswer]] = {number: [Issued(None, ())] for number in (1, 2, 9)}
BROKEN = Doubtful(FaultKind.SERVER_ERROR, "HTTP 500")
BUSY = Unsent(FaultKind.BUSY, "busy: 521, try after some time")
