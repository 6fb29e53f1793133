"""Notifications of enrolments and of their ends: what they settle, and what they never lead to."""

import json
from dataclasses import replace

import pytest

from tests.support.use_case.honest_api import SETTLE, Shop, policy
from tests.support.use_case.notifications import (
    LIMIT,
    LOST,
    MOBILE,
    TRUSTING,
    happening,
    names,
    notification,
    told,
)
from tests.support.use_case.values import CUSTOMER, PROGRAM, record
from worker.domain.answers import (
    FaultKind,
    Unsent,
)
from worker.enrolment.checkpoints import Checkpoint
from worker.enrolment.rules import Rules


async def _left_open(*, is_applied: bool, rules: Rules = TRUSTING) -> Shop:
    """Return a shop whose process died over an attempt of evt-1 that nobody knows the fate of."""
    shop = Shop(rules)
    shop.api.script.append((is_applied, LOST))
    shop.wait(1)
    await shop.handle(happening("evt-1"), die_at=Checkpoint.ANSWERED)
    return shop


@pytest.mark.asyncio
async def test_an_enrolment_that_is_told_is_known() -> None:
    """It needs no lookup, and no request is made for it."""
    shop = Shop(TRUSTING)
    shop.api.script.append((False, LIMIT))
    await told(shop, happening("evt-1"), notification("promotionIssued", at=1.5, issualId=77))
    assert names(await told(shop, happening("evt-2"))) == [("ALREADY_ENROLLED", True)]
    assert shop.tracker.saved == ["feedback"]
    assert shop.api.requests == 1


@pytest.mark.asyncio
async def test_an_enrolment_that_is_told_settles_an_open_attempt() -> None:
    """Its event is told, with the id of the notification; when it comes again it tells the same."""
    shop = await _left_open(is_applied=True)
    assert shop.told == []
    outcomes = await told(shop, notification("promotionIssued", at=2, issualId=77))
    assert names(outcomes) == [("ENROLLED", None)]
    assert (outcomes[0].reconciled, outcomes[0].issual_id) == (True, 77)
    assert outcomes[0].activity.event_id == "evt-1"
    lookups = shop.api.lookups
    assert await told(shop, happening("evt-1")) == outcomes
    assert (shop.api.lookups, shop.api.requests) == (lookups, 1)
    assert await told(shop, notification("promotionIssued", at=2, issualId=77)) == []


@pytest.mark.asyncio
@pytest.mark.parametrize("die_at", [None, *Checkpoint])
async def test_a_kill_while_an_attempt_is_settled_by_a_notification(die_at: Checkpoint | None) -> None:
    """The notification comes again, and the outcome is told at least once and always the same."""
    shop = await _left_open(is_applied=True)
    notified = notification("promotionIssued", at=2, issualId=77)
    for entries_left in (0, 1, None):
        await shop.handle(notified, entries_left=entries_left, die_at=die_at)
    await told(shop, notified, happening("evt-1"))
    first = shop.told[0]
    assert shop.told == [first] * len(shop.told)
    assert (first.issual_id, shop.api.requests) == (77, 1)


@pytest.mark.asyncio
@pytest.mark.parametrize("at", [-5.0, 0.5])
async def test_an_enrolment_from_before_the_attempt_proves_nothing(at: float) -> None:
    """The attempt is found out as ever."""
    shop = await _left_open(is_applied=False)
    assert await told(shop, notification("promotionIssued", at=at, issualId=77)) == []
    (standing,) = (shop.ledger.standing(CUSTOMER, shop.subject),)
    assert standing.attempt is not None


@pytest.mark.asyncio
async def test_a_notification_of_our_own_enrolment_changes_nothing() -> None:
    """It is known by its id: no entry is written."""
    shop = Shop(TRUSTING)
    (outcome,) = await told(shop, happening("evt-1"))
    before = dict(shop.ledger.standings)
    await told(shop, notification("promotionIssued", at=9, issualId=outcome.issual_id))
    assert shop.ledger.standings == before


