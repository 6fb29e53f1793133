"""What the consumer makes of the numbers that a fetch tells."""

from types import SimpleNamespace

import pytest
from faust.types import TP

from worker.stream.driver.consumer import ConsumerThread

AT = TP("activity", 0)


class Thread(ConsumerThread):
    """A consumer's thread that never ran, with one partition."""

    def __init__(self, lso: int | None, highwater: int | None) -> None:
        self.told = SimpleNamespace(lso=lso, highwater=highwater, position=0, has_valid_position=True)

    def _state(self, tp: TP) -> SimpleNamespace | None:
        return self.told if tp == AT else None


@pytest.mark.parametrize(
    ("lso", "highwater", "end"),
    [
        (None, None, 0),
        (None, 7, 7),
        (5, 7, 5),
        # An open transaction that begins with the log.
        (0, 300, 0),
        # A broker that tells none.
        (-1, 7, 7),
    ],
)
def test_a_partition_can_be_read_to_its_first_open_transaction(
    lso: int | None, highwater: int | None, end: int
) -> None:
    """What lies behind it is no work that could be got on with."""
    assert Thread(lso, highwater).end_of(AT) == end
    assert Thread(lso, highwater).end_of(TP("another", 0)) == 0
