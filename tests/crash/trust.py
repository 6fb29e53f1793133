"""Known customers: the settings that let workers trust what they know, and what they promise with them."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from tests.crash.owed import Promise

_REFRESH_SECONDS: Final = 3.0
_SLACK: Final = timedelta(seconds=3)


def known_customers(trust_seconds: float) -> dict[str, str]:
    """Return the settings of workers that trust for so long what they know, none if they do not."""
    if not trust_seconds:
        return {}
    return {
        "LOOKUP_TRUST_SECONDS": f"{trust_seconds:g}",
        "CATALOGUE_REFRESH_SECONDS": f"{_REFRESH_SECONDS:g}",
    }


def promise_of(trust_seconds: float, standstills: Sequence[datetime] = ()) -> Promise | None:
    """Return what such workers promise, which stood still until those times; None if nothing is trusted."""
    if not trust_seconds:
        return None
    return Promise(
        alone=timedelta(seconds=trust_seconds),
        all=timedelta(seconds=_REFRESH_SECONDS),
        slack=_SLACK,
        standstills=standstills,
    )
