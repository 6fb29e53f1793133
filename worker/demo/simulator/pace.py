"""How long answers take, and how many are given a minute."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime
    from random import Random

_DURATION: Final = r"(\d+(?:\.\d+)?)(ms|s)?"
_FIXED: Final = re.compile(_DURATION)
_RANGE: Final = re.compile(rf"{_DURATION}\.\.{_DURATION}")
_SHAPED: Final = re.compile(rf"(exp|lognormal):{_DURATION}")
_LOGNORMAL_SIGMA: Final = 0.6
_LONGEST_TIMES_MEAN: Final = 10


@dataclass(frozen=True, slots=True)
class Latency:
    """A distribution of seconds: evenly from `low` to `high`, or shaped around the mean `low`."""

    low: float
    high: float
    shape: str = ""
    text: str = "0ms"

    @classmethod
    def parse(cls, text: str) -> Latency:
        """Read `100ms`, `50ms..200ms`, `exp:80ms` or `lognormal:80ms` (`s` for seconds; none: ms).

        The shaped ones give means, and are cut off at ten times the mean. Raises ValueError.
        """
        compact = text.replace(" ", "")
        if match := _SHAPED.fullmatch(compact):
            mean = _seconds(*match.group(2, 3))
            return cls(mean, mean, match[1], compact)
        if match := _RANGE.fullmatch(compact):
            low, high = _seconds(*match.group(1, 2)), _seconds(*match.group(3, 4))
            if low > high:
                raise ValueError(f"latency {text!r} runs backwards")
            return cls(low, high, "", compact)
        if match := _FIXED.fullmatch(compact):
            fixed = _seconds(*match.group(1, 2))
            return cls(fixed, fixed, "", compact)
        raise ValueError(f"latency {text!r} is none of 100ms, 50ms..200ms, exp:80ms, lognormal:80ms")

    def sample(self, rng: Random) -> float:
        """Draw seconds to wait."""
        if not self.high:
            return 0.0
        if self.shape == "exp":
            return min(rng.expovariate(1 / self.low), self.low * _LONGEST_TIMES_MEAN)
        if self.shape == "lognormal":
            middle = math.log(self.low) - _LOGNORMAL_SIGMA**2 / 2
            return min(rng.lognormvariate(middle, _LOGNORMAL_SIGMA), self.low * _LONGEST_TIMES_MEAN)
        return rng.uniform(self.low, self.high)


class Throttle:
    """A limit of requests per window, shared by every caller; a window opens with its first request."""

    def __init__(self, requests: int = 0, window: timedelta = timedelta(minutes=1)) -> None:
        """Allow that many requests per window; 0 allows any number."""
        self.requests: Final = requests
        self.window: Final = window
        self._opened: datetime | None = None
        self._used = 0

    def refused_until(self, now: datetime) -> datetime | None:
        """Spend one request; return when the next window opens if none was left."""
        if not self.requests:
            return None
        if self._opened is None or now >= self._opened + self.window:
            self._opened, self._used = now, 0
        if self._used >= self.requests:
            return self._opened + self.window
        self._used += 1
        return None


def _seconds(number: str, unit: str | None) -> float:
    return float(number) if unit == "s" else float(number) / 1000
