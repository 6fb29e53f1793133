"""Which organisations have standings, found without reading every entry."""

from pathlib import Path
from typing import Any, cast

import pytest

from tests.support.unit.tables import table_of
from worker.stream.ledger.standing_orgs import StandingOrganisations

_ORGS = {0, 1, 18, 180, 1800, 2}


@pytest.mark.parametrize("kind", ["memory", "rocksdb"])
def test_every_organisation_is_found(kind: str, tmp_path: Path) -> None:
    """Those of the partition alone; what is like a standing and is none is passed over."""
    table = table_of(kind, tmp_path, 2)
    store = cast("Any", table.data)

    def put(partition: int, key: bytes) -> None:
        if kind == "rocksdb":
            store._db_for_partition(partition).put(key, b"{}")
        else:
            store.data[key] = b"{}"
            store._key_partition[key] = partition

    for org in _ORGS:
        for customer in range(20):
            put(0, b"standing/%d/%d/469/57099" % (org, customer))
    for other in (b"plan/evt", b"result/1/2/evt", b"standing/x/1/1/1", b"standing/3", b"standings/4/1/1/1"):
        put(0, other)
    put(1, b"standing/5/1/2/3")
    found = StandingOrganisations(table)
    assert found.of(0, 1) == _ORGS
    assert found.of(1, 1) == {5}
    found.written(1, 6)
    put(1, b"standing/6/1/2/3")
    assert found.of(1, 1) == {5, 6}
    assert found.of(1, 2) == {5, 6}
    store.reset_state()
