"""The knowledge of the ledger, and what follows from it: the states of an enrolment and their transitions.

Two kinds of entries. The plan of an event, under the event's identity: what was decided before its first
request, frozen, and per promotion the result once there is one. And the standing of a customer in a
promotion: enrolled, limit exhausted, or an attempt whose result is not known yet.

A standing moves so; every other move is a fault of the caller:

    any without an attempt  --begin-->     the attempt is open
    attempt open            --begin-->     the same event's next try, under the same key
    attempt open            --enrolled-->  enrolled under its key
    attempt open            --limited-->   one more settled 8890
    attempt open            --released-->  nothing came of it
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from worker.domain.evidence import Evidence
from worker.domain.identity import Reenrol
from worker.domain.limits import LimitReason
from worker.domain.promotions import Restriction
from worker.domain.times import is_within


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A request that was about to leave, or left; number counts from 1 within its event."""

    event_id: str
    key: str
    number: int
    noted: Evidence
    opening: int | None = None
    """How often its promotion had been reopened after a rejection; None in entries of earlier releases."""
    begun_at: datetime | None = None
    """When the event's first attempt began, for certain not later; None in entries of earlier releases."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolment:
    """The latest enrolment: under which key, by which event, after how many attempts.

    One of another channel has no key; its event is the notification that told of it.
    """

    key: str
    event_id: str
    attempts: int
    enrolment_id: int | None = None
    settled_at: datetime | None = None
    """When we came to know of it, by our clock; None in entries of earlier releases."""
    issual_id: int | None = None
    """Its id in answers to enrolments and in notifications; None if nobody told it."""
    revoked_at: datetime | None = None
    """When Capillary took it back, None while it stands."""

    @property
    def is_anothers(self) -> bool:
        """Whether another channel made it."""
        return not self.key

    def unshown_for(self, read_at: datetime | None, now: datetime, settle: timedelta) -> timedelta | None:
        """Return how long to wait until a reading is sure to show it; None if one of `read_at` was.

        Only times of our own group are compared. If one is not known, or ahead of ours, it is once as long
        as a reading may take to show it.
        """
        at = self.settled_at
        if at is not None and read_at is not None and at + settle <= read_at <= now:
            return None
        return settle if at is None else min(settle, max(timedelta(0), at + settle - now))


@dataclass(frozen=True, slots=True)
class Limit:
    """The latest settled 8890 and how it was explained."""

    since: datetime
    reason: LimitReason
    restriction: Restriction | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of one customer in one promotion."""

    enrolment: Enrolment | None = None
    limit: Limit | None = None
    settled_limits: int = 0
    attempt: Attempt | None = None
    revocations: int = 0
    """How many enrolments Capillary took back."""
    heeded: tuple[str, ...] = ()
    """Revocations that were heeded of late, by issual id, else by event: none counts twice."""

    def forbids(self, *, after_revoke: bool) -> Enrolment | None:
        """Return the enrolment that `once` does not repeat; a revoked one may be, `after_revoke`."""
        known = self.enrolment
        is_over = known is not None and known.revoked_at is not None and after_revoke
        return None if is_over else known


UNKNOWN = Standing()
"""Nothing is known: no entry."""


def begin(standing: Standing, attempt: Attempt) -> Standing:
    """Open an attempt. Raises ValueError over another one that is open."""
    open_attempt = standing.attempt
    if open_attempt is not None and (open_attempt.event_id, open_attempt.key) != (
        attempt.event_id,
        attempt.key,
    ):
        raise ValueError("another attempt is not settled")
    return replace(standing, attempt=attempt)


def enrolled(
    standing: Standing, now: datetime, enrolment_id: int | None = None, issual_id: int | None = None
) -> Standing:
    """Close the open attempt: the enrolment was applied. A limit from before it no longer tells anything."""
    attempt = _open(standing)
    enrolment = Enrolment(
        key=attempt.key,
        event_id=attempt.event_id,
        attempts=attempt.number,
        enrolment_id=enrolment_id,
        settled_at=now,
        issual_id=issual_id,
    )
    return replace(standing, enrolment=enrolment, limit=None, attempt=None)


def limited(standing: Standing, limit: Limit) -> Standing:
    """Close the open attempt: 8890. The next one, after the cool-down, goes under a key of its own."""
    _open(standing)
    return replace(standing, limit=limit, settled_limits=standing.settled_limits + 1, attempt=None)


def released(standing: Standing) -> Standing:
    """Close the open attempt: nothing came of it."""
    _open(standing)
    return replace(standing, attempt=None)


def _open(standing: Standing) -> Attempt:
    if standing.attempt is None:
        raise ValueError("no attempt is open")
    return standing.attempt


@dataclass(frozen=True, slots=True)
class FindOut:
    """First find out what became of this attempt, the event's own or another's."""

    attempt: Attempt


@dataclass(frozen=True, slots=True)
class OwnEnrolment:
    """The event's own attempt was found to have succeeded, while another event looked into it."""

    enrolment: Enrolment


@dataclass(frozen=True, slots=True)
class NotAgain:
    """There is an enrolment that the policy does not repeat."""

    enrolment: Enrolment


@dataclass(frozen=True, slots=True)
class CoolingDown:
    """An 8890 is recent enough to be trusted without asking."""

    limit: Limit


@dataclass(frozen=True, slots=True)
class Ask:
    """Nothing stands against a request."""


Advice = FindOut | OwnEnrolment | NotAgain | CoolingDown | Ask


def advise(  # noqa: PLR0913 - all that may stand against a request
    standing: Standing,
    *,
    event_id: str,
    key: str,
    after: str | None,
    reenrol: Reenrol,
    after_revoke: bool = False,
    revocations: int = 0,
    cool_down: timedelta,
    now: datetime,
) -> Advice:
    """Say what the ledger knows for or against a request under this key, by this event, now.

    At most one enrolment per key: an enrolment under the same key is never repeated, whatever the policy.
    `after` is the key of the latest enrolment when the request was planned. If there was another one since, a
    plan for the time after an expiry is out of date: its key may have been used before that one. A revoked
    enrolment is repeated by `once` only with `after_revoke`, and then under another key: a request that was
    planned when fewer `revocations` were known is out of date as well.
    """
    if standing.attempt is not None:
        return FindOut(standing.attempt)
    if standing.enrolment is not None:
        if (standing.enrolment.key, standing.enrolment.event_id) == (key, event_id):
            return OwnEnrolment(standing.enrolment)
        is_outdated = standing.revocations != revocations or (
            reenrol is Reenrol.AFTER_EXPIRY and standing.enrolment.key != after
        )
        is_once = reenrol is Reenrol.ONCE and standing.forbids(after_revoke=after_revoke) is not None
        if is_once or is_outdated or standing.enrolment.key == key:
            return NotAgain(standing.enrolment)
    if standing.limit is not None and is_within(standing.limit.since, cool_down, now):
        return CoolingDown(standing.limit)
    return Ask()
