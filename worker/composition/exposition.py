"""What /metrics shows: what was counted, and what is asked of the parts when somebody looks."""

from worker.ledger.read_only import NoLedger
from worker.resilience.gate import ApiGate
from worker.stream.app import Stream
from worker.stream.health.head_watch import HeadWatch
from worker.stream.health.status import Status
from worker.stream.ledger.by_partition import FaustLedger
from worker.stream.ledger.follower import LedgerFollower
from worker.telemetry.metrics import Metrics


def exposition(
    metrics: Metrics,
    accept: str,
    *,
    stream: Stream,
    status: Status,
    heads: HeadWatch,
    ledger: FaustLedger | LedgerFollower | NoLedger,
    gate: ApiGate,
) -> tuple[bytes, str]:
    """Return the metrics as they are now, and their media type."""
    metrics.api_limit.set(gate.limit)
    metrics.api_pace.set(gate.requests_per_second)
    metrics.api_budget_used.set(gate.budget_used)
    metrics.api_waiting.set(gate.waiting)
    metrics.in_flight.set(stream.flow.in_flight)
    metrics.ledger_entries.set(ledger.entries())
    lags = {partition: head.lag for partition, head in status.heads().items()}
    metrics.partitions(lags, heads.lag_seconds(), heads.blocked_seconds())
    return metrics.exposition(accept)
