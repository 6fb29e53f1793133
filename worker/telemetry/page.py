"""The page that documents every metric, made from their declarations: `make docs` writes it."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from worker.telemetry.instruments import LABELS, METRICS, SEMANTIC_METRICS

_PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"

_HEAD: Final = """\
# Metrics

Made by `make docs` from `worker/telemetry/instruments.py`, where every metric is declared.

## On /metrics

In Prometheus' text format; in OpenMetrics, with exemplars that lead to traces, for a scraper that
accepts it (Prometheus keeps them with `--enable-feature=exemplar-storage`). A histogram `x` shows as
`x_bucket`, `x_sum` and `x_count`.
"""
_LABELS_HEAD: Final = """
Labels are bounded: no id of a customer, promotion or event is ever one.
"""
_SEMANTIC_HEAD: Final = """
## By OTLP

After OpenTelemetry's semantic conventions, sent if `OTEL_EXPORTER_OTLP_ENDPOINT` or
`OTEL_EXPORTER_OTLP_METRICS_ENDPOINT` is set and `OTEL_METRICS_EXPORTER` is not `none`.
"""


def metrics_page() -> str:
    """Return the page, as Markdown."""
    return "\n".join(
        [
            _HEAD,
            *_table(("name", "kind", "labels", "what"), _prometheus_rows()),
            _LABELS_HEAD,
            *_table(("label", "values"), ((f"`{label}`", values) for label, values in LABELS.items())),
            _SEMANTIC_HEAD,
            *_table(("name", "kind", "unit", "attributes", "what"), _semantic_rows()),
            "",
        ]
    )


def _prometheus_rows() -> Iterator[tuple[str, ...]]:
    for metric in METRICS:
        yield f"`{metric.name}`", metric.kind, _code(metric.labels), metric.help


def _semantic_rows() -> Iterator[tuple[str, ...]]:
    for metric in SEMANTIC_METRICS:
        yield f"`{metric.name}`", metric.kind, metric.unit, _code(metric.attributes), metric.help


def _code(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    for row in (head, ("---",) * len(head), *rows):
        yield f"| {' | '.join(row)} |"


if __name__ == "__main__":
    _PAGE.write_text(metrics_page(), encoding="utf-8")
