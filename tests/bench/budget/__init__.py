"""What known customers save: requests, minutes under a budget, CPU; and that nobody is missed for it."""

from collections.abc import Callable, Mapping
from typing import Final

from tests.bench.budget.cost import measure_cost
from tests.bench.budget.killed import measure_killed
from tests.bench.budget.memory import measure_memory
from tests.bench.budget.minutes import measure_minutes, measure_minutes_in_full
from tests.bench.budget.opening import measure_opening
from tests.bench.budget.requests import measure_requests
from tests.bench.machine import description
from tests.support.e2e.lab import Lab

Measurement = Callable[[Lab], bool]

_PARTS: Final[Mapping[str, Measurement]] = {
    "budget-requests": measure_requests,
    "budget-minutes": measure_minutes,
    "budget-opening": measure_opening,
    "budget-killed": measure_killed,
    "budget-cost": measure_cost,
    "budget-memory": measure_memory,
}
ALONE: Final[Mapping[str, Measurement]] = {**_PARTS, "budget-full": measure_minutes_in_full}
"""What may be asked for by its own name, and is no measurement of its own without one."""


def measure_budget(lab: Lab) -> bool:
    """Measure each part, and return whether all promises hold."""
    print(description())
    held = {name: measure(lab) for name, measure in _PARTS.items()}
    missed = [name for name, good in held.items() if not good]
    print(f"\nNot as promised: {', '.join(missed) or 'none'}")
    return not missed
