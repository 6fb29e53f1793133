"""The cache of jars holds only what the lock file pins."""

import hashlib
from pathlib import Path

import pytest

from worker.demo.errors import BrokerUnavailable
from worker.demo.kafka_jars import LOCK_FILE, Jar, kafka_jars, kafka_version, read_lock


class Repository:
    """Serves bytes by coordinates and counts what was asked for."""

    def __init__(self, content: dict[str, bytes]) -> None:
        self.content = content
        self.asked: list[str] = []

    def fetch(self, jar: Jar, folder: Path) -> Path:
        self.asked.append(jar.coordinates)
        if jar.coordinates not in self.content:
            raise ConnectionError
        path = folder / jar.file_name
        path.write_bytes(self.content[jar.coordinates])
        return path


KAFKA = "org.apache.kafka:kafka_2.13:4.9.9"
OTHER = "org.example:other:1.0"
CONTENT = {KAFKA: b"kafka", OTHER: b"other"}
PINNED = tuple(Jar(hashlib.sha256(c).hexdigest(), len(c), name) for name, c in CONTENT.items())


def test_only_missing_and_damaged_jars_are_downloaded(tmp_path: Path) -> None:
    """A second call must download nothing, and a damaged file must be replaced."""
    repository = Repository(CONTENT)
    paths = kafka_jars(PINNED, tmp_path, repository.fetch)
    assert [path.read_bytes() for path in paths] == [b"kafka", b"other"]
    kafka_jars(PINNED, tmp_path, repository.fetch)
    assert sorted(repository.asked) == [KAFKA, OTHER]
    paths[0].write_bytes(b"damaged")
    assert kafka_jars(PINNED, tmp_path, repository.fetch)[0].read_bytes() == b"kafka"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kafka_2.13-4.9.9.jar", "other-1.0.jar"]


def test_a_jar_that_differs_from_its_hash_never_enters_the_cache(tmp_path: Path) -> None:
    """Another content than the pinned one must be refused by name."""
    repository = Repository(CONTENT | {OTHER: b"forged"})
    with pytest.raises(BrokerUnavailable, match=r"other-1\.0\.jar"):
        kafka_jars(PINNED, tmp_path, repository.fetch)
    assert not (tmp_path / "other-1.0.jar").exists()


def test_an_unreachable_repository_is_said_in_one_line(tmp_path: Path) -> None:
    """Without a network the reason must name Maven Central and fit one line."""
    with pytest.raises(BrokerUnavailable, match=r"^[^\n]*Maven Central[^\n]*$"):
        kafka_jars(PINNED, tmp_path, Repository({}).fetch)


def test_the_lock_file_pins_a_kafka_4_with_distinct_files() -> None:
    """Every line must carry a full hash, and no two jars may share a file in the cache."""
    jars = read_lock(LOCK_FILE.read_text())
    assert kafka_version(jars).startswith("4.")
    assert all(len(bytes.fromhex(jar.sha256)) == 32 and jar.size > 0 for jar in jars)
    assert len({jar.file_name for jar in jars}) == len(jars)
