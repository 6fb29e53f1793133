"""The jars of Apache Kafka, from Maven Central, cached for the user and checked against `kafka.lock`.

To move to another version: `python -m worker.demo.kafka_jars VERSION >kafka.lock.new`, read the difference,
and put it in the place of `kafka.lock`.
"""

import hashlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from worker.demo.errors import BrokerUnavailable

LOCK_FILE = Path(__file__).with_name("kafka.lock")
_KAFKA = "org.apache.kafka:kafka_2.13"
# Kafka logs through slf4j 1.7 and ships log4j 2; its POM leaves out what joins them.
_LOG_BINDING = "org.apache.logging.log4j:log4j-slf4j-impl"
_LOG_BINDING_FOLLOWS = "org.apache.logging.log4j:log4j-core"
_DOWNLOADS_AT_ONCE = 8
_STALE_SECONDS = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Jar:
    """A pinned jar: Maven coordinates `group:artifact:version`, size in bytes, SHA-256 in hex."""

    sha256: str
    size: int
    coordinates: str

    @property
    def file_name(self) -> str:
        """The name in the cache, and in Maven repositories."""
        _, artifact, version = self.coordinates.split(":")
        return f"{artifact}-{version}.jar"


def read_lock(text: str) -> tuple[Jar, ...]:
    """Parse the lock file: per line SHA-256, bytes and coordinates; `#` starts a comment line."""
    rows = (line.split() for line in text.splitlines() if line and not line.startswith("#"))
    return tuple(Jar(sha256, int(size), coordinates) for sha256, size, coordinates in rows)


def kafka_version(jars: Iterable[Jar]) -> str:
    """Return the version of Apache Kafka among the pinned jars."""
    return next(jar.coordinates for jar in jars if jar.coordinates.startswith(f"{_KAFKA}:")).rpartition(":")[
        2
    ]


def cache_folder() -> Path:
    """Return the folder of cached jars: below XDG_CACHE_HOME, else below ~/.cache."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "enrolment-worker" / "kafka-jars"


def kafka_jars(
    jars: tuple[Jar, ...],
    cache: Path,
    fetch: Callable[[Jar, Path], Path] | None = None,
    progress: Callable[[str], None] = lambda _line: None,
) -> tuple[Path, ...]:
    """Return the jars' paths in the cache, after downloading those that are missing or damaged (blocks).

    Every returned file has been checked against its pinned hash. Several processes may do this at once: a
    file enters the cache by an atomic rename. Raises `BrokerUnavailable`.
    """
    missing = [jar for jar in jars if not _is_intact(cache / jar.file_name, jar)]
    if missing:
        megabytes = sum(jar.size for jar in missing) / 1e6
        progress(f"downloading Apache Kafka {kafka_version(jars)}: {len(missing)} jars, {megabytes:.0f} MB")
        try:
            _download(missing, cache, fetch or fetch_from_maven)
        except (OSError, RuntimeError) as error:
            raise BrokerUnavailable(
                f"Apache Kafka's jars cannot be downloaded from Maven Central ({type(error).__name__})"
            ) from error
    return tuple(cache / jar.file_name for jar in jars)


def fetch_from_maven(jar: Jar, folder: Path) -> Path:
    """Download one jar into a folder; a mirror may stand as `central` in `[repositories]` of jgo.conf."""
    try:
        # Slow to import, and not installed without the demo extra.
        from jgo.config import GlobalSettings  # noqa: PLC0415
        from jgo.constants import MAVEN_CENTRAL_URL  # noqa: PLC0415
        from jgo.maven import MavenContext  # noqa: PLC0415
    except ImportError:
        raise BrokerUnavailable("jgo is missing: pip install 'enrolment-worker[demo]'") from None
    repositories = {"central": MAVEN_CENTRAL_URL} | GlobalSettings.load().repositories
    context = MavenContext(repo_cache=folder, remote_repos=repositories, timeout=30)
    group, artifact, version = jar.coordinates.split(":")
    return Path(context.project(group, artifact).at_version(version).artifact().resolve())


def _is_intact(path: Path, jar: Jar) -> bool:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == jar.sha256
    except FileNotFoundError:
        return False


def _download(jars: list[Jar], cache: Path, fetch: Callable[[Jar, Path], Path]) -> None:
    cache.mkdir(parents=True, exist_ok=True)
    _remove_stale(cache)

    def download(jar: Jar) -> None:
        path = fetch(jar, Path(staging))
        if not _is_intact(path, jar):
            raise BrokerUnavailable(f"{jar.file_name} as downloaded differs from its pinned SHA-256")
        path.replace(cache / jar.file_name)

    with (
        tempfile.TemporaryDirectory(prefix="download-", dir=cache) as staging,
        ThreadPoolExecutor(_DOWNLOADS_AT_ONCE) as pool,
    ):
        try:
            for _ in pool.map(download, jars):
                pass
        finally:
            pool.shutdown(cancel_futures=True)


def _remove_stale(cache: Path) -> None:
    """Remove what a killed download left behind."""
    for folder in cache.glob("download-*"):
        try:
            stale = time.time() - folder.stat().st_mtime > _STALE_SECONDS
        except FileNotFoundError:
            continue
        if stale:
            shutil.rmtree(folder, ignore_errors=True)


def _lock_lines(version: str) -> Iterator[str]:
    """Resolve that version with everything it needs at run time and give the lines of its lock file."""
    import jgo  # noqa: PLC0415 - see fetch_from_maven

    found = [f"{a.groupId}:{a.artifactId}:{a.version}" for a in jgo.resolve(f"{_KAFKA}:{version}")]
    log_version = next(c for c in found if c.startswith(f"{_LOG_BINDING_FOLLOWS}:")).rpartition(":")[2]
    yield f"# Apache Kafka {version}: SHA-256, bytes, coordinates. Made by worker/demo/kafka_jars.py."
    with tempfile.TemporaryDirectory() as folder:
        for coordinates in sorted([*found, f"{_LOG_BINDING}:{log_version}"]):
            content = fetch_from_maven(Jar("", 0, coordinates), Path(folder)).read_bytes()
            yield f"{hashlib.sha256(content).hexdigest()} {len(content)} {coordinates}"


if __name__ == "__main__":
    sys.stdout.writelines(f"{line}\n" for line in _lock_lines(sys.argv[1]))
