"""What `explain` shows of a known customer: lines for people, an object for programs."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from topics.times import written
from worker.domain.memory import Offer
from worker.operations.known_customer import NOTHING_TRUSTED, KnownCustomer, Remembered


def lines_of_known(known: KnownCustomer) -> Iterator[str]:
    """Yield what is remembered, and whether an event now would ask; a line alone if nothing is trusted."""
    if known.latest.why == NOTHING_TRUSTED:
        yield NOTHING_TRUSTED
        return
    always = ", ".join(sorted(known.trust.always)) or "none"
    yield f"known for {known.trust.seconds:g} s; events that always ask: {always}"
    for each in known.partitions:
        yield f"  partition {each.partition}: {'; '.join(_remembered(each))}"
        yield f"    an event now: {_event(each)}"
    if not known.partitions:
        yield f"  an event now: {_event(known.elsewhere)}"


def known_as_object(known: KnownCustomer) -> dict[str, Any]:
    """Return the same for programs: of the partition that was read last, and of each."""
    return {
        "trustSeconds": known.trust.seconds,
        **_as_object(known.latest),
        "partitions": [_as_object(each) for each in known.partitions],
    }


def _remembered(each: Remembered) -> Iterator[str]:
    if each.read_at is not None:
        yield f"read at {time_of(each.read_at)}, promotions listed: {len(each.offers)}"
    if each.memory.forgotten_at is not None:
        yield f"forgotten at {time_of(each.memory.forgotten_at)}"


def _event(each: Remembered) -> str:
    if each.why is not None:
        return f"would ask: {each.why}"
    outcomes = ", ".join(
        outcome.outcome
        if outcome.promotion_id is None
        else f"{outcome.outcome} for promotion {outcome.promotion_id} of program {outcome.program_id}"
        for outcome in each.outcomes
    )
    if each.trusted_until is None:
        return f"{outcomes}, asks nobody: no promotion on the list can be enrolled into"
    return f"known: {outcomes}, asks nobody until {time_of(each.trusted_until)}"


def _as_object(each: Remembered) -> dict[str, Any]:
    outcomes = {(told.program_id, told.promotion_id): told.outcome for told in each.outcomes}

    def promotion(offer: Offer) -> dict[str, Any]:
        place = offer.program_id, offer.promotion_id
        return {"programId": place[0], "promotionId": place[1], "outcome": outcomes.get(place)}

    return {
        "partition": each.partition,
        "readAt": time_of(each.read_at),
        "trustedUntil": time_of(each.trusted_until),
        "forgottenAt": time_of(each.memory.forgotten_at),
        "promotions": [promotion(offer) for offer in each.offers],
        "asks": each.why is not None,
        "why": each.why,
    }


def plain(text: str) -> str:
    """Return a text of others as one line that a terminal takes for nothing else."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def time_of(time: datetime | None) -> str | None:
    """Return a time to the second."""
    return None if time is None else written(time, "seconds")
