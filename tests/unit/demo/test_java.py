"""Which Java is taken."""

from pathlib import Path

import pytest

from worker.demo.errors import BrokerUnavailable
from worker.demo.java import Java, find_java, parse_major, probe


@pytest.mark.parametrize(
    ("banner", "major"),
    [
        ('openjdk version "17.0.15" 2025-04-15', 17),
        ('java version "1.8.0_302"', 8),
        ('openjdk version "25" 2025-09-16', 25),
        ("The operation couldn't be completed. Unable to locate a Java Runtime.", None),
    ],
)
def test_the_major_version_is_read_from_the_banner(banner: str, major: int | None) -> None:
    """Old and new numbering must both be understood, and a placeholder's message must be no version."""
    assert parse_major(banner) == major


def test_the_first_java_that_is_new_enough_is_taken() -> None:
    """An old Java and one that does not run must be passed over."""
    known = {Path("old"): Java(Path("old"), 11), Path("good"): Java(Path("good"), 21)}
    places = (lambda: None, lambda: Path("old"), lambda: Path("broken"), lambda: Path("good"))
    assert find_java(places, known.get) == Java(Path("good"), 21)


def test_no_java_is_said_in_one_line() -> None:
    """Without any Java the reason must name the least version and fit one line."""
    with pytest.raises(BrokerUnavailable, match=r"^no Java >= 17: [^\n]*$"):
        find_java((lambda: None,))


def test_what_cannot_be_run_is_no_java(tmp_path: Path) -> None:
    """A file that is there but does not run must not be taken for a Java."""
    assert probe(tmp_path / "java") is None
