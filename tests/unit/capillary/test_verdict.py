"""Every answer of the API and what it comes to."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from worker.capillary.catalogue_wire import ListPage
from worker.capillary.results import result_of
from worker.capillary.verdict import (
    KNOWN_CODES,
    Answer,
    Answered,
    PageAnswer,
    Reply,
    TokenAnswer,
    judge_issue,
    judge_list,
    judge_page,
    judge_presence,
    judge_token,
)
from worker.capillary.wire import Page, TokenGrant
from worker.domain.answers import (
    CustomerNotFound,
    Doubtful,
    FaultKind,
    IssueAnswer,
    Issued,
    Misconfigured,
    Notice,
    NotIssued,
    Refused,
    Throttled,
    Unsent,
)
from worker.telemetry.redaction import redactor

SAMPLES = Path(__file__).parents[2] / "fixtures" / "capillary"
NOW = datetime(2026, 1, 31, 10, 0, tzinfo=UTC)
MOBILE = "919812345678"
HTML = "<html><body>Bad Gateway</body></html>"
PAGE = {"customerId": 1, "promotions": []}
EFFECT = {"programId": 469, "promotionId": 57099, "issualId": 3}


def _reply(status: int, body: object, headers: Mapping[str, str] | None = None) -> Reply:
    raw = body if isinstance(body, str) else json.dumps(body)
    return Reply(status, headers or {}, raw.encode())


def _page(status: int, body: object) -> PageAnswer:
    return judge_page(_reply(status, body), NOW, redactor(MOBILE))


def _issue(status: int, body: object) -> IssueAnswer:
    return judge_issue(_reply(status, body), NOW, redactor(MOBILE), program_id=469, promotion_id=57099)


def _token(status: int, body: object) -> TokenAnswer:
    return judge_token(_reply(status, body), NOW, redactor("key", "hush"))


def _errors(*codes: object) -> dict[str, object]:
    return {"warnings": [], "errors": [{"status": False, "code": code, "message": "why"} for code in codes]}


def _warning(code: int = 8890) -> dict[str, object]:
    return {"code": code, "message": "why"}


def _notices(*codes: int) -> tuple[Notice, ...]:
    return tuple(Notice(code, "why") for code in codes)


def _sample(name: str) -> object:
    return json.loads((SAMPLES / name).read_text())


@pytest.mark.parametrize("status", [200, 201, 400, 404, 500])
@pytest.mark.parametrize("code", sorted(KNOWN_CODES - {8890}))
def test_known_error_codes_decide_whatever_the_status(status: int, code: int) -> None:
    """The pages do not say which status goes with which body, so a known code decides under any."""
    expected = {8015: CustomerNotFound(_notices(8015)), 310144: Misconfigured("310144 why")}
    for answer in (_page(status, _errors(code)), _issue(status, _errors(str(code)))):
        assert answer == expected.get(code, Refused(_notices(code)))


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (200, Refused(_notices(99999))),
        (400, Refused(_notices(99999))),
        (404, Refused(_notices(99999))),
        (422, Refused(_notices(99999))),
        (408, Doubtful(FaultKind.TIMEOUT, "HTTP 408")),
        (409, Doubtful(FaultKind.IN_PROGRESS, "HTTP 409")),
        (425, Unsent(FaultKind.TOO_EARLY, "HTTP 425")),
        (500, Doubtful(FaultKind.SERVER_ERROR, "HTTP 500")),
        (503, Doubtful(FaultKind.SERVER_ERROR, "HTTP 503")),
    ],
)
def test_unknown_error_codes(status: int, expected: Answer) -> None:
    """An unknown code is final, except behind a status that leaves the effect open."""
    assert _page(status, _errors(99999)) == _issue(status, _errors(99999)) == expected


@pytest.mark.parametrize("status", [401, 403, 429])
@pytest.mark.parametrize("body", [PAGE, {"sideEffects": [EFFECT]}, _errors(8015), HTML, ""])
def test_statuses_that_decide_always(status: int, body: object) -> None:
    """Authentication and throttling are judged by the status whatever the body says."""
    expected = Throttled if status == 429 else Misconfigured
    for answer in (_page(status, body), _issue(status, body), _token(status, body)):
        assert isinstance(answer, expected)


@pytest.mark.parametrize("body", [HTML, "", "[]", {}, {"errors": []}, {"errors": [{"message": "no code"}]}])
@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (200, Doubtful(FaultKind.MALFORMED, "HTTP 200, no usable body")),
        (204, Doubtful(FaultKind.MALFORMED, "HTTP 204, no usable body")),
        (301, Misconfigured("HTTP 301: redirects are not followed")),
        (307, Misconfigured("HTTP 307: redirects are not followed")),
        (400, Misconfigured("HTTP 400 without an error of the API")),
        (404, Misconfigured("HTTP 404 without an error of the API")),
        (408, Doubtful(FaultKind.TIMEOUT, "HTTP 408")),
        (409, Doubtful(FaultKind.IN_PROGRESS, "HTTP 409")),
        (422, Refused((Notice(422, "HTTP 422 without an error of the API"),))),
        (425, Unsent(FaultKind.TOO_EARLY, "HTTP 425")),
        (500, Doubtful(FaultKind.SERVER_ERROR, "HTTP 500")),
        (502, Doubtful(FaultKind.SERVER_ERROR, "HTTP 502")),
    ],
)
def test_statuses_decide_without_a_body_of_the_api(status: int, expected: Answer, body: object) -> None:
    """Where the body is not the API's, the status decides, for lookup and issue alike."""
    assert _page(status, body) == _issue(status, body) == expected


