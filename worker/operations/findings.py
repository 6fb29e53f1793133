"""Findings of an examination of the worker's surroundings: lines for an operator."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    """The worker runs; something that an operator should know."""
    FAULT = "fault"
    """The worker would not run, or would not keep its promises."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: what was looked at, what was seen, and what helps if something is wrong."""

    level: Level
    subject: str
    text: str
    remedy: str | None = None


def ok(subject: str, text: str) -> Finding:
    """Return that all is well."""
    return Finding(Level.OK, subject, text)


def warning(subject: str, text: str, remedy: str) -> Finding:
    """Return what an operator should know."""
    return Finding(Level.WARNING, subject, text, remedy)


def fault(subject: str, text: str, remedy: str) -> Finding:
    """Return what keeps the worker from its promises."""
    return Finding(Level.FAULT, subject, text, remedy)
