"""Every answer of the API and what it comes to."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from worker.capillary import codes
from worker.capillary.catalogue_wire import ListPage
from worker.capillary.reply import Reply
from worker.capillary.results import result_of
from worker.capillary.verdict import (
    Answer,
    Answered,
    PageAnswer,
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
NOT_OURS = Doubtful(FaultKind.MALFORMED, "side effects, and none names the promotion asked for")
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


def _warning(code: object = 8890) -> dict[str, object]:
    return {"code": code, "message": "why"}


def _notices(*codes: int) -> tuple[Notice, ...]:
    return tuple(Notice(code, "why") for code in codes)


def _sample(name: str) -> object:
    return json.loads((SAMPLES / name).read_text())


BUSY = Unsent(FaultKind.BUSY, "busy: 521, try after some time")
MALFORMED = Doubtful(FaultKind.MALFORMED, "HTTP 200, no usable body")
OUR_FAULT = Misconfigured("HTTP 401: the credentials are refused")

OF_LOOKUP = {
    **{code: CustomerNotFound(_notices(code)) for code in (8015, 8065, 8089, 8121)},
    **{code: Misconfigured(f"{code} why") for code in (310144, 8101, 8102)},
    521: BUSY,
    461: Unsent(FaultKind.BUSY, "busy: 461, try after some time"),
}
OF_ISSUE = {
    8015: CustomerNotFound(_notices(8015)),
    310144: Misconfigured("310144 why"),
    8890: NotIssued(_notices(8890)),
    521: BUSY,
    461: Unsent(FaultKind.BUSY, "busy: 461, try after some time"),
}


@pytest.mark.parametrize("status", [200, 201, 302, 400, 404, 408, 409, 425, 500, 503])
@pytest.mark.parametrize("code", sorted(codes.KNOWN))
def test_known_error_codes_decide_whatever_the_status(status: int, code: int) -> None:
    """The pages do not say which status goes with which body, so a known code decides under any."""
    assert _page(status, _errors(code)) == OF_LOOKUP.get(code, Refused(_notices(code)))
    assert _issue(status, _errors(str(code))) == OF_ISSUE.get(code, Refused(_notices(code)))


@pytest.mark.parametrize("status", [200, 202, 400, 401, 403, 404, 422, 500, 503])
@pytest.mark.parametrize("code", [521, 461, "521", " 461 "])
@pytest.mark.parametrize("also", [[], [8015], [8874], [8890]])
def test_try_after_some_time_did_nothing(status: int, code: int | str, also: list[int]) -> None:
    """As an error or as a warning, beside others, of each endpoint: nothing was done, try again."""
    busy = Unsent(FaultKind.BUSY, f"busy: {str(code).strip()}, try after some time")
    warned = {"warnings": [_warning(each) for each in (*also, code)], "errors": [], "sideEffects": []}
    page = PAGE | {"warnings": [_warning(code)]}
    unsent = Unsent(FaultKind.BUSY, f"no token: {busy.detail}")
    for body in (_errors(*also, code), warned, page):
        assert _page(status, body) == _issue(status, body) == busy
        assert judge_list(_reply(status, LIST | body), NOW) == busy
        assert status in (401, 403) or _token(status, body) == unsent
    assert judge_list(_reply(status, LIST | {"status": {"code": code, "message": "busy"}}), NOW) == busy


def test_what_was_applied_wins_over_try_after_some_time() -> None:
    """Capillary may tell of its contention beside the side effect."""
    assert _issue(200, _errors(521) | {"sideEffects": [EFFECT]}) == Issued(3, ())
    warned = {"warnings": [_warning(521)], "sideEffects": [EFFECT]}
    assert _issue(200, warned) == Issued(3, _notices(521))


@pytest.mark.parametrize(
    ("status", "page", "issue"),
    [
        *(
            (status, Refused(_notices(99999)), Refused(_notices(99999)))
            for status in (200, 202, 400, 404, 422)
        ),
        (
            302,
            Misconfigured("HTTP 302: redirects are not followed"),
            Doubtful(FaultKind.MISCONFIGURED, "HTTP 302: redirects are not followed"),
        ),
        (408, *[Doubtful(FaultKind.TIMEOUT, "HTTP 408")] * 2),
        (409, *[Doubtful(FaultKind.IN_PROGRESS, "HTTP 409")] * 2),
        (425, Unsent(FaultKind.TOO_EARLY, "HTTP 425"), Doubtful(FaultKind.TOO_EARLY, "HTTP 425")),
        *((s, *[Doubtful(FaultKind.SERVER_ERROR, f"HTTP {s}")] * 2) for s in (500, 503, 520, 527)),
    ],
)
def test_unknown_error_codes(status: int, page: Answer, issue: Answer) -> None:
    """An unknown code is final, except behind a status that leaves the effect open."""
    assert (_page(status, _errors(99999)), _issue(status, _errors(99999))) == (page, issue)


@pytest.mark.parametrize("status", [401, 403, 429])
@pytest.mark.parametrize("body", [PAGE, _errors(8015), HTML, ""])
def test_statuses_that_decide_always(status: int, body: object) -> None:
    """Authentication and throttling are judged by the status whatever the body says."""
    expected = Throttled if status == 429 else Misconfigured
    for answer in (_page(status, body), _token(status, body)):
        assert isinstance(answer, expected)


@pytest.mark.parametrize("status", [100, 200, 302, 400, 401, 403, 404, 409, 422, 429, 451, 500, 599])
def test_a_side_effect_is_an_enrolment_under_any_status(status: int) -> None:
    """It was applied, whoever wrote the status; one that names another promotion leaves it open."""
    assert _issue(status, {"sideEffects": [EFFECT]}) == Issued(3, ())
    other = _issue(status, {"sideEffects": [EFFECT | {"promotionId": 1}], **_errors(8874)})
    assert other == Doubtful(FaultKind.MALFORMED, "side effects, and none names the promotion asked for")


UNREADABLE = [
    HTML,
    "",
    "[]",
    "521",
    '{"sideEffects": [{"programId": 4',
    {},
    {"errors": []},
    {"errors": [{"message": "no code"}]},
    {"warnings": [], "errors": [], "sideEffects": []},
    {"message": "Too Many Requests"},
    {"error": {"code": 8874}},
    [{"sideEffects": [EFFECT]}],
]


@pytest.mark.parametrize("body", UNREADABLE, ids=str)
def test_no_answer_to_an_enrolment_that_leaves_it_open_is_taken_for_a_refusal(body: object) -> None:
    """Whatever the class of the status says of itself: it is found out by reading, never simply repeated."""
    answers = {status: _issue(status, body) for status in range(100, 1000) if status != 429}
    assert {status for status, answer in answers.items() if not isinstance(answer, Doubtful)} == set()


@pytest.mark.parametrize("body", UNREADABLE, ids=str)
def test_throttling_leaves_an_enrolment_open_too(body: object) -> None:
    """Whoever counts requests need not know what became of this one; the wait is kept as of a lookup."""
    assert _issue(429, body) == Throttled(None, may_be_applied=True)


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
    """Where the body is not the API's, the status decides; of an enrolment it leaves open what it refuses."""
    assert _page(status, body) == expected
    match expected:
        case Misconfigured(detail):
            in_doubt = Doubtful(FaultKind.MISCONFIGURED, detail)
        case Refused():
            in_doubt = Doubtful(FaultKind.UNPROCESSABLE, "422 HTTP 422 without an error of the API")
        case Unsent(kind, detail) | Doubtful(kind, detail):
            in_doubt = Doubtful(kind, detail)
        case _:
            pytest.fail("no such expectation")
    assert _issue(status, body) == in_doubt


