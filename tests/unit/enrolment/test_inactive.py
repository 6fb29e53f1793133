"""A promotion that the API called inactive rests for everybody, for a while."""

import pytest

from tests.support.use_case.fakes import FakeApi
from tests.support.use_case.values import found
from worker.domain.answers import IssueAnswer, Issued, Notice, Refused
from worker.domain.priority import Priority
from worker.domain.promotions import Identifier, IdentifierName
from worker.enrolment.inactive import REST_SECONDS, RestingInactive

INACTIVE = Refused((Notice(8892, "promotion is inactive for ravi"),))
RESTS = Refused((Notice(8892, "promotion inactive"),), unsent=True, cached=True)


def _who(number: int) -> Identifier:
    return Identifier(IdentifierName.CUSTOMER_ID, str(number))


@pytest.mark.asyncio
async def test_an_inactive_promotion_is_asked_for_once_in_a_while() -> None:
    """The answer is everybody's, without its words; other promotions and lookups are asked for as before."""
    now = 0.0
    journal: list[tuple[object, ...]] = []
    no = Refused((Notice(8874, "no"),))
    answers: dict[int, list[IssueAnswer]] = {1: [INACTIVE, Issued(5, ())], 2: [no]}
    asked = FakeApi(journal, [found()], answers)
    api = RestingInactive(asked, lambda: now)

    assert await api.issue(_who(1), 9, 1, "a") == INACTIVE
    for customer in (2, 3):
        assert await api.issue(_who(customer), 9, 1, "b") == RESTS
    for _ in range(2):
        assert await api.issue(_who(1), 9, 2, "c") == no
    assert await api.lookup(_who(1), priority=Priority.BACKLOG) == found()
    assert asked.priorities == [Priority.BACKLOG]
    assert [call[0] for call in journal] == ["issue", "issue", "issue", "lookup"]

    now = REST_SECONDS
    for _ in range(2):
        assert await api.issue(_who(2), 9, 1, "b") == Issued(5, ())
