"""Names of persons: none leaves the worker but in the original record."""

from collections.abc import Mapping, Sequence

import pytest
from structlog.testing import capture_logs

from tests.support.use_case.answers import DOUBTFUL, FULL, ISSUED_ANY, LIMIT, REFUSED, STANDING, UNKNOWN
from tests.support.use_case.scripted import Scripted
from tests.support.use_case.values import event, found, promotion, record
from worker.domain.answers import (
    FaultKind,
    IssueAnswer,
    Issued,
    LookupAnswer,
    Misconfigured,
    Throttled,
    Unsent,
)
from worker.domain.plan import Policy
from worker.enrolment.rules import Rules
from worker.telemetry.metrics import Metrics

SECRETS = {
    "mobile": "919000000001",
    "email": "distinctive@example.org",
    "externalId": "DISTINCTIVE-EXTERNAL-ID",
}


ANSWERS: Mapping[
    str, tuple[Sequence[LookupAnswer | Exception], Mapping[int, Sequence[IssueAnswer | Exception]]]
] = {
    "issued": ([found(promotion(1))], ISSUED_ANY),
    "already": ([found(promotion(1, timeline=[STANDING]))], {}),
    "limit": ([found(promotion(1)), found(promotion(1, restrictions=[FULL]))], {1: [LIMIT]}),
    "nothing": ([found()], {}),
    "unknown": ([UNKNOWN], {}),
    "unknown-at-issue": ([found(promotion(1))], {1: [UNKNOWN]}),
    "refused": ([REFUSED], {}),
    "refused-at-issue": ([found(promotion(1))], {1: [REFUSED]}),
    "lookup-doubtful": ([DOUBTFUL], {}),
    "issue-doubtful": ([found(promotion(1))], {1: [DOUBTFUL]}),
    "waits": (
        [
            Throttled(1.0),
            Misconfigured("HTTP 401"),
            Unsent(FaultKind.NOT_CONNECTED, "x"),
            found(promotion(1)),
        ],
        {1: [Throttled(None), Misconfigured("HTTP 401"), Issued(1, ())]},
    ),
    "lookup-fault": ([ValueError(*SECRETS.values())], {}),
    "issue-fault": ([found(promotion(1))], {1: [ValueError(*SECRETS.values())]}),
}


LOGGED = {"lookup-doubtful", "issue-doubtful", "waits", "lookup-fault", "issue-fault"}


@pytest.mark.parametrize("answers", ANSWERS, ids=str)
@pytest.mark.parametrize(
    "named_by", [*SECRETS, "customerId", "nothing usable", "no JSON", "other organisation"]
)
@pytest.mark.asyncio
async def test_personal_names_leave_by_no_door(answers: str, named_by: str) -> None:
    """No mobile, e-mail or external id in outcomes, their keys, failures, metrics or log lines.

    The dead letter's own key and value are the original record's, and are exempt.
    """
    metrics = Metrics()
    lookups, issues = ANSWERS[answers]
    rules = Rules(policy=Policy(org_id=1800), pii_key=b"a key")
    scene = Scripted(lookups, issues, rules, metrics=metrics)
    customer = dict(SECRETS) if named_by == "customerId" else {named_by: SECRETS.get(named_by, "")}
    value: object = event(customer=customer | ({"customerId": 5} if named_by == "customerId" else {}))
    if named_by == "no JSON":
        value = " ".join(SECRETS.values()).encode()
    if named_by == "other organisation":
        value = event(orgId=7, customer=SECRETS)
    source = record(value, key=SECRETS["mobile"].encode(), headers=(("customer", SECRETS["email"].encode()),))

    with capture_logs() as lines:
        await scene.handle(source)

    failures = [failure for _, failure in scene.publisher.dead_letters]
    doors = [
        *(key + outcome.to_json() + repr(outcome).encode() for key, outcome in scene.publisher.outcomes),
        repr((lines, failures, source)).encode(),
        metrics.exposition()[0],
    ]
    assert scene.publisher.outcomes
    assert bool(lines) or answers not in LOGGED
    for secret in SECRETS.values():
        assert not [door for door in doors if secret.lower().encode() in door.lower()]
