"""Whatever the server sends, judging it raises nothing."""

import json
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from worker.capillary.reply import Reply
from worker.capillary.results import result_of
from worker.capillary.verdict import judge_issue, judge_list, judge_page, judge_presence, judge_token
from worker.telemetry.redaction import redactor

NOW = datetime(2026, 1, 31, tzinfo=UTC)
FIELDS = [
    "errors",
    "warnings",
    "sideEffects",
    "code",
    "message",
    "customerId",
    "promotions",
    "pageDetails",
    "totalEntries",
    "pageSize",
    "promotionId",
    "programId",
    "promotionName",
    "startDate",
    "endDate",
    "active",
    "pointsOfferType",
    "promotionRestriction",
    "issualRestrictions",
    "kpi",
    "maxLimit",
    "currentCustomerUsage",
    "limitOn",
    "customerPromotionTimelines",
    "enrollmentId",
    "enrollmentDate",
    "orgId",
    "data",
    "accessToken",
    "ttlSeconds",
    "issualId",
    "status",
    "validationErrors",
    "id",
    "promotionStatus",
    "promotionRestrictions",
    "restrictions",
    "expiryRestrictions",
    "cappingStatus",
    "name",
    "type",
    "value",
]

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["8015", "-1", "1e999999", "2024-04-04T00:00Z", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=6),
    max_leaves=30,
)
bodies = st.binary(max_size=64) | values.map(lambda value: json.dumps(value).encode())
statuses = st.sampled_from([200, 204, 302, 400, 401, 404, 408, 409, 422, 425, 429, 500, 503]) | st.integers(
    100, 999
)
headers = st.dictionaries(
    st.sampled_from(["retry-after", "ratelimit", "ratelimit-reset"]), st.text(max_size=20)
)


@settings(max_examples=300, deadline=None)
@given(status=statuses, body=bodies, headers=headers)
def test_every_reply_has_a_verdict(status: int, body: bytes, headers: dict[str, str]) -> None:
    """Any status, headers and body come to an answer that has a name."""
    reply, redact = Reply(status, headers, body), redactor("919812345678")
    assert result_of(judge_page(reply, NOW, redact))
    assert result_of(judge_issue(reply, NOW, redact, program_id=1, promotion_id=2))
    assert result_of(judge_token(reply, NOW, redact))
    assert result_of(judge_list(reply, NOW))
    assert result_of(judge_presence(reply, NOW))