@pytest.mark.asyncio
@pytest.mark.parametrize(("again", "requests"), [(False, 1), (True, 2)])
async def test_an_enrolment_is_taken_back(again: bool, requests: int) -> None:  # noqa: FBT001 - a table
    """Once is once, unless the operator wants it otherwise; then under another key."""
    shop = Shop(replace(policy(reenrol_after_revoke=again), trust_seconds=600.0), with_timeline=False)
    (outcome,) = await told(shop, happening("evt-1"))
    revoked = notification("revokeIssuedPromotion", at=1.5, revokedIssualId=outcome.issual_id)
    await told(shop, revoked)
    assert shop.ledger.memory(CUSTOMER).seen is None
    (after,) = await told(shop, happening("evt-2"))
    assert shop.api.requests == requests
    assert (after.outcome == "ENROLLED") is again
    assert after.idempotency_key != outcome.idempotency_key
    await told(shop, revoked)
    shop.wait(SETTLE)
    await told(shop, happening("evt-4"))
    assert names(await told(shop, happening("evt-3"))) == [("ALREADY_ENROLLED", True)]
    assert shop.api.requests == requests


@pytest.mark.asyncio
async def test_an_enrolment_that_nobody_told_of_is_taken_back() -> None:
    """Who was enrolled by another channel and taken back is not enrolled by us, with once."""
    shop = Shop(TRUSTING)
    outcomes = await told(
        shop, notification("revokeIssuedPromotion", revokedIssualId=5), happening("evt-1"), happening("evt-2")
    )
    assert names(outcomes) == [("ALREADY_ENROLLED", None), ("ALREADY_ENROLLED", True)]


@pytest.mark.asyncio
@pytest.mark.parametrize("trust_seconds", [0.0, 600.0])
async def test_notifications_tell_no_outcome(trust_seconds: float) -> None:
    """Not even with every event a trigger; they are heeded without the trust too, where that matters."""
    rules = Rules(trust_seconds=trust_seconds, triggers=frozenset({"*"}))
    shop = Shop(rules)
    for name in ("promotionCreated", "promotionUpdated", "promotionIssued", "revokeIssuedPromotion"):
        assert await told(shop, notification(name, issualId=5)) == []
    assert shop.api.lookups == 0
    assert {result for _, result in shop.tracker.activities} == {"feedback"}


@pytest.mark.asyncio
async def test_notifications_of_another_organisation() -> None:
    """They are passed over, and are no dead letters."""
    shop = Shop(replace(policy(org_id=1), trust_seconds=600.0))
    source = notification("promotionIssued", issualId=5)
    body = record({"eventName": "promotionIssued", "orgId": 2, "data": {"promotionId": 1}})
    assert await told(shop, replace(source, value=body.value)) == []
    assert shop.tracker.activities == [("promotionIssued", "other_organisation")]


@pytest.mark.asyncio
async def test_notifications_of_somebody_unknown() -> None:
    """Without an id, and by a name that nobody looked up, they change nothing and are counted."""
    shop = Shop(TRUSTING)
    source = record(
        {
            "eventName": "promotionIssued",
            "data": {
                "promotionId": 1,
                "loyaltyProgramId": PROGRAM,
                "customerIdentifiers": {"instore": {"mobile": MOBILE}},
            },
        }
    )
    await told(shop, source)
    assert shop.tracker.activities == [("promotionIssued", "feedback_of_unknown")]
    await told(shop, "evt-1", source)
    assert shop.tracker.activities[-1] == ("promotionIssued", "feedback")


@pytest.mark.asyncio
async def test_a_notification_teaches_no_organisation() -> None:
    """What another organisation's notification names must not make our events foreign."""
    shop = Shop(TRUSTING)
    body = {"eventName": "promotionUpdated", "orgId": 2, "data": {"promotionId": 1}}
    assert names(await told(shop, record(body), "evt-1")) == [("ENROLLED", None)]