def test_unreadable_body_is_named() -> None:
    """Why a body could not be read is part of the detail."""
    answer = judge_page(Reply(200, {}, b"", "more than 5 bytes"), NOW, str)
    assert answer == Doubtful(FaultKind.MALFORMED, "HTTP 200, more than 5 bytes, no usable body")


def test_page_of_a_customer() -> None:
    """A page is read; one behind a server's fault is not taken for the truth."""
    assert _page(200, PAGE) == Page(1, (), None, None)
    assert _page(503, PAGE) == Doubtful(FaultKind.SERVER_ERROR, "HTTP 503")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("issue_issued.json", Issued(3, ())),
        (
            "issue_limit.json",
            NotIssued(
                (Notice(8890, "promotion not issued due to config issues or customer exhausted limits"),)
            ),
        ),
        ("issue_program_invalid.json", Refused((Notice(1101, "invalid programId passed"),))),
    ],
)
def test_samples_of_issue(name: str, expected: Answer) -> None:
    """The page's samples come to what the page says."""
    assert _issue(200, _sample(name)) == expected


def test_sample_of_an_unknown_customer() -> None:
    """8015 keeps its message."""
    expected = CustomerNotFound((Notice(8015, "Customer not found for the given identifiers"),))
    assert _page(200, _sample("lookup_customer_not_found.json")) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"sideEffects": [EFFECT]}, Issued(3, ())),
        ({"sideEffects": [EFFECT], "errors": None, "warnings": [_warning(1)]}, Issued(3, _notices(1))),
        ({"sideEffects": [EFFECT], **_errors(8874)}, Issued(3, ())),
        ({"sideEffects": [EFFECT | {"promotionId": 1, "issualId": 9}, EFFECT]}, Issued(3, ())),
        ({"sideEffects": [EFFECT | {"promotionId": 1, "issualId": 9}]}, Issued(9, ())),
        ({"sideEffects": [{"programId": 469, "issualId": "?"}]}, Issued(None, ())),
        ({"sideEffects": [{}]}, Doubtful(FaultKind.MALFORMED, "HTTP 200, no usable body")),
        ({"sideEffects": {}}, Doubtful(FaultKind.MALFORMED, "HTTP 200, no usable body")),
        ({"sideEffects": ["x"]}, Doubtful(FaultKind.MALFORMED, "HTTP 200, no usable body")),
        ({"warnings": [_warning(77)]}, NotIssued(_notices(77))),
        ({"warnings": [_warning()], "errors": None, "sideEffects": None}, NotIssued(_notices(8890))),
        (_errors(8890), NotIssued(_notices(8890))),
        (_errors(8890, 8874), Refused(_notices(8890, 8874))),
        (_errors(8874) | {"warnings": [_warning()]}, Refused(_notices(8874))),
        (
            {"warnings": [], "errors": [], "sideEffects": []},
            Doubtful(FaultKind.MALFORMED, "HTTP 200, no usable body"),
        ),
    ],
)
def test_bodies_of_issue(body: object, expected: Answer) -> None:
    """A side effect is an enrolment, else errors decide, else warnings; none of the three is doubt."""
    assert _issue(200, body) == expected


