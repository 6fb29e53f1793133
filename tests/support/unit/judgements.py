"""What must hold of whatever is made of an answer of the API, whatever its bytes."""

from datetime import datetime
from math import isfinite
from typing import Final

from topics.origin import Origin
from topics.outcome import ActivityReference
from worker.capillary.catalogue_wire import ListPage
from worker.capillary.reply import Reply
from worker.capillary.results import result_of
from worker.capillary.verdict import judge_issue, judge_list, judge_page, judge_presence, judge_token
from worker.capillary.wire import Page, TokenGrant
from worker.domain.answers import CustomerNotFound, Doubtful, Refused, Throttled
from worker.domain.catalogue import may_be_open, may_enrol_into
from worker.domain.evidence import compare, evidence_of
from worker.domain.limits import exhausted_limit
from worker.domain.promotions import CustomerPromotions, Identifier, IdentifierName
from worker.domain.settlement import LimitUnexplained, Rejected, Settlement, Subject
from worker.domain.settling import settle_issue
from worker.domain.times import Span
from worker.enrolment.admission import Admitted
from worker.enrolment.outcomes import tell
from worker.enrolment.planning import plan_event
from worker.enrolment.rules import Rules
from worker.ledger.entries import Foregone
from worker.ledger.read_only import NoLedger
from worker.telemetry.redaction import redactor

MOBILE: Final = "919812345678"
"""The customer by whom the answers came about; never seen in what is told."""
LARGEST_OUTCOME_BYTES: Final = 100_000
_LONGEST_WAIT_SECONDS: Final = 86_400.0
_SUBJECT: Final = Subject(57099, 469, "Offer", 0)
_ORIGIN: Final = Origin(
    activity=ActivityReference(event_id="event-1", topic="customer-activity", partition=3, offset=42)
)


def check_answer(reply: Reply, now: datetime, rules: Rules) -> str:
    """Judge an answer as that of every endpoint and act on it; return what it is as that of an enrolment.

    Raises AssertionError if anything made of it is out of bounds or names the customer.
    """
    redact = redactor(MOBILE)
    page = judge_page(reply, now, redact)
    issue = judge_issue(reply, now, redact, program_id=469, promotion_id=57099)
    token, listed = judge_token(reply, now, redact), judge_list(reply, now)
    for answer in (page, issue, token, listed, judge_presence(reply, now)):
        assert result_of(answer)
        if isinstance(answer, Throttled) and answer.retry_after is not None:
            assert isfinite(answer.retry_after)
            assert 0 <= answer.retry_after <= _LONGEST_WAIT_SECONDS
    if isinstance(page, Page):
        _check_page(page, now, rules)
    elif isinstance(page, Refused | CustomerNotFound):
        _check_told(Rejected(errors=page.errors, attempts=1), now)
    if not isinstance(issue, Doubtful):
        settled = settle_issue(_SUBJECT, "key", issue, 1)
        explained = (
            settled.explained(*exhausted_limit(None)) if isinstance(settled, LimitUnexplained) else settled
        )
        _check_told(explained, now)
    if isinstance(token, TokenGrant):
        assert token.access_token not in repr(token)
    if isinstance(listed, ListPage):
        for each in listed.promotions:
            assert may_enrol_into(each, rules.policy) in {True, False}
            assert may_be_open(each, Span.at(now)) in {True, False}
    return result_of(issue)


def _check_page(page: Page, now: datetime, rules: Rules) -> None:
    """Plan an event of the customer, and look for evidence as a reconciliation does."""
    for promotion in page.promotions:
        noted = evidence_of(promotion)
        assert compare(noted, promotion) is not None
        exhausted_limit(promotion)
    event = Admitted(
        origin=_ORIGIN,
        event_name="transactionAdded",
        identifier=Identifier(IdentifierName.MOBILE, MOBILE, None),
        happened=now,
    )
    customer = CustomerPromotions(page.customer_id, page.promotions)
    for step in plan_event(event, customer, NoLedger(), rules, now, read_at=now).steps:
        if isinstance(step, Foregone):
            _check_value(step.outcome.to_json())


def _check_told(settlement: Settlement, now: datetime) -> None:
    _check_value(tell(_ORIGIN, settlement, now).to_json())


def _check_value(value: bytes) -> None:
    assert len(value) <= LARGEST_OUTCOME_BYTES
    assert MOBILE.encode() not in value
