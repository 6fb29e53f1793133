"""How an explanation is got and shown: blocks for people, an object for programs, no identifier in either."""

import asyncio
import json
import logging
import sys
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

import click

from worker.commands.configured import refused
from worker.commands.failure import CommandFailed
from worker.commands.known_shown import known_as_object, lines_of_known, plain, time_of
from worker.domain.catalogue import ListedPromotion
from worker.domain.ledger import Enrolment, Standing
from worker.domain.promotions import Restriction, TimelineEntry
from worker.kafka.errors import KafkaFailed
from worker.operations.customer_question import Explanation, Question, Unexplained, explained
from worker.operations.explanation import Explained
from worker.operations.forgetting import forget
from worker.settings import Settings, SettingsError

A = TypeVar("A")


def tell(settings: Settings, question: Question, *, as_json: bool) -> None:
    """Ask, and show the answer; without a terminal always as an object."""
    answer = _answered(explained(settings, question, _progress))
    if as_json or not sys.stdout.isatty():
        click.echo(json.dumps(_answer_as_object(answer), indent=2))
    else:
        _show(answer)


def tell_to_forget(settings: Settings, question: Question, *, as_json: bool) -> None:
    """Let the worker forget the customer, and say where; as an object only if that is wanted."""
    told = _answered(forget(settings, question, _progress))
    partitions = ", ".join(map(str, told.partitions))
    if as_json:
        click.echo(json.dumps({"customerId": told.customer_id, "partitions": told.partitions}, indent=2))
    elif told.partitions:
        where = f"partition{'s' if len(told.partitions) > 1 else ''} {partitions}"
        click.echo(
            f"customer {told.customer_id}: what is remembered on {where} is forgotten once the worker has "
            "read the record"
        )
    else:
        where = "" if question.key is None else " on the partition of that key"
        click.echo(f"nothing is remembered of customer {told.customer_id}{where}")


def _answered(asked: Coroutine[Any, Any, A]) -> A:
    # Its lines are for logs; what matters of them is in our own.
    logging.getLogger("aiokafka").addHandler(logging.NullHandler())
    try:
        return asyncio.run(asked)
    except SettingsError as error:
        raise refused(error) from None
    except (KafkaFailed, Unexplained) as error:
        raise CommandFailed(str(error)) from None


def _progress(line: str) -> None:
    """Show that a long reading goes on."""
    if sys.stderr.isatty() and not line.endswith("done"):
        click.echo(line, err=True)


def _answer_as_object(answer: Explanation) -> dict[str, Any]:
    return {
        "customerId": answer.customer_id,
        "orgId": answer.org_id,
        "ledger": answer.ledger,
        "known": known_as_object(answer.known),
        "promotions": [as_object(each) for each in answer.promotions],
    }


def _show(answer: Explanation) -> None:
    org = f", organisation {answer.org_id}" if answer.org_id else ""
    click.echo(f"customer {answer.customer_id}{org}, {answer.ledger}, promotions: {len(answer.promotions)}")
    click.echo()
    for line in lines_of_known(answer.known):
        click.echo(line)
    for each in answer.promotions:
        promotion = each.promotion
        title = f"promotion {promotion.promotion_id} of program {promotion.program_id}"
        click.echo()
        click.secho(f"{title}  {plain(promotion.name)}".rstrip(), bold=True)
        for word, text in lines(each):
            click.echo(f"  {word:9} {text}")


def lines(explained: Explained) -> Iterator[tuple[str, str]]:
    """Yield what is shown of a promotion: a word, and what is to be said of it."""
    promotion = explained.promotion
    yield "verdict", explained.verdict
    yield "type", f"{promotion.offer_type or 'unknown'}, {'active' if promotion.active else 'not active'}"
    yield "window", f"{time_of(promotion.starts_at) or 'always'} to {time_of(promotion.ends_at) or 'open'}"
    yield "listed", "as open to the customer" if explained.available else "not as open to the customer"
    yield "filters", f"no: {explained.objection.value}" if explained.objection else "pass"
    yield "limits", "; ".join(map(_restriction, promotion.issual_restrictions)) or "none"
    timeline = promotion.timeline
    if timeline is None:
        yield "timeline", "not told"
    else:
        yield "timeline", "; ".join(map(_entry, timeline)) or "not enrolled"
    yield "ledger", "; ".join(_standing(explained.standing)) or "nothing known"
    if explained.listed is not None:
        yield "rewards", "; ".join(_rewards(explained.listed)) or "nothing told"
    if explained.outcome == "WOULD_ENROL":
        yield "key", explained.key or "hangs on the event: its id, or its organisation (--org-id)"


