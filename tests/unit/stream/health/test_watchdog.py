"""A worker that has work and does not get on with it is stuck; one that waits out an outage is not."""

from worker.stream.health.watchdog import Blockage, Pulse, Watch


class Timer:
    """Seconds that a test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def pulse(
    *,
    finished: int = 0,
    progress: int = 0,
    recovered: int = 0,
    has_work: bool = True,
    silent: float = 0,
    event: float = 0,
    unattended: int | None = None,
) -> Pulse:
    """Return a pulse that says nothing unusual."""
    marks = {} if unattended is None else {("customer-activity", 0): unattended}
    return Pulse(
        finished=finished,
        progress=progress,
        recovered=recovered,
        has_work=has_work,
        silent_seconds=silent,
        event_seconds=event,
        unattended=marks,
    )


def test_work_without_progress_is_first_not_live_and_then_stuck() -> None:
    """Half of the patience makes the probe fail, all of it ends the process."""
    timer = Timer()
    watch = Watch(patience=90, silence=300, timer=timer)
    seen = []
    for timer.now in (0.0, 44.0, 45.0, 89.0, 90.0):
        seen.append((watch.stuck(pulse()) is not None, watch.flaw() is None))

    assert seen == [(False, True), (False, True), (False, False), (False, False), (True, False)]


def test_any_sign_of_progress_begins_the_patience_anew() -> None:
    """A finished event, an answered or repeated request, and a ledger that is read back all count."""
    timer = Timer()
    watch = Watch(patience=90, silence=300, timer=timer)
    for step, sign in enumerate((pulse(), pulse(finished=1), pulse(progress=1), pulse(recovered=1))):
        timer.now = step * 80.0
        assert watch.stuck(sign) is None
        assert watch.flaw() is None


def test_idling_is_not_being_stuck() -> None:
    """Without work there is nothing to get on with, and the patience begins when there is."""
    timer = Timer()
    watch = Watch(patience=90, silence=300, timer=timer)
    assert watch.stuck(pulse(has_work=False)) is None
    timer.now = 1000.0
    assert watch.stuck(pulse(has_work=False)) is None
    timer.now = 1001.0
    assert watch.stuck(pulse()) is None


def test_a_group_that_does_not_answer_is_reason_enough() -> None:
    """Faust can sit without partitions and without an error: the coordinator's silence tells."""
    watch = Watch(patience=90, silence=300, timer=Timer())

    seen = [
        (watch.stuck(pulse(has_work=False, silent=silent)), watch.flaw() is None) for silent in (149, 299)
    ]
    assert seen == [(None, True), (None, False)]
    assert watch.stuck(pulse(has_work=False, silent=300)) == "no answer of the group's coordinator for 300 s"


def test_one_hung_event_is_noticed_however_much_gets_on_beside_it() -> None:
    """After ten times the patience, and first the probe fails."""
    watch = Watch(patience=90, silence=300, timer=Timer())

    seen = [
        (watch.stuck(pulse(finished=int(silent), event=silent)) is not None, watch.flaw() is None)
        for silent in (0.0, 449.0, 450.0, 899.0, 900.0)
    ]
    assert seen == [(False, True), (False, True), (False, False), (False, False), (True, False)]


def test_an_event_that_nobody_gets_to_is_noticed_by_its_partitions_watermark() -> None:
    """It got lost within the process; a watermark that moves begins the time anew."""
    timer = Timer()
    watch = Watch(patience=90, silence=300, timer=timer)
    for minute in range(60):
        timer.now = 60.0 * minute
        assert watch.stuck(pulse(finished=minute, unattended=minute // 5)) is None
        assert watch.flaw() is None
    since, seen = timer.now, []
    for after in (0.0, 449.0, 450.0, 899.0, 900.0):
        timer.now = since + after
        seen.append(
            (watch.stuck(pulse(finished=int(timer.now), unattended=99)) is not None, watch.flaw() is None)
        )
    assert seen == [(False, True), (False, True), (False, False), (False, False), (True, False)]


def test_an_event_loop_that_is_blocked_is_noticed_from_outside() -> None:
    """By the thread's own looks: a process that was frozen as a whole has made none meanwhile."""
    blockage = Blockage(patience=3)
    assert [blockage.stuck(), blockage.stuck()] == [None, None]
    blockage.turned()
    assert [blockage.stuck(), blockage.stuck()] == [None, None]
    assert blockage.stuck() == "the event loop is blocked for 3 s"