@pytest.mark.asyncio
async def test_a_notification_that_lacks_what_it_is_about_is_reported() -> None:
    """With the field that is missing, and no value."""
    shop = Shop(TRUSTING)
    await told(shop, notification("promotionIssued", promotionId="x"))
    assert shop.tracker.unusables == [("promotionIssued", "promotionId: missing or no id")]


@pytest.mark.asyncio
async def test_a_notification_without_a_time_settles_no_attempt() -> None:
    """It may be of an older enrolment."""
    shop = await _left_open(is_applied=False)
    untimed = notification("promotionIssued", issualId=77, promotionId=1)
    body = {name: value for name, value in json.loads(untimed.value or b"").items() if name != "createdAt"}
    assert await told(shop, record(body)) == []
    assert names(await told(shop, happening("evt-1")))[0][0] in ("ENROLLED", "ALREADY_ENROLLED")


@pytest.mark.asyncio
@pytest.mark.parametrize("again", [False, True])
async def test_an_attempt_that_was_applied_and_taken_back_is_not_repeated(again: bool) -> None:  # noqa: FBT001 - a table
    """That it was taken back shows that it was made; its event is told so."""
    shop = await _left_open(
        is_applied=True, rules=replace(policy(reenrol_after_revoke=again), trust_seconds=600.0)
    )
    shop.api.applied.clear()
    revoked = notification("revokeIssuedPromotion", at=2.5, revokedIssualId=77)
    shop.wait(1)
    (outcome,) = await told(shop, revoked)
    assert (outcome.outcome, outcome.issual_id) == ("ENROLLED", 77)
    assert await told(shop, happening("evt-1"), revoked) == [outcome]
    assert shop.api.requests == 1
    (after,) = await told(shop, happening("evt-2"))
    assert (after.outcome == "ENROLLED") is again


@pytest.mark.asyncio
async def test_an_attempt_beside_anothers_enrolment_is_not_repeated() -> None:
    """An enrolment from before the attempt is told of while that is open: once is once."""
    shop = await _left_open(is_applied=False)
    await told(shop, notification("promotionIssued", at=-5, issualId=77))
    assert names(await told(shop, happening("evt-1"))) == [("ALREADY_ENROLLED", None)]
    assert shop.api.requests == 1


@pytest.mark.asyncio
async def test_a_plan_from_before_a_revocation_uses_no_key_again() -> None:
    """Whoever enrolled since: the key may have been used."""
    shop = Shop(replace(policy(reenrol_after_revoke=True), trust_seconds=600.0), with_timeline=False)
    shop.api.script.append((False, Unsent(FaultKind.BUSY, "busy")))
    shop.api.script.extend([(False, Unsent(FaultKind.BUSY, "busy"))] * 9)
    await shop.handle(happening("evt-1"), attempts=1)
    (deferred,) = shop.deferred or [happening("evt-1")]
    shop.api.script.clear()
    (enrolled,) = await told(shop, happening("evt-2"))
    await told(
        shop,
        notification("revokeIssuedPromotion", at=3, revokedIssualId=enrolled.issual_id),
        notification("promotionIssued", at=4, issualId=99),
        notification("revokeIssuedPromotion", at=5, revokedIssualId=99),
    )
    await told(shop, deferred)
    keys = [one.key for one in shop.api.applied]
    assert len(keys) == len(set(keys))


@pytest.mark.asyncio
@pytest.mark.parametrize("createdAt", [None, 3600.0])
async def test_a_revocation_counts_once_however_often_it_is_told(createdAt: float | None) -> None:  # noqa: N803 - the API's
    """Without a time, or with one ahead, only its id tells which enrolment is meant."""
    shop = Shop(replace(policy(reenrol_after_revoke=True), trust_seconds=600.0), with_timeline=False)
    await told(shop, happening("evt-1"))
    source = notification("revokeIssuedPromotion", at=createdAt or 0)
    body = json.loads(source.value or b"")
    if createdAt is None:
        del body["createdAt"]
    revoked = record(body)
    for number in range(3):
        await told(shop, revoked, happening(f"evt-more-{number}"))
    assert shop.api.requests == 1