@pytest.mark.parametrize("status", [401, 403])
def test_credentials_refused_leave_an_enrolment_open(status: int) -> None:
    """A firewall answers 403 for what the API has done already: read, then repeat."""
    for body in (HTML, "", _errors(8874), _errors(77)):
        said = f"HTTP {status}: the credentials are refused"
        assert _issue(status, body) == Doubtful(FaultKind.MISCONFIGURED, said)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (401, "why"),
        (403, ""),
        (7, "Invalid access token"),
        (7, "Token has expired"),
        (7, "Unauthorized"),
        (7, "your session has expired"),
        (7, "authentication failed"),
    ],
)
@pytest.mark.parametrize("status", [200, 400])
def test_an_error_that_speaks_of_credentials_is_no_events(status: int, code: int, message: str) -> None:
    """An expired token may be answered 200 with an error body: nothing is rejected for it."""
    body = {"errors": [{"status": False, "code": code, "message": message}]}
    said = f"error {code}: the credentials are refused"
    assert _page(status, body) == Misconfigured(said)
    assert _issue(status, body) == Doubtful(FaultKind.MISCONFIGURED, said)


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (200, 8874, "Invalid access token"),
        (200, 7, "the customer is not authorised for this"),
        (200, 7, "Unexpected token < in JSON at position 0"),
        (500, 7, "Unauthorized"),
    ],
)
def test_errors_that_do_not_speak_of_credentials(status: int, code: int, message: str) -> None:
    """A listed code says what it says, and a server's fault is one."""
    answer = _page(status, {"errors": [{"code": code, "message": message}]})
    assert answer == (
        Refused((Notice(code, message),)) if status == 200 else Doubtful(FaultKind.SERVER_ERROR, "HTTP 500")
    )


