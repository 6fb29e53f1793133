"""Takes back what OpenTelemetry's auto-instrumentation does to our clients before our first line runs.

`opentelemetry-instrument`, or an operator's injection, patches the clients of HTTP and Kafka. Its spans would
double ours, hold customers' identifiers (whole addresses, keys of records), and put a second `traceparent` on
what we send. Its spans of other parts, its providers and its exporters stay.
"""

import sys
from typing import Final

_PACKAGE: Final = "opentelemetry.instrumentation"
_OF_OUR_CLIENTS: Final = ("aiohttp_client", "aiokafka", "httpx")


def take_back() -> tuple[str, ...]:
    """Take the patches of our clients back; return which there were. Clients made before keep theirs."""
    return tuple(name for name in _OF_OUR_CLIENTS if _take_back(f"{_PACKAGE}.{name}"))


def _take_back(module: str) -> bool:
    # Who patched has imported it; an import of ours would make it a dependency.
    if module not in sys.modules:
        return False
    kinds = [
        kind
        for name, kind in vars(sys.modules[module]).items()
        if name.endswith("Instrumentor") and kind.__module__ == module
    ]
    active = [each for each in (kind() for kind in kinds) if each.is_instrumented_by_opentelemetry]
    for each in active:
        each.uninstrument()
    return bool(active)
