"""The table of faults."""

import pytest

from worker.domain.answers import Doubtful, Fault, FaultKind, Misconfigured, Throttled, Unsent
from worker.domain.faults import DOUBTFUL, UNSENT, is_ours, treatment

LIMITLESS = [Unsent(FaultKind.NOT_CONNECTED, "?"), Unsent(FaultKind.WITHHELD, "?"), Throttled(None)]
NOT_THE_API = [
    Unsent(FaultKind.WITHHELD, "?"),
    Throttled(None),
    Unsent(FaultKind.BUSY, "?"),
    Doubtful(FaultKind.UNPROCESSABLE, "?"),
]
OURS = [
    Misconfigured("?"),
    Doubtful(FaultKind.MISCONFIGURED, "?"),
    Doubtful(FaultKind.INTERNAL, "?"),
    Unsent(FaultKind.INTERNAL, "?"),
]
FAULTS = [
    *(Doubtful(kind, "?") for kind in FaultKind),
    *(Unsent(kind, "?") for kind in FaultKind),
    Throttled(None),
    Misconfigured("?"),
]


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_every_fault_has_its_row(fault: Fault) -> None:
    """A doubtful request is found out; what reached nobody never gives up; throttling is no failure."""
    row = treatment(fault)

    assert row.may_be_applied == isinstance(fault, Doubtful)
    assert row.gives_up == (fault not in LIMITLESS)
    assert row.counts == (fault not in NOT_THE_API)
    assert row.by_configuration == is_ours(fault) == (fault in OURS)


def test_every_kind_is_in_the_table() -> None:
    """Each kind of fault stands in the half that it belongs to; nothing falls through to a default there."""
    assert set(DOUBTFUL) | set(UNSENT) == set(FaultKind)
