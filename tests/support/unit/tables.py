"""A ledger's table of an application that never starts."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import faust

from worker.kafka.topic_identity import Identity
from worker.stream.ledger.guard import LedgerGuard
from worker.stream.ledger.table import LedgerTable


def table_of(
    kind: str,
    folder: Path,
    partitions: int,
    *,
    ends: Callable[[str], object] = lambda _: None,
    owns: Callable[[str, int], bool] = lambda _topic, _partition: True,
    **options: int,
) -> LedgerTable:
    """Return a table with a store of that kind; `ends` hears why its guard ends the process."""
    app = faust.App("group", store=f"{kind}://", datadir=str(folder), autodiscover=False)
    raw: dict[str, Any] = {"key_type": bytes, "value_type": bytes, "options": options}
    guard = LedgerGuard("changelog", Identity(), ends)
    return LedgerTable(app, name="ledger", partitions=partitions, guard=guard, owns=owns, **raw)
