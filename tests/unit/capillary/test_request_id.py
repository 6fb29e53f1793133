"""What Capillary traces a request by: read from an answer's head, and fit to be told."""

import httpx
import pytest

from worker.capillary.reply import Reply

ID = "a63f9c30427bd4ce9843d599df00cef7"
"""As samples of the API's answers have it."""


@pytest.mark.parametrize("told", [ID, "4d2f5d6e-9d7c-4d7e-8a57-000000000001", "x", "a" * 128, f" {ID} "])
def test_fit_to_be_told(told: str) -> None:
    """Ids in any of the usual forms are told as they came."""
    assert Reply(200, httpx.Headers({"X-Cap-Request-ID": told}), b"").request_id == told.strip()


@pytest.mark.parametrize(
    "told",
    [
        "",
        " ",
        "a" * 129,
        "two words",
        "line\nbreak",
        "\x1b[31mred",
        '{"level":"error"}',
        "<script>",
        "jane@example.com",
        "919845012345",
        "+919845012345",
        "é",
        "a\u2028b",
    ],
)
def test_not_fit_to_be_told(told: str) -> None:
    """What could break a line, has no end, or could name a person is as if nothing had been told."""
    assert Reply(200, {"x-cap-request-id": told}, b"").request_id is None


def test_none_and_several() -> None:
    """Of several headers, which a proxy may join into one, the first counts."""
    assert Reply(200, httpx.Headers(), b"").request_id is None
    assert (
        Reply(200, httpx.Headers([("x-cap-request-id", ID), ("X-CAP-REQUEST-ID", "2")]), b"").request_id == ID
    )
