"""How much may be on hand."""

from worker.stream.delivery.room import Bounds, Room

ONE, OTHER = ("activity", 0), ("activity", 1)


def test_live_events_and_a_backlog_have_rooms_of_their_own() -> None:
    """One that is full leaves the other as it is."""
    room = Room(Bounds(2, 1, backlog=2))
    for _ in range(2):
        room.take(ONE, 1, is_backlog=True)
    assert not room.has(ONE, is_backlog=True)
    for _ in range(3):
        assert room.has(ONE, is_backlog=False)
        room.take(ONE, 1, is_backlog=False)
    assert not room.has(ONE, is_backlog=False)
    assert room.on_hand == 5
    room.give_back(ONE, 1, is_backlog=True)
    assert room.has(ONE, is_backlog=True)
    assert not room.has(ONE, is_backlog=False)


def test_a_partition_may_have_a_few_old_events_whatever_others_have() -> None:
    """A single late event must not stop it because another partition lags."""
    room = Room(Bounds(backlog=128))
    for _ in range(128):
        room.take(ONE, 1, is_backlog=True)
    for _ in range(2):
        assert room.has(OTHER, is_backlog=True)
        room.take(OTHER, 1, is_backlog=True)
    assert not room.has(OTHER, is_backlog=True)
    assert not room.has(ONE, is_backlog=True)


def test_a_backlog_has_half_of_the_octets() -> None:
    """All together have all of them, or are a single event."""
    room = Room(Bounds(octets=100))
    room.take(ONE, 49, is_backlog=True)
    assert room.has(ONE, is_backlog=True)
    room.take(ONE, 1, is_backlog=True)
    assert not room.has(ONE, is_backlog=True)
    assert room.has(ONE, is_backlog=False)
    room.take(ONE, 500, is_backlog=False)
    room.give_back(ONE, 50, is_backlog=True)
    assert not room.has(ONE, is_backlog=False)
    assert not room.has(ONE, is_backlog=True)
    room.give_back(ONE, 500, is_backlog=False)
    assert room.has(ONE, is_backlog=True)


def test_a_backlog_fills_its_room_before_it_is_full() -> None:
    """By events or by octets, of a partition that has more than a few of them."""
    room = Room(Bounds(octets=800, backlog=128))
    for _ in range(95):
        room.take(ONE, 1, is_backlog=True)
    assert not room.is_filled(ONE)
    room.take(ONE, 1, is_backlog=True)
    assert [room.is_filled(each) for each in (ONE, OTHER)] == [True, False]
    assert room.has(ONE, is_backlog=True)
    room.take(OTHER, 204, is_backlog=True)
    assert [room.is_filled(each) for each in (ONE, OTHER)] == [True, True]
    assert room.has(ONE, is_backlog=True)