def test_effects_and_warnings_behind_a_fault() -> None:
    """A side effect counts under any status; a warning of an unknown code behind a 5xx is not believed."""
    assert _issue(500, {"sideEffects": [EFFECT]}) == Issued(3, ())
    assert _issue(500, {"warnings": [_warning()]}) == NotIssued(_notices(8890))
    assert _issue(500, {"warnings": [_warning(77)]}) == Doubtful(FaultKind.SERVER_ERROR, "HTTP 500")


def test_messages_lose_the_identifier() -> None:
    """A message that echoes the identifier is kept without it."""
    body = {"errors": [{"code": 8015, "message": f"no customer with mobile {MOBILE}"}]}
    assert _page(200, body) == CustomerNotFound((Notice(8015, "no customer with mobile ***"),))


def test_throttling_carries_the_wait() -> None:
    """Retry-After is read for every endpoint."""
    throttled = _reply(429, HTML, {"retry-after": "7"})
    assert judge_page(throttled, NOW, str) == Throttled(7.0)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        *((status, Answered()) for status in (200, 204, 302, 400, 404, 409, 422)),
        (401, Misconfigured("HTTP 401: the credentials are refused")),
        (408, Doubtful(FaultKind.TIMEOUT, "HTTP 408")),
        (425, Unsent(FaultKind.TOO_EARLY, "HTTP 425")),
        (429, Throttled(None)),
        (500, Doubtful(FaultKind.SERVER_ERROR, "HTTP 500")),
        (503, Doubtful(FaultKind.SERVER_ERROR, "HTTP 503")),
    ],
)
@pytest.mark.parametrize("body", [HTML, _errors(4054), {"data": []}])
def test_presence(status: int, expected: Answer, body: object) -> None:
    """Whether a server is at work behind it is told by the status alone."""
    assert judge_presence(_reply(status, body), NOW) == expected


