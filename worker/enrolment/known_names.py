"""Names of known customers: whom a lookup found under a name, under a keyed hash of it.

With a key the hashes lie in the ledger; without one only in this process, and go with it.
"""

import secrets
from dataclasses import replace
from datetime import datetime
from typing import Final

from worker.domain.identity import name_hash
from worker.domain.memory import Name
from worker.domain.promotions import Identifier
from worker.domain.times import EARLIEST
from worker.enrolment.ports import Ledger, PartitionLedger
from worker.enrolment.resources import Resources
from worker.enrolment.rules import Rules
from worker.enrolment.taking import Taken
from worker.latest import Latest, Moments
from worker.ledger.entries import NameEntry

_MOST_NAMES: Final = 20_000
"""In this process alone, if there is no key; some 300 bytes each."""


class KnownNames:
    """Finds customers by name, learns and forgets."""

    def __init__(self, rules: Rules, resources: Resources, ledger: Ledger) -> None:
        self._resources = resources
        self._ledger = ledger
        self._is_kept = rules.pii_key is not None
        self._key = rules.pii_key or secrets.token_bytes()
        self._default_source = rules.default_source
        self._names: Latest[str, Name] = Latest(_MOST_NAMES)
        self._forgotten: Moments[str] = Moments()

    def find(self, ledger: PartitionLedger, who: Identifier) -> Name | None:
        """Return what a lookup found under the name, None if none did, or it was forgotten."""
        hashed = self._hash(who)
        name = ledger.name(hashed) if self._is_kept else self._names.get(hashed)
        return None if name is None or name.read_at == EARLIEST else name

    async def learn(self, taken: Taken, who: Identifier, name: Name, began: float) -> None:
        """Note what a lookup found that began at that time on the timer; without waiting for Kafka's word."""
        hashed = self._hash(who)
        if self._forgotten.is_since(hashed, began):
            return
        if self._is_kept:
            await taken.ledger.note(NameEntry(hashed, name))
        else:
            self._names.put(hashed, name)

    async def forget(self, taken: Taken, who: Identifier, until: datetime) -> set[int]:
        """Let nothing count that was found under the name up to that time; return whom it meant.

        In all partitions that are ours. Raises what writing to the ledger raises.
        """
        hashed = self._hash(who)
        self._forgotten.put(hashed, self._resources.timer())
        nobody = Name(read_at=EARLIEST)
        if not self._is_kept:
            name = self._names.get(hashed)
            if name is None or name.read_at > until:
                return set()
            self._names.put(hashed, nobody)
            return _meant(name)
        found = [(each, each.name(hashed)) for each in self._ledger.every()]
        meant: set[int] = set()
        for ledger, name in found:
            if name is not None and EARLIEST < name.read_at <= until:
                meant |= _meant(name)
                await taken.write(self._resources.sleep, NameEntry(hashed, nobody), to=ledger)
        return meant

    def _hash(self, who: Identifier) -> str:
        return name_hash(replace(who, source=who.source or self._default_source), self._key)


def _meant(name: Name) -> set[int]:
    return set() if name.customer_id is None else {name.customer_id}
