"""What the worker adds to the API's time at half of its maximum load, beside the bare loop at half of its."""

from statistics import quantiles
from typing import Final

from tests.bench.api import Api, running_api
from tests.bench.compare import BARE_AT_LOAD, LATENCY_SECONDS, OURS_AT_LOAD
from tests.bench.contest import Contest, Contestant
from tests.bench.machine import description
from tests.support.e2e.lab import Lab

_SECONDS: Final = 20.0
_REQUESTS: Final = 2
_PROMISED_MS: Final = 50.0


def measure_latency(lab: Lab) -> bool:
    """Print p50 and p99 of what is added, for each; return whether the worker's p99 is as promised."""
    print(description())
    with running_api(lab, LATENCY_SECONDS) as api:
        p99 = [_added(lab, api, contestant) for contestant in (OURS_AT_LOAD, BARE_AT_LOAD)]
    return p99[0] <= _PROMISED_MS


def _added(lab: Lab, api: Api, contestant: Contestant) -> float:
    """Print what is added from producing an event to reading its outcome; return p99 in milliseconds."""
    with Contest(lab, api, contestant).running() as contest:
        most = contest.run().rate
        took = contest.pace(most / 2, _SECONDS)
    added = [1000 * (seconds - _REQUESTS * api.latency_seconds) for seconds in took]
    centiles = quantiles(added, n=100)
    print(
        f"{contestant.name}: {most / 2:.0f} events/s (half of {most:.0f}), {len(added):,} events: "
        f"p50 {centiles[49]:.1f} ms, p99 {centiles[98]:.1f} ms, most {max(added):.1f} ms",
        flush=True,
    )
    return centiles[98]