LIST: dict[str, object] = {
    "status": {"code": 200, "message": "success"},
    "validationErrors": None,
    "data": [],
    "pageDetails": {"totalEntries": 0},
}


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, LIST, ListPage((), 0)),
        *((s, _errors(c), Misconfigured(f"{c} why")) for c in (4054, 4053, 4057, 2010) for s in (200, 400)),
        (200, _errors(99999), Misconfigured("99999 why")),
        (
            200,
            LIST | {"status": {"code": 2010, "message": "Program ID incorrect"}},
            Misconfigured("2010 Program ID incorrect"),
        ),
        (
            200,
            LIST | {"validationErrors": [{"offset": 0}]},
            Misconfigured("the list's request has validation errors"),
        ),
        (200, LIST | {"pageDetails": None}, Doubtful(FaultKind.MALFORMED, "HTTP 200, no usable body")),
        (200, HTML, Doubtful(FaultKind.MALFORMED, "HTTP 200, no usable body")),
        (302, HTML, Misconfigured("HTTP 302: redirects are not followed")),
        (400, LIST, Misconfigured("HTTP 400 without an error of the API")),
        (401, LIST, Misconfigured("HTTP 401: the credentials are refused")),
        (403, LIST, Misconfigured("HTTP 403: the credentials are refused")),
        (404, HTML, Misconfigured("HTTP 404 without an error of the API")),
        (408, LIST, Doubtful(FaultKind.TIMEOUT, "HTTP 408")),
        (409, HTML, Doubtful(FaultKind.IN_PROGRESS, "HTTP 409")),
        (422, HTML, Misconfigured("422 HTTP 422 without an error of the API")),
        (425, LIST, Unsent(FaultKind.TOO_EARLY, "HTTP 425")),
        (429, LIST, Throttled(None)),
        (500, LIST, Doubtful(FaultKind.SERVER_ERROR, "HTTP 500")),
        (503, _errors(4054), Doubtful(FaultKind.SERVER_ERROR, "HTTP 503")),
    ],
)
def test_list(status: int, body: object, expected: Answer) -> None:
    """The list's own errors are faults of configuration; a page behind a fault is not believed."""
    assert judge_list(_reply(status, body), NOW) == expected


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, {"data": {"accessToken": "t", "ttlSeconds": 300}, "errors": None}, TokenGrant("t", 300)),
        (200, {"data": None, **_errors(1001)}, Misconfigured("no token: 1001 why")),
        (200, HTML, Unsent(FaultKind.MALFORMED, "no token: HTTP 200, no usable body")),
        (302, HTML, Misconfigured("no token: HTTP 302: redirects are not followed")),
        (404, HTML, Misconfigured("no token: HTTP 404 without an error of the API")),
        (422, HTML, Misconfigured("no token: 422 HTTP 422 without an error of the API")),
        (503, _errors(1001), Unsent(FaultKind.SERVER_ERROR, "no token: HTTP 503")),
    ],
)
def test_token_endpoint(status: int, body: object, expected: Answer) -> None:
    """Without a token the request itself was never sent, so nothing is in doubt."""
    assert _token(status, body) == expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Page(1, (), None, None), "found"),
        (TokenGrant("t", None), "token"),
        (Answered(), "answered"),
        (ListPage((), 0), "found"),
        (Issued(1, ()), "issued"),
        (NotIssued(()), "not_issued"),
        (CustomerNotFound(()), "customer_not_found"),
        (Refused(()), "refused"),
        (Throttled(None), "throttled"),
        (Misconfigured(""), "misconfigured"),
        *((Doubtful(kind, ""), kind.value) for kind in FaultKind),
        *((Unsent(kind, ""), kind.value) for kind in FaultKind),
    ],
)
def test_results(answer: Answer, expected: str) -> None:
    """Every answer has its metric label."""
    assert result_of(answer) == expected


def test_endless_names_are_cut() -> None:
    """A promotion's name keeps its beginning and a mark."""
    promotion = {"promotionId": 1, "programId": 2, "promotionName": "n" * 1_000_000}
    page = _page(200, {"customerId": 1, "promotions": [promotion]})
    assert isinstance(page, Page)
    assert page.promotions[0].name == "n" * 511 + "…"


def test_endless_lists_of_errors_make_no_endless_line() -> None:
    """What goes to the log of a fault of configuration is bounded as a whole."""
    answer = _page(200, {"errors": [{"code": 310144, "message": "x" * 100}] * 10_000})
    assert isinstance(answer, Misconfigured)
    assert len(answer.detail) == 512


@pytest.mark.parametrize("body", ['{"errors": [{"code": 7, "message": "\\ud800"}]}'])
def test_lone_surrogates_in_messages(body: str) -> None:
    """Text that cannot be written to Kafka is as if absent."""
    answer = _page(200, body)
    assert answer == Refused((Notice(7, ""),))
