"""One standing of a customer in a promotion, under whatever organisation its entries were written.

As long as no event has named an organisation, entries lie under 0; earlier releases wrote them under what
each event named, so that there may even be two. What is read is both together; what is written takes the
place of both.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

from worker.domain.identity import UNNAMED_ORG
from worker.domain.ledger import UNKNOWN, Attempt, Enrolment, Standing
from worker.domain.settlement import Subject
from worker.ledger import format as ledger_format
from worker.ledger.entries import StandingEntry

Read = Callable[[bytes], bytes | None]
"""Returns an entry's value by its key, None if there is none."""


def standing_of(read: Read, organisations: Iterable[int], customer_id: int, subject: Subject) -> Standing:
    """Return what is known of the customer in the promotion; `organisations` have standings in the ledger."""
    whole = _standing(read, customer_id, subject)
    for _, other in _others(read, organisations, customer_id, subject):
        whole = _together(whole, other)
    return whole


def entries_of(read: Read, organisations: Iterable[int], entry: StandingEntry) -> tuple[StandingEntry, ...]:
    """Return what to write, in this order, so that the entry takes the place of all that is known by now."""
    customer_id, subject = entry.customer_id, entry.subject
    others = list(_others(read, organisations, customer_id, subject))
    if not others:
        return (entry,)
    settled = _standing(read, customer_id, subject).attempt or next(
        (other.attempt for _, other in others if other.attempt is not None), None
    )
    emptied = (
        StandingEntry(customer_id, replace(subject, org_id=org_id), _left(other, settled))
        for org_id, other in others
    )
    return (entry, *emptied)


def _standing(read: Read, customer_id: int, subject: Subject) -> Standing:
    value = read(ledger_format.standing_key(customer_id, subject))
    return UNKNOWN if value is None else ledger_format.read_standing(value)


def _others(
    read: Read, organisations: Iterable[int], customer_id: int, subject: Subject
) -> Iterable[tuple[int, Standing]]:
    for org_id in sorted({UNNAMED_ORG, *organisations} - {subject.org_id}):
        standing = _standing(read, customer_id, replace(subject, org_id=org_id))
        if standing != UNKNOWN:
            yield org_id, standing


def _together(first: Standing, second: Standing) -> Standing:
    """Return what both know; of two open attempts the first: the other's turn comes once that is settled."""
    limits = [each.limit for each in (first, second) if each.limit is not None]
    return Standing(
        enrolment=_later(first.enrolment, second.enrolment),
        limit=max(limits, key=lambda limit: limit.since, default=None),
        settled_limits=max(first.settled_limits, second.settled_limits),
        attempt=first.attempt or second.attempt,
        revocations=max(first.revocations, second.revocations),
        heeded=tuple(dict.fromkeys((*second.heeded, *first.heeded))),
    )


def _later(first: Enrolment | None, second: Enrolment | None) -> Enrolment | None:
    """Return the later one; those of earlier releases have no time, and the first of two such counts."""
    if first is None or second is None or second.settled_at is None:
        return first or second
    return second if first.settled_at is None or first.settled_at < second.settled_at else first


def _left(other: Standing, settled: Attempt | None) -> Standing:
    """Return what of another organisation's entry is not part of what was read: a second open attempt."""
    attempt = other.attempt
    if attempt is None or settled is None or _same(attempt, settled):
        return UNKNOWN
    return Standing(attempt=attempt)


def _same(one: Attempt, other: Attempt) -> bool:
    return (one.event_id, one.key) == (other.event_id, other.key)
