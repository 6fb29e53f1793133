"""A customer's entries in a promotion, read as one and replaced as one."""

from datetime import timedelta
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from tests.support.use_case.values import NOW
from worker.domain.evidence import Evidence
from worker.domain.ledger import UNKNOWN, Attempt, Enrolment, Limit, Standing
from worker.domain.limits import LimitReason
from worker.domain.settlement import Subject
from worker.ledger import format as ledger_format
from worker.ledger.entries import StandingEntry
from worker.ledger.standings import entries_of, standing_of

_NAMES: Final = st.sampled_from("abc")
_TIMES: Final = st.integers(0, 9).map(lambda day: NOW + timedelta(day))
_STANDINGS: Final = st.builds(
    Standing,
    st.none()
    | st.builds(
        Enrolment,
        key=_NAMES,
        event_id=_NAMES,
        attempts=st.just(1),
        enrolment_id=st.none(),
        settled_at=st.none() | _TIMES,
    ),
    st.none() | st.builds(Limit, _TIMES, st.just(LimitReason.CUSTOMER_LIMIT)),
    st.integers(0, 2),
    st.none() | st.builds(Attempt, event_id=_NAMES, key=_NAMES, number=st.just(1), noted=st.just(Evidence())),
)
_LEDGERS: Final = st.dictionaries(st.sampled_from([0, 7, 8]), _STANDINGS, max_size=3)


class _Ledger:
    """Entries of one customer in one promotion."""

    def __init__(self, entries: dict[int, Standing]) -> None:
        self.entries: dict[bytes, bytes] = {}
        self.orgs = frozenset(entries)
        for org, standing in entries.items():
            self.keep(StandingEntry(5, _subject(org), standing))

    def keep(self, *entries: StandingEntry) -> None:
        """Write them as they are."""
        self.entries |= dict(ledger_format.write(each, None) for each in entries)

    def read(self, org: int) -> Standing:
        """Return what is known, for an event of that organisation."""
        return standing_of(self.entries.get, self.orgs, 5, _subject(org))

    def write(self, org: int, standing: Standing) -> None:
        """Write it for an event of that organisation."""
        self.keep(*entries_of(self.entries.get, self.orgs, StandingEntry(5, _subject(org), standing)))
        self.orgs |= {org}


def _subject(org: int) -> Subject:
    return Subject(promotion_id=1, program_id=2, name="promotion", org_id=org)


@given(_LEDGERS, st.sampled_from([0, 7, 8, 9]), st.sampled_from([0, 7, 8, 9]), _STANDINGS)
def test_what_is_written_is_what_is_read(
    known: dict[int, Standing], writer: int, reader: int, standing: Standing
) -> None:
    """Under whatever organisation it is read; but an attempt nobody has settled stays to be settled."""
    ledger = _Ledger(known)
    settled = ledger.read(writer).attempt
    others = {
        (each.attempt.event_id, each.attempt.key)
        for org, each in known.items()
        if org != writer and each.attempt is not None
    } - {settled and (settled.event_id, settled.key)}
    ledger.write(writer, Standing(standing.enrolment, standing.limit, standing.settled_limits))
    left = set()
    while (attempt := ledger.read(reader).attempt) is not None:
        left.add((attempt.event_id, attempt.key))
        seen = ledger.read(reader)
        ledger.write(reader, Standing(seen.enrolment, seen.limit, seen.settled_limits))
    assert left == others
    assert ledger.read(reader) == Standing(standing.enrolment, standing.limit, standing.settled_limits)
    live = [value for value in map(ledger_format.read_standing, ledger.entries.values()) if value != UNKNOWN]
    assert len(live) <= 1


@given(_LEDGERS, st.sampled_from([0, 7, 8]))
def test_no_enrolment_and_no_attempt_is_forgotten(known: dict[int, Standing], reader: int) -> None:
    """Whatever an earlier release wrote, beside each other under several organisations."""
    seen = _Ledger(known).read(reader)
    keys = {each.enrolment.key for each in known.values() if each.enrolment is not None}
    assert (seen.enrolment is None) == (not keys)
    if seen.enrolment is not None:
        times = [each.enrolment.settled_at for each in known.values() if each.enrolment is not None]
        assert seen.enrolment.key in keys
        assert seen.enrolment.settled_at == max(filter(None, times), default=None)
    assert (seen.attempt is None) == all(each.attempt is None for each in known.values())
    assert seen.settled_limits == max((each.settled_limits for each in known.values()), default=0)
    since = [each.limit.since for each in known.values() if each.limit is not None]
    assert (seen.limit.since if seen.limit else None) == max(since, default=None)
