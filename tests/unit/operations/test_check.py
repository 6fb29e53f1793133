"""What `check` makes of the API's answer and clock."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.support.use_case.values import NOW
from worker.capillary.client import Sounding
from worker.capillary.verdict import PageAnswer
from worker.domain.answers import (
    CustomerNotFound,
    Doubtful,
    FaultKind,
    Misconfigured,
    Notice,
    Refused,
    Throttled,
    Unsent,
)
from worker.operations.check import judge_answer, judge_clock, judge_organisation

DATE = "Sat, 31 Jan 2026 10:00:00 GMT"


@pytest.mark.parametrize(
    ("answer", "level"),
    [
        (CustomerNotFound((Notice(8015, "no such customer"),)), "ok"),
        (Refused((Notice(11013, "identifier is empty"),)), "ok"),
        (Refused((Notice(8003, "invalid source"),)), "fault"),
        (Throttled(1.0), "warning"),
        (Misconfigured("HTTP 401: the credentials are refused"), "fault"),
        (Unsent(FaultKind.NOT_CONNECTED, "refused"), "fault"),
        (Doubtful(FaultKind.TIMEOUT, "no answer"), "fault"),
    ],
)
def test_answers(answer: PageAnswer, level: str) -> None:
    """An error of the API's own proves that it lets us in; what a worker would wait for is a fault."""
    finding = judge_answer(Sounding(answer, NOW, DATE))
    assert finding.level == level
    assert (finding.remedy is None) == (level == "ok")


@pytest.mark.parametrize(
    "answer",
    [
        Misconfigured("HTTP 401", request_id="a63f"),
        Unsent(FaultKind.BUSY, "busy: 521", request_id="a63f"),
        Doubtful(FaultKind.SERVER_ERROR, "HTTP 500", request_id="a63f"),
    ],
)
def test_what_a_failed_call_is_traced_by(answer: PageAnswer) -> None:
    """Whoever asks Capillary about it needs its id; a call that nobody answered has none."""
    assert judge_answer(Sounding(answer, NOW, DATE)).text.endswith("; Capillary traces it by a63f")
    unanswered = replace(answer, request_id=None)
    assert "traces" not in judge_answer(Sounding(unanswered, NOW, DATE)).text


@pytest.mark.parametrize(
    ("seconds", "level"),
    [(0, "ok"), (2, "ok"), (-29, "ok"), (31, "warning"), (-299, "warning"), (301, "fault")],
)
def test_clock(seconds: int, level: str) -> None:
    """A clock that is off must be said from half a minute on, and is a fault from five minutes on."""
    assert judge_clock(Sounding(Throttled(None), NOW + timedelta(seconds=seconds), DATE)).level == level


@pytest.mark.parametrize("date", ["yesterday", "Mon, 1 Jan 2026 99999999999999999999:00:00 GMT", "9" * 5000])
def test_an_unreadable_date(date: str) -> None:
    """A Date header that is none must cost a warning."""
    assert judge_clock(Sounding(Throttled(None), NOW, date)).level == "warning"


def test_an_organisation_that_is_not_named() -> None:
    """The worker runs, and learns it from events: one line says what the setting is for."""
    assert judge_organisation(1800).level == "ok"
    finding = judge_organisation(None)
    assert (finding.level, "ENROLMENT_ORG_ID" in finding.text) == ("warning", True)
