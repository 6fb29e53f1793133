"""What the OTEL_* variables lead to, and that nothing is paid for what is off."""

import subprocess
import sys
import threading
import time
from collections.abc import Mapping

import pytest

from worker.telemetry.export import BadVariable, Export, start_export

_HTTP = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}


_OFF: tuple[Mapping[str, str], ...] = (
    {},
    {"OTEL_SERVICE_NAME": "named"},
    {"OTEL_EXPORTER_OTLP_ENDPOINT": " "},
    _HTTP | {"OTEL_SDK_DISABLED": "true"},
    _HTTP | {"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none"},
)


def test_nothing_is_loaded_where_nothing_is_sent() -> None:
    """Without an endpoint, or switched off, a worker must not even import the SDK, nor gRPC."""
    unwanted = ("opentelemetry.sdk", "opentelemetry.exporter", "grpc")
    script = (
        "import sys, worker.composition.worker\n"
        "from worker.telemetry.export import start_export\n"
        f"for environ in {_OFF!r}: start_export('1', environ)\n"
        f"print([module for module in sys.modules if module.startswith({unwanted!r})])"
    )
    command = [sys.executable, "-c", script]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - our own interpreter
    assert ran.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("environ", "line"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER is 'zipkin'; set it to otlp or none"),
        (
            _HTTP | {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"},
            "OTEL_EXPORTER_OTLP_PROTOCOL is 'http/json'; set it to grpc or http/protobuf",
        ),
        (
            _HTTP | {"OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": "tcp", "OTEL_TRACES_EXPORTER": "none"},
            "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL is 'tcp'; set it to grpc or http/protobuf",
        ),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318"},
            "OTEL_EXPORTER_OTLP_ENDPOINT is no URL; it begins with http:// or https://",
        ),
    ],
)
def test_what_the_worker_has_not_is_refused(environ: Mapping[str, str], line: str) -> None:
    """One line names the variable and the remedy."""
    with pytest.raises(BadVariable) as refused:
        start_export("1", environ)
    assert str(refused.value) == line


def test_closing_does_not_wait_for_ever() -> None:
    """A collector that does not answer must not keep a stopped worker."""
    never = threading.Event()
    began = time.monotonic()
    assert not Export((never.wait, never.wait)).close(seconds=0.1)
    assert time.monotonic() - began < 2
    never.set()


def test_closing_sends_what_is_left() -> None:
    """Everything that was set up is closed before the process goes on to its end."""
    closed: list[str] = []
    assert Export((lambda: closed.append("spans"), lambda: closed.append("metrics"))).close()
    assert sorted(closed) == ["metrics", "spans"]
    assert Export(()).close()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "abc"),
    ],
)
def test_what_the_sdk_refuses_is_one_line(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """Its own exceptions would be a traceback for a wrong setting."""
    given = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", name: value}
    for each, text in given.items():
        monkeypatch.setenv(each, text)
    with pytest.raises(BadVariable) as refused:
        start_export("1.0", given)
    assert str(refused.value).startswith("OpenTelemetry refuses one of the OTEL_* variables: ")
    assert "\n" not in str(refused.value)
