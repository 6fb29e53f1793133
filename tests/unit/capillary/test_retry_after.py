"""How long a 429 asks to wait."""

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from worker.capillary.retry_after import retry_after

NOW = datetime(2026, 1, 31, 10, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"retry-after": "7"}, 7),
        ({"retry-after": " 0 "}, 0),
        ({"retry-after": "86400"}, 3600),
        ({"retry-after": "Sat, 31 Jan 2026 10:02:00 GMT"}, 120),
        ({"retry-after": "Sat, 31 Jan 2026 15:31:00 +0530"}, 60),
        ({"retry-after": "Sat, 31 Jan 2026 10:00:09 -0000"}, 9),
        ({"retry-after": "Sat, 31 Jan 2026 09:00:00 GMT"}, 0),
        ({"retry-after": "Fri, 31 Dec 9999 23:59:59 GMT"}, 3600),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "9" * 5000}, None),
        ({"retry-after": "²"}, None),
        ({"retry-after": ""}, None),
        ({}, None),
        ({"ratelimit": "limit=100, remaining=0, reset=30"}, 30),
        ({"ratelimit": '"default";r=0;t=12'}, 12),
        ({"ratelimit": '"default";r=0', "ratelimit-reset": "9"}, 9),
        ({"ratelimit-reset": "1769853600"}, None),
        ({"retry-after": "soon", "ratelimit-reset": "9"}, 9),
        ({"retry-after": "3", "ratelimit-reset": "9"}, 3),
    ],
)
def test_waits(headers: Mapping[str, str], expected: float | None) -> None:
    """Seconds, dates and the drafts' headers are read, capped at an hour; garbage is as if absent."""
    assert retry_after(headers, NOW) == expected
