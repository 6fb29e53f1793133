"""Answers kept under their idempotency key, for a server that honours it (off by default)."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from worker.demo.simulator.responses import problem

if TYPE_CHECKING:
    from worker.demo.simulator.responses import Answer

_KEPT: Final = 100_000


class KeptAnswers:
    """The keys of the latest requests, each with its payload and, once there is one, its answer."""

    def __init__(self) -> None:
        self._kept: Final[OrderedDict[str, tuple[object, Answer | None]]] = OrderedDict()

    def claim(self, key: str, payload: object) -> Answer | None:
        """Reserve a new key; answer 422 to another payload, 409 while its request is in progress."""
        if key not in self._kept:
            self._kept[key] = (payload, None)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
            return None
        known, answer = self._kept[key]
        if known != payload:
            return problem(422, "Idempotency-Key is already used", "key:other-payload")
        if answer is None:
            return problem(409, "A request is outstanding for this Idempotency-Key", "key:in-progress")
        return None

    def answer(self, key: str) -> Answer | None:
        """Return the answer of a key that has one."""
        return self._kept.get(key, (None, None))[1]

    def keep(self, key: str, answer: Answer) -> None:
        """Keep the answer of a claimed key."""
        if key in self._kept:
            self._kept[key] = (self._kept[key][0], answer)

    def release(self, key: str) -> None:
        """Forget a claimed key whose request changed nothing; one with an answer stays."""
        if key in self._kept and self._kept[key][1] is None:
            del self._kept[key]

    def clear(self) -> None:
        """Forget every key."""
        self._kept.clear()