def as_object(explained: Explained) -> dict[str, Any]:
    """Return a promotion for programs, to be written as JSON."""
    promotion, standing = explained.promotion, explained.standing
    return {
        "programId": promotion.program_id,
        "promotionId": promotion.promotion_id,
        "promotionName": promotion.name,
        "orgId": explained.org_id,
        "outcome": explained.outcome,
        "reason": explained.reason,
        "verdict": explained.verdict,
        "idempotencyKey": explained.key,
        "type": promotion.offer_type,
        "active": promotion.active,
        "startsAt": time_of(promotion.starts_at),
        "endsAt": time_of(promotion.ends_at),
        "available": explained.available,
        "filter": explained.objection,
        "restrictions": [
            {
                "kpi": each.kpi,
                "limitOn": each.limit_on,
                "maxLimit": _number(each.max_limit),
                "currentCustomerUsage": _number(each.usage),
                "usedUp": each.used_up,
            }
            for each in promotion.issual_restrictions
        ],
        "timeline": promotion.timeline
        and [
            {
                "enrollmentId": each.enrolment_id,
                "enrolledAt": time_of(each.enrolled_at),
                "expiresAt": time_of(each.expires_at),
            }
            for each in promotion.timeline
        ],
        "rewards": explained.listed
        and {
            "capped": explained.listed.capped,
            "expiries": [
                {"name": each.name, "basis": each.basis, "days": each.days}
                for each in explained.listed.expiries
            ],
        },
        "ledger": _ledger(standing),
    }


def _ledger(standing: Standing) -> dict[str, Any]:
    enrolment, limit, attempt = standing.enrolment, standing.limit, standing.attempt
    return {
        "enrolment": enrolment
        and {
            "idempotencyKey": enrolment.key or None,
            "eventId": enrolment.event_id,
            "attempts": enrolment.attempts,
            "enrollmentId": enrolment.enrolment_id,
            "issualId": enrolment.issual_id,
            "byAnotherChannel": enrolment.is_anothers,
            "settledAt": time_of(enrolment.settled_at),
            "revokedAt": time_of(enrolment.revoked_at),
        },
        "limit": limit and {"since": time_of(limit.since), "reason": limit.reason},
        "settledLimits": standing.settled_limits,
        "revocations": standing.revocations,
        "attempt": attempt
        and {"idempotencyKey": attempt.key, "eventId": attempt.event_id, "number": attempt.number},
    }


def _rewards(listed: ListedPromotion) -> Iterator[str]:
    if listed.capped is not None:
        yield "capped" if listed.capped else "not capped"
    for expiry in listed.expiries:
        days = "" if expiry.days is None else f", {expiry.days} days"
        yield f"{plain(expiry.name)}: {plain(expiry.basis)}{days}"


def _standing(standing: Standing) -> Iterator[str]:
    if standing.enrolment is not None:
        yield from _enrolment(standing.enrolment)
    if standing.limit is not None:
        yield f"{standing.limit.reason} since {time_of(standing.limit.since)}"
    if standing.settled_limits:
        yield f"refused for a limit {standing.settled_limits} times"
    if standing.revocations:
        yield f"taken back {standing.revocations} times in all"
    attempt = standing.attempt
    if attempt is not None:
        yield f"request {attempt.number} of event {plain(attempt.event_id)} without an answer"


def _enrolment(enrolment: Enrolment) -> Iterator[str]:
    event = plain(enrolment.event_id)
    if enrolment.is_anothers:
        yield f"enrolled by another channel, as notification {event} told"
    else:
        yield f"enrolled by event {event}, key {enrolment.key}"
    if enrolment.revoked_at is not None:
        yield f"taken back at {time_of(enrolment.revoked_at)}"


def _restriction(restriction: Restriction) -> str:
    limit = _number(restriction.max_limit)
    usage = "not told" if restriction.usage is None else _number(restriction.usage)
    of = "no limit" if limit is None or limit <= 0 else limit
    text = f"{plain(restriction.kpi)} per {plain(restriction.limit_on) or '?'}: {usage} of {of}"
    return text + (", used up" if restriction.used_up else "")


def _entry(entry: TimelineEntry) -> str:
    expires = f", expires {time_of(entry.expires_at)}" if entry.expires_at else ""
    return f"enrolment {entry.enrolment_id} of {time_of(entry.enrolled_at) or 'unknown date'}{expires}"


def _number(value: Any) -> int | float | None:  # noqa: ANN401 - a Decimal or None
    if value is None:
        return None
    return int(value) if value == value.to_integral_value() else float(value)