@pytest.mark.parametrize("body", [{"message": "authorization status is unavailable"}, "authorisation"])
def test_503_about_authorisation_names_both_remedies(body: object) -> None:
    """It is an outage, and may be the access group for ever."""
    said = (
        "HTTP 503 about authorization: an outage of the API, "
        "or the access group of the API user lacks the endpoint"
    )
    assert _page(503, body) == _issue(503, body) == Doubtful(FaultKind.SERVER_ERROR, said)


@pytest.mark.parametrize("code", [8069, 91009])
def test_a_merged_customer_may_name_its_survivor(code: int) -> None:
    """In the body or in the error; else it is a refusal as others."""
    assert _page(200, _errors(code)) == _issue(200, _errors(code)) == Refused(_notices(code))
    for survivor in ({"survivorCustomerId": "12"}, {"survivorCustomerIdentifiers": {"customerId": 12}}):
        assert _page(200, _errors(code) | survivor) == Refused(_notices(code), survivor_id=12)
        inside = {"errors": [{"code": code, "message": "why"} | survivor]}
        assert _page(200, inside) == Refused(_notices(code), survivor_id=12)


def test_another_customer_than_was_asked_for_is_no_answer() -> None:
    """An answer to somebody else's request; unless it says that the customer was merged into that one."""

    def asked_for(customer_id: int | None, body: object) -> PageAnswer:
        return judge_page(_reply(200, body), NOW, str, customer_id)

    assert asked_for(1, PAGE) == asked_for(None, PAGE) == Page(1, (), None, None)
    said = "a lookup's answer names another customer than was asked for"
    assert asked_for(2, PAGE) == Doubtful(FaultKind.MALFORMED, said)
    assert asked_for(2, PAGE | {"warnings": [_warning(8069)]}) == Page(1, (), None, None)
    assert asked_for(2, PAGE | {"warnings": [_warning(77)]}) == Doubtful(FaultKind.MALFORMED, said)


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
        ({"sideEffects": [EFFECT | {"promotionId": 1, "issualId": 9}]}, NOT_OURS),
        ({"sideEffects": [EFFECT | {"programId": 1}]}, NOT_OURS),
        ({"sideEffects": [{"promotionId": 57099, "issualId": "?"}]}, Issued(None, ())),
        ({"sideEffects": [{"programId": 469, "issualId": 9}]}, NOT_OURS),
        ({"sideEffects": [{}]}, NOT_OURS),
        ({"sideEffects": {}}, Doubtful(FaultKind.MALFORMED, "HTTP 200, no usable body")),
        ({"sideEffects": ["x"]}, NOT_OURS),
        ({"sideEffects": ["x"], **_errors(8874)}, NOT_OURS),
        ({"sideEffects": "x", "warnings": [_warning()]}, NOT_OURS),
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


@pytest.mark.parametrize("entry", [1, {}, {"code": 1}, {"promotionId": 1, "programId": 1}], ids=str)
@pytest.mark.parametrize("name", ["errors", "warnings", "sideEffects", "promotions", "data"])
def test_lists_longer_than_any_real_one_are_not_looked_at(name: str, entry: object) -> None:
    """8 MiB of small entries took half a minute, with the event loop at a standstill."""
    body: dict[str, object] = {"customerId": 1, "pageDetails": {"totalEntries": 1}, name: [entry] * 10_001}
    assert isinstance(_issue(200, body), Doubtful)
    assert isinstance(_page(200, body), Doubtful)
    assert isinstance(judge_list(_reply(200, body), NOW), Doubtful)


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
